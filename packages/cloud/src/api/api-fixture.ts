/** For tests: an API that listens, with real users, devices and events, and stand-ins for what takes hardware. */
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { pino } from 'pino'
import { type Bus, createLocalBus } from '../bus/bus.ts'
import { LiveCatalogue } from '../catalogue/live-catalogue.ts'
import { systemClock } from '../clock.ts'
import type { CompileRequest, CompileResult } from '../compiler/compiler.ts'
import { DeviceRegistry } from '../devices/registry.ts'
import { EventLog } from '../events/event-log.ts'
import { EventStreams } from '../events/event-streams.ts'
import type { DeviceObserver, GatewayStatistics, RequestResult, VariableValue } from '../gateway/gateway.ts'
import { Identity } from '../identity/identity.ts'
import type { User } from '../identity/users.ts'
import { Integrations } from '../integrations/integrations.ts'
import { watchProducts } from '../products/product-watch.ts'
import { type ProductRecord, Products } from '../products/products.ts'
import { startRollouts } from '../rollouts/rollouts.ts'
import { openStore, type Store } from '../store/store.ts'
import { loadCatalogue } from '../updates/catalogue.ts'
import { type FixtureRelease, writeReleaseFolder } from '../updates/catalogue-fixture.ts'
import { DataUsage } from '../updates/data-usage.ts'
import { GroupCommit } from '../updates/group-commit.ts'
import { freshDetail } from '../updates/job.ts'
import { Policies } from '../updates/policies.ts'
import { type Delivery, type FlashResult, type UpdateJobView, UpdateRefusal } from '../updates/updates.ts'
import { Vitals } from '../vitals/vitals.ts'
import { createApi } from './api.ts'
import type { ApiOptions } from './services.ts'

/** The gateway as far as the API sees it: what is online, and how it answers. */
export class FakeGateway {
  readonly online = new Set<string>()
  readonly log: unknown[][] = []
  readonly #observers = new Set<DeviceObserver>()
  answerCall: (id: string, name: string, argument: string) => RequestResult<number> = () => ({ ok: true, value: 0 })
  variables = new Map<string, VariableValue>()
  onDescribe: (id: string) => void = () => undefined

  statistics(): GatewayStatistics {
    return { online: this.online.size, udp: null }
  }
  isOnline(id: string): boolean {
    return this.online.has(id)
  }
  connection(): undefined {
    return undefined
  }
  async call(id: string, name: string, argument: string): Promise<RequestResult<number>> {
    this.log.push(['call', id, name, argument])
    return this.answerCall(id, name, argument)
  }
  async readVariable(_id: string, name: string): Promise<RequestResult<VariableValue>> {
    const value = this.variables.get(name)
    return value === undefined ? { ok: false, error: 'not-found' } : { ok: true, value }
  }
  async ping(id: string): Promise<boolean> {
    return this.online.has(id)
  }
  async signal(id: string, on: boolean): Promise<RequestResult<undefined>> {
    this.log.push(['signal', id, on])
    return { ok: true, value: undefined }
  }
  setUpdatesForced(id: string, on: boolean): boolean {
    this.log.push(['forced', id, on])
    return true
  }
  async requestDescribe(id: string): Promise<RequestResult<never[]>> {
    this.log.push(['describe', id])
    this.onDescribe(id)
    return { ok: true, value: [] }
  }
  disconnect(id: string): void {
    this.log.push(['disconnect', id])
  }
  ownerChanged(id: string): void {
    this.log.push(['owner', id])
  }
  observe(observer: DeviceObserver): () => void {
    this.#observers.add(observer)
    return () => this.#observers.delete(observer)
  }
  /** The device has connected: who watches is told. */
  connect(id: string): void {
    this.online.add(id)
    const hello = { productId: 0xffff, productVersion: 0xffff, flags: 0, platformId: 43 }
    for (const observer of this.#observers) observer.online?.(id, hello)
  }
}

/** Takes every file of a device that is online; what is not asked of it in tests of the API, it refuses. */
export class FakeUpdates {
  readonly policies: Policies
  readonly data: DataUsage
  readonly #gateway: FakeGateway
  readonly flashed: { id: string; file: Uint8Array; by: string }[] = []
  result: FlashResult = { ok: true } as FlashResult
  list: UpdateJobView[] = []

