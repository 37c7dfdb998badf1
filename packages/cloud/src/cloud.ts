/** The cloud, put together: one call starts it, with nothing else running (house.md, "The cloud"). */
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { createApi } from './api/api.ts'
import type { ApiLimits } from './api/limits.ts'
import { createLocalBus } from './bus/bus.ts'
import { importedReleases } from './catalogue/imported-folder.ts'
import { LiveCatalogue } from './catalogue/live-catalogue.ts'
import { createCompiler } from './compiler/compiler.ts'
import { DeviceRegistry } from './devices/registry.ts'
import { EventLog, type EventLogLimits } from './events/event-log.ts'
import { EventStreams } from './events/event-streams.ts'
import { createGateway } from './gateway/device-gateway.ts'
import type { GatewayLimits } from './gateway/limits.ts'
import { SessionStore } from './gateway/session-store.ts'
import type { AuditLimits } from './identity/audit.ts'
import { Identity } from './identity/identity.ts'
import type { LoginLimits } from './identity/login-throttle.ts'
import { type IntegrationLimits, Integrations } from './integrations/integrations.ts'
import { webhookMetrics } from './integrations/metrics.ts'
import { openServerKeys } from './keys.ts'
import { createLogger } from './log.ts'
import { mailByCommand } from './mail-command.ts'
import { watchProducts } from './products/product-watch.ts'
import { Products } from './products/products.ts'
import { startRollouts } from './rollouts/rollouts.ts'
import { openStore } from './store/store.ts'
import { loadCatalogue } from './updates/catalogue.ts'
import { startUpdates, type UpdateLimits } from './updates/updates.ts'
import { Vitals } from './vitals/vitals.ts'

export interface CloudOptions {
  /** Holds the database, and the server's keys in `keys/`; made when absent. */
  readonly dataDir: string
  /** Address to listen on; 127.0.0.1 unless told otherwise. */
  readonly host?: string
  /** Ports; 0 takes a free one. 8080, 5683 and 5684 unless told otherwise. */
  readonly httpPort?: number
  readonly tcpPort?: number
  readonly udpPort?: number
  /** The address under which clients reach the API, when it is another than they used. */
  readonly publicUrl?: string
  /** The administrator, who is made at the first start. */
  readonly admin?: { readonly username?: string; readonly password?: string }
  /** Devices without a registered key are let in, and their keys registered: for demos and labs. */
  readonly openEnrolment?: boolean
  /** Anybody may make a user; otherwise administrators only. */
  readonly openRegistration?: boolean
  /**
   * Proxies whose `X-Forwarded-*` are believed: addresses and networks, or true for whoever connects. Without it all
   * that comes through a proxy on this machine seems to come from the machine itself, to which no limits apply.
   */
  readonly trustProxy?: boolean | readonly string[]
  /** Sends mail: a shell command that gets a message on its standard input, and who the sender is. */
  readonly mail?: { readonly command: string; readonly from?: string }
  /** PEM files, by path. */
  readonly https?: { readonly cert: string; readonly key: string }
  /** With which `GET /metrics` may be read, besides the tokens of administrators. */
  readonly metricsToken?: string
  /**
   * Webhooks may go to private, loopback and link-local addresses: true for all, or networks and addresses
   * ("10.1.0.0/16"). None unless told otherwise.
   */
  readonly allowPrivateWebhooks?: boolean | readonly string[]
  /** Folders of Device OS releases. */
  readonly releases: readonly string[]
  /** A pino level; 'info' unless told otherwise. */
  readonly logLevel?: string
  readonly logger?: Logger
  readonly limits?: {
    readonly api?: Partial<ApiLimits>
    /** How often passwords and codes may be tried. */
    readonly login?: Partial<LoginLimits>
    /** What is kept of the audit log. */
    readonly audit?: Partial<AuditLimits>
    readonly gateway?: Partial<GatewayLimits>
    readonly updates?: Partial<UpdateLimits>
    readonly integrations?: Partial<IntegrationLimits>
    /** What is kept for clients that come back to an event stream. */
    readonly eventLog?: Partial<EventLogLimits>
    /** Milliseconds that vitals are kept; a month unless given. */
    readonly vitalsRetention?: number
  }
}

export interface Cloud {
  /** Without a trailing slash. */
  readonly httpUrl: string
  readonly httpPort: number
  readonly tcpPort: number
  readonly udpPort: number
  readonly adminUsername: string
  /** Only when it was made up at this very start: it is nowhere else. */
  readonly adminPassword?: string
  /** How many devices are online. */
  connectedDevices(): number
  /** Ends requests and connections, writes what is to be written, and lets go of the data folder. */
  close(): Promise<void>
}

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }

/**
 * Starts the cloud; resolves when it serves.
 *
 * @throws StoreError, ServerKeyError, and the system's error for a port that is taken; nothing stays open then
 */
export async function startCloud(options: CloudOptions): Promise<Cloud> {
  const log = options.logger ?? createLogger(options.logLevel)
  const closers: (() => unknown)[] = []
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer()
  }
  try {
    return await open(options, log, closers, close)
  } catch (error) {
    await close()
    throw error
  }
}

async function open(
  options: CloudOptions,
  log: Logger,
  closers: (() => unknown)[],
  close: () => Promise<void>,
): Promise<Cloud> {
  const { dataDir, host = '127.0.0.1', httpPort = 8_080, tcpPort = 5_683, udpPort = 5_684, limits = {} } = options
  const now = Date.now

  const store = await openStore(dataDir)
  closers.push(() => store.close())
  const keys = await openServerKeys(join(dataDir, 'keys'))
  const identity = await Identity.open({
    store,
    now,
    onError: (error) => log.error({ error }, 'the audit log could not be written'),
    ...(limits.login && { loginLimits: limits.login }),
    ...(limits.audit && { auditLimits: limits.audit }),
  })
  closers.push(() => identity.close())
  const { username = 'admin', password } = options.admin ?? {}
  const administrator = await identity.ensureAdministrator({ username, ...(password !== undefined && { password }) })
  if (administrator.passwordChanged) {
    log.warn({ username: administrator.username }, 'the administrator has the given password now, and no second factor')
  }

  const registry = await DeviceRegistry.open({
    store,
    now,
    onError: (error) => log.error({ error }, 'what devices told could not be stored'),
  })
  closers.push(() => registry.close())
  const products = await Products.open({ store, registry, now })
  const bus = createLocalBus((error, { name }) => log.error({ error, event: name }, 'an event broke its receiver'))
  const eventLog = await EventLog.open({
    store,
    onError: (error) => log.error({ error }, 'the replay log of events failed'),
    ...(limits.eventLog && { limits: limits.eventLog }),
  })
  closers.push(() => eventLog.close())
  const streams = new EventStreams({
    bus,
    log: eventLog,
    onDropped: (filter, reason) => log.warn({ filter, reason }, 'a client did not read its event stream'),
  })
  closers.push(() => streams.close())

  const integrations = await Integrations.open({
    store,
    bus,
    onError: (error) => log.error({ error }, 'webhooks failed'),
    ...(options.allowPrivateWebhooks !== undefined && { allowPrivate: options.allowPrivateWebhooks }),
    ...(limits.integrations && { limits: limits.integrations }),
  })
  closers.push(() => integrations.close())
  products.observe((before, after) => {
    if (!before || after) return
    const gone = integrations.ownerDeleted({ kind: 'product', productId: before.id })
    gone.catch((error) => log.error({ error }, 'the webhooks of a removed product are still there'))
  })

  const catalogue = await LiveCatalogue.open({
    folder: importedReleases(dataDir),
    builtIn: await loadCatalogue(options.releases),
  })
  closers.push(() => catalogue.close())
  for (const { folder, message } of catalogue.problems) log.warn({ folder, reason: message }, 'release left out')
  const compiler = createCompiler({
    catalogue,
    onCrash: (detail) => log.error({ detail }, 'the compiler failed'),
  })
  closers.push(() => compiler.close())

  const sessions = await SessionStore.open({
    store,
    beforeCommit: (deviceIds) => registry.flushOf(deviceIds),
    onError: (error) => log.error({ error }, 'sessions of devices could not be stored'),
  })
  closers.push(() => sessions.close())
  const gateway = createGateway({
    tcp: { serverKey: keys.tcp.privateKey },
    udp: { serverKey: keys.udp.privateKey, sessions },
    registry,
    bus,
    log,
    openEnrolment: options.openEnrolment ?? false,
    ...(limits.gateway && { limits: limits.gateway }),
  })
  const vitals = new Vitals({
    store,
    onError: (error) => log.error({ error }, 'vitals of devices could not be stored'),
    ...(limits.vitalsRetention !== undefined && { retention: limits.vitalsRetention }),
  })
  closers.push(() => vitals.close())
  gateway.observe({
    vitals(deviceId, payload, updatedAt) {
      vitals.record({ deviceId, ownerId: registry.get(deviceId)?.ownerId ?? null, payload, updatedAt })
    },
  })
  // Before the updates: they ask which version a device runs.
  watchProducts({
    products,
    registry,
    gateway,
    log,
    inTeam: (product, userId) => identity.teams.roleOf(product, userId) !== undefined,
  })
  const updates = await startUpdates({
    store,
    registry,
    gateway,
    catalogue,
    bus,
    log,
    membership: (deviceId) => products.devices.of(deviceId),
    ...(limits.updates && { limits: limits.updates }),
  })
  closers.push(async () => {
    // What is under way breaks off with the connections, and goes on after the next start.
    const ended = updates.close()
    await gateway.close()
    await ended
  })
  const rollouts = await startRollouts({ store, registry, products, gateway, updates, catalogue, bus, log })
  closers.push(() => rollouts.close())

  const api = await createApi({
    store,
    identity,
    registry,
    products,
    integrations,
    bus,
    streams,
    eventLog,
    vitals,
    gateway,
    updates,
    rollouts,
    compiler,
    catalogue,
    endpoints: () => ({
      tcp: { port: gateway.tcpPort },
      udp: gateway.udpPort === null ? null : { port: gateway.udpPort },
      keys: { tcp: keys.tcp.publicPem, udp: keys.udp.publicPem },
    }),
    now,
    metricSources: webhookMetrics(integrations),
    options: {
      version,
      logger: log,
      ...(options.publicUrl !== undefined && { publicUrl: options.publicUrl }),
      ...(options.https && { https: await certificate(options.https) }),
      ...(limits.api && { limits: limits.api }),
      ...(options.metricsToken !== undefined && { metricsToken: options.metricsToken }),
      ...(options.openRegistration !== undefined && { openRegistration: options.openRegistration }),
      ...(options.trustProxy !== undefined && { trustProxy: trusted(options.trustProxy) }),
      ...(options.mail && { sendMail: mailByCommand(options.mail.command, options.mail.from ?? 'aloe@localhost') }),
    },
  })
  closers.push(() => api.close())

  await gateway.listen({ host, tcpPort, udpPort })
  await api.listen({ host, port: httpPort })
  const port = (api.server.address() as AddressInfo).port
  const httpUrl = `${options.https ? 'https' : 'http'}://${reachable(host)}:${port}`
  const devices = registry.size
  const releases = new Set(catalogue.releases().map((release) => release.version)).size
  log.info({ httpUrl, tcpPort: gateway.tcpPort, udpPort: gateway.udpPort, devices, releases }, 'the cloud serves')
  if (options.openEnrolment) log.warn('open enrolment: any device that knows the server key is let in')

  return {
    httpUrl,
    httpPort: port,
    tcpPort: gateway.tcpPort,
    udpPort: gateway.udpPort ?? 0,
    adminUsername: administrator.username,
    ...(administrator.password !== undefined && { adminPassword: administrator.password }),
    connectedDevices: () => gateway.connected,
    async close() {
      await close()
      log.info('the cloud has stopped')
    },
  }
}

function trusted(proxies: boolean | readonly string[]): boolean | string[] {
  return typeof proxies === 'boolean' ? proxies : [...proxies]
}

async function certificate(files: { cert: string; key: string }): Promise<{ cert: Buffer; key: Buffer }> {
  return { cert: await readFile(files.cert), key: await readFile(files.key) }
}

/** An address to connect to, of one to listen on. */
function reachable(host: string): string {
  if (host === '0.0.0.0' || host === '::' || host === '') return '127.0.0.1'
  return host.includes(':') ? `[${host}]` : host
}