  async flash(id: string, file: Uint8Array, by: string): Promise<FlashResult> {
    this.flashed.push({ id, file, by })
    return this.result
  }
  async jobs(): Promise<UpdateJobView[]> {
    return this.list
  }
  active(): undefined {
    return undefined
  }
  reachable(id: string): boolean {
    return this.#gateway.online.has(id)
  }
  async job(jobId: string): Promise<UpdateJobView | undefined> {
    return this.list.find(({ id }) => id === jobId)
  }
  async timeline(): Promise<never[]> {
    return []
  }
  async cancel(jobId: string): Promise<UpdateJobView | undefined> {
    return await this.job(jobId)
  }
  /** A job that is never begun. */
  async deliver(deviceId: string, { productVersion }: Delivery): Promise<UpdateJobView> {
    const detail = { ...freshDetail, ...(productVersion !== undefined && { productVersion }) }
    const times = { createdAt: 0, updatedAt: 0, finishedAt: null }
    return {
      id: `${deviceId} release`,
      deviceId,
      kind: 'release',
      state: 'planned',
      requestedBy: null,
      detail,
      ...times,
    }
  }
  onJob(): () => void {
    return () => undefined
  }
  running(): void {}
  async update(): Promise<never> {
    throw new UpdateRefusal(409, 'not in these tests')
  }
  async downgrade(): Promise<never> {
    throw new UpdateRefusal(409, 'not in these tests')
  }
  preview(): never {
    throw new UpdateRefusal(404, 'not in these tests')
  }

  constructor(gateway: FakeGateway, policies: Policies, data: DataUsage) {
    this.#gateway = gateway
    this.policies = policies
    this.data = data
  }
}

export class FakeCompiler {
  readonly requests: CompileRequest[] = []
  result: CompileResult | undefined

  async compile(request: CompileRequest): Promise<CompileResult> {
    this.requests.push(request)
    const target = request.target ?? '2.0.0'
    const module = Buffer.from(`module for ${target}`)
    const sizeInfo = '   text\t   data\t    bss\t    dec\t    hex\tfilename\n  100\t 20\t 30\t 150\t 96\tapp.elf\n'
    return this.result ?? { ok: true, module, target, sizeInfo }
  }
  statistics() {
    return { running: 0, waiting: 0 }
  }
}

export interface ApiFixture {
  readonly app: FastifyInstance
  readonly url: string
  readonly store: Store
  readonly bus: Bus
  readonly identity: Identity
  readonly registry: DeviceRegistry
  readonly products: Products
  readonly integrations: Integrations
  readonly streams: EventStreams
  readonly vitals: Vitals
  readonly gateway: FakeGateway
  readonly updates: FakeUpdates
  readonly compiler: FakeCompiler
  readonly catalogue: LiveCatalogue
  readonly user: User
  /** Access token of `user`, which owns no device yet. */
  readonly token: string
  /** Unix milliseconds that the cloud's clock is ahead. */
  skew: number
  /** Makes a device known, and claims it for `user`. */
  device(id: string, name?: string): Promise<void>
  request(method: string, path: string, init?: RequestInit & { token?: string | null }): Promise<ApiAnswer>
  close(): Promise<void>
}

export interface ApiAnswer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers freely
  readonly body: any
}

export const username = 'user@example.com'
export const password = 'a password'

export const releases: FixtureRelease[] = [
  { version: '1.0.0', systemVersion: 1_000, bootloaderVersion: 100 },
  { version: '1.1.0-rc.1', systemVersion: 1_100, bootloaderVersion: 101, prerelease: true, state: 'preview' },
  { version: '1.1.0', systemVersion: 1_101, bootloaderVersion: 101 },
  { version: '2.0.0', systemVersion: 2_000, bootloaderVersion: 200 },
]

/** A device's public key as its tools send it. */
export function devicePem(): string {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 1_024 })
  return publicKey.export({ format: 'pem', type: 'spki' }).toString()
}

export async function startApi(
  options: Partial<ApiOptions> = {},
  beforeRoutes?: (app: FastifyInstance) => void,
): Promise<ApiFixture> {
  const folder = await mkdtemp(join(tmpdir(), 'aloe-api-'))
  for (const release of releases) await writeReleaseFolder(folder, release)
  const fail = (error: unknown): never => {
    throw error
  }
  const clock = { skew: 0 }
  const now = (): number => Date.now() + clock.skew
  const store = await openStore()
  const identity = await Identity.open({ store, now, passwordCost: { memory: 64, passes: 1, parallelism: 1 } })
  const registry = await DeviceRegistry.open({ store, now, onError: fail })
  const products = await Products.open({ store, registry, now })
  const bus = createLocalBus(fail)
  const eventLog = await EventLog.open({ store, onError: fail })
  const streams = new EventStreams({ bus, log: eventLog, bufferLimit: 256 * 1024 })
  const vitals = new Vitals({ store, onError: fail })
  const integrations = await Integrations.open({ store, bus, onError: fail, allowPrivate: true })
  const gateway = new FakeGateway()
  const inTeam = (product: ProductRecord, userId: string) => identity.teams.roleOf(product, userId) !== undefined
  watchProducts({ products, registry, gateway, inTeam, log: pino({ level: 'silent' }) })
  const membership = () => undefined
  const updates = new FakeUpdates(
    gateway,
    await Policies.open(store, now, membership),
    new DataUsage({
      store,
      commits: new GroupCommit(store),
      clock: systemClock,
      membership,
      collect: () => undefined,
      onError: fail,
    }),
  )
  const compiler = new FakeCompiler()
  const catalogue = await LiveCatalogue.open({
    folder: join(folder, 'imported'),
    builtIn: await loadCatalogue([folder]),
    now,
  })
  const silent = pino({ level: 'silent' })
  const rollouts = await startRollouts({ store, registry, products, gateway, updates, catalogue, bus, log: silent })
  const user = await identity.users.create(username, password)
  const { token } = await identity.tokens.issue(user.id, 'particle', null)
  const api = await createApi(
    {
      store,
      identity,
      registry,
      products,
      bus,
      integrations,
      streams,
      eventLog,
      vitals,
      gateway,
      updates,
      rollouts,
      compiler,
      catalogue,
      endpoints: () => ({ tcp: { port: 5_683 }, udp: null, keys: { tcp: 'RSA PEM', udp: 'EC PEM' } }),
      now,
      options: { version: '0.0.0', ...options },
    },
    beforeRoutes,
  )
  await api.listen({ host: '127.0.0.1', port: 0 })
  const { port } = api.server.address() as AddressInfo
  const url = `${options.https ? 'https' : 'http'}://127.0.0.1:${port}`
  return {
    app: api,
    url,
    store,
    bus,
    identity,
    registry,
    products,
    integrations,
    streams,
    vitals,
    gateway,
    updates,
    compiler,
    catalogue,
    user,
    token,
    get skew() {
      return clock.skew
    },
    set skew(millis) {
      clock.skew = millis
    },
    async device(id, name) {
      await registry.provision(id, devicePem(), { id: user.id, administrator: false }, 43)
      await registry.claim(id, user.id)
      if (name !== undefined) await registry.rename(id, user.id, name)
    },
    async request(method, path, { token: own = token, ...init } = {}) {
      const headers = new Headers(init.headers)
      if (own !== null && !headers.has('authorization')) headers.set('authorization', `Bearer ${own}`)
      const response = await fetch(url + path, { ...init, method, headers })
      const text = await response.text()
      const json = response.headers.get('content-type')?.startsWith('application/json') ?? false
      return { status: response.status, headers: response.headers, text, body: json ? JSON.parse(text) : undefined }
    },
    async close() {
      await api.close()
      await integrations.close()
      await rollouts.close()
      await updates.data.close()
      streams.close()
      await eventLog.close()
      await vitals.close()
      await registry.close()
      await identity.close()
      await store.close()
      await catalogue.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
