/**
 * A device for tests: the protocol's device end over a real socket, with modules in memory, `firmware`'s rules for what
 * it accepts and boots, and a restart after each module that it took.
 */
import { type KeyObject, randomBytes } from 'node:crypto'
import {
  type BootCheck,
  bootCheck,
  buildModule,
  decompressModule,
  type FirmwareModule,
  type InstalledModule,
  installedModule,
  type ModuleDependency,
  type ModuleFunction,
  moduleFlags,
  parseModule,
  platformById,
  splitModules,
  validateUpdate,
} from '@aloe/firmware'
import {
  DeviceSession,
  encodeApplicationDescribe,
  encodeSystemDescribe,
  helloFlag,
  type UpdateTarget,
  type VariableType,
  type VariableValue,
} from '@aloe/protocol'
import { type FakeChannel, openTcp, openUdp } from './fake-channel.ts'

export interface FakeDeviceOptions {
  readonly id: string
  readonly port: number
  /** TCP unless told otherwise. */
  readonly transport?: 'tcp' | 'udp'
  /** Private: RSA-1024 for TCP, EC P-256 for UDP. */
  readonly deviceKey: KeyObject
  /** The cloud's public key. */
  readonly serverKey: KeyObject
  /** Module files that are installed at first. */
  readonly modules?: readonly Uint8Array[]
  /** OTA v3, or else the chunked transfer. */
  readonly otaV3?: boolean
  /** Added to those that it has anyway. */
  readonly helloFlags?: number
  readonly claimCode?: string
  readonly functions?: Readonly<Record<string, (argument: string) => number>>
  readonly variables?: Readonly<Record<string, VariableValue>>
  readonly subscriptions?: readonly string[]
  readonly updatesEnabled?: boolean
  /** Takes part in every update: a number is a system error with which the device refuses it. */
  readonly onUpdate?: (stage: 'begin' | 'finish', device: FakeDevice) => number | undefined
  /** False: what was taken is not installed at the restart. */
  readonly installs?: (module: InstalledModule) => boolean
  /** Milliseconds until a lost connection is made again; undefined: never. */
  readonly reconnect?: number
}

const linux = 43

/** A module of platform `linux`, small unless told otherwise. */
export function linuxModule(
  moduleFunction: ModuleFunction,
  index: number,
  version: number,
  dependencies: readonly ModuleDependency[] = [],
  size = 600,
  text = false,
): Uint8Array {
  const body = text ? Buffer.alloc(size, 'Device OS ') : randomBytes(size)
  return buildModule({ platformId: linux, function: moduleFunction, index, version, dependencies, body })
}

/** The modules of a Device OS release for `linux`: bootloader, system parts 1 and 2. */
export function linuxSystem(
  systemVersion: number,
  bootloaderVersion: number,
  size?: number,
  text?: boolean,
): Uint8Array[] {
  const bootloader: ModuleDependency = { function: 'bootloader', index: 0, version: bootloaderVersion }
  const part1: ModuleDependency = { function: 'system_part', index: 1, version: systemVersion }
  return [
    linuxModule('bootloader', 0, bootloaderVersion, [], size, text),
    linuxModule('system_part', 1, systemVersion, [bootloader], size, text),
    linuxModule('system_part', 2, systemVersion, [part1], size, text),
  ]
}

export function linuxApplication(systemVersion: number, size?: number): Uint8Array {
  return linuxModule('user_part', 1, 1, [{ function: 'system_part', index: 2, version: systemVersion }], size)
}

export class FakeDevice implements UpdateTarget {
  readonly options: FakeDeviceOptions
  readonly #modules = new Map<string, InstalledModule>()
  /** Everything that happened, in words, for tests to look at. */
  readonly log: string[] = []
  readonly events: { name: string; data: string }[] = []
  /** Data and content types of the same events, as they came. */
  readonly received: { name: string; data: Uint8Array; contentType: number }[] = []
  session: DeviceSession | undefined
  updatesForced = false
  signalling = false
  time: number | undefined
  failure: { step: string; message: string } | undefined
  #channel: FakeChannel | undefined
  #timer: NodeJS.Timeout | undefined
  #staged = new Uint8Array(0)
  #partial: { size: number; sha256: string; received: number } | undefined
  #stopped = false
  /** Bytes of the file after which the device loses its connection, once. */
  breakAfter: number | undefined
  reports = 0

  constructor(options: FakeDeviceOptions) {
    this.options = options
    for (const bytes of options.modules ?? []) this.install(parseModule(bytes).bytes)
  }

  install(bytes: Uint8Array): void {
    const module = installedModule(parseModule(bytes))
    this.#modules.set(`${module.function}${module.index}`, module)
  }

  get installed(): InstalledModule[] {
    return [...this.#modules.values()]
  }

  /** Installed versions: `bootloader 0@100, system_part 1@1000`. */
  get versions(): string {
    return this.installed.map((m) => `${m.function} ${m.index}@${m.version}`).join(', ')
  }

  boot(): BootCheck {
    const platform = platformById(linux)
    if (!platform) throw new Error('no platform 43')
    return bootCheck(platform, this.installed)
  }

  get channel(): FakeChannel | undefined {
    return this.#channel
  }

  get connected(): boolean {
    return this.#channel?.alive === true && this.session !== undefined
  }

  start(): this {
    const { id, port, deviceKey, serverKey, transport = 'tcp' } = this.options
    const open = transport === 'tcp' ? openTcp : openUdp
    const channel = open({
      id,
      port,
      deviceKey,
      serverKey,
      handlers: {
        established: (firstMessageId) => this.#established(firstMessageId),
        message: (message) => this.session?.receive(message, performance.now()),
        failed: (step, error) => {
          this.failure = { step, message: error.message }
          this.#lost()
        },
      },
    })
    this.#channel = channel
    clearInterval(this.#timer)
    this.#timer = setInterval(() => {
      channel.poll()
      this.session?.poll(performance.now())
    }, 20)
    return this
  }

  /** Pulls the plug; the device comes back when it may reconnect. */
  drop(): void {
    this.#lost()
  }

  stop(): void {
    this.#stopped = true
    this.#lost()
  }

  publish(name: string, data: string, ack = false): void {
    this.session?.publish({ name, data: Buffer.from(data), ...(ack && { ack: 'with' as const }) }, performance.now())
  }

  #established(firstMessageId: number): void {
    const { id, otaV3 = true, helloFlags = 0, transport = 'tcp' } = this.options
    const system = this.#modules.get('system_part2')
    const session = new DeviceSession({
      transport,
      random: randomBytes,
      firstMessageId,
      hello: {
        productId: 0xffff,
        productVersion: 0xffff,
        flags: 0x0076 | (otaV3 ? helloFlag.otaV3 : 0) | helloFlags,
        ...(transport === 'udp' && { deviceId: id }),
        platformId: linux,
        system: { version: system?.version ?? 0, maxMessageSize: 1_152, maxBinarySize: 0, otaChunkSize: 512 },
      },
      updateTarget: this,
      handlers: {
        send: (message) => this.#channel?.send(message),
        ready: () => this.#ready(),
        describe: (kind) => this.#describe(kind),
        call: (name, argument, reply) => {
          const handler = this.options.functions?.[name]
          if (handler) reply(handler(argument))
          return handler !== undefined
        },
        variable: (name) => this.options.variables?.[name],
        event: (name, data, contentType) => {
          this.received.push({ name, data: Uint8Array.from(data), contentType })
          this.#event(name, Buffer.from(data).toString('utf8'))
        },
        time: (unixTime) => {
          this.time = unixTime
        },
        signal: (on) => {
          this.signalling = on
        },
        closed: () => this.#lost(),
      },
    })
    this.session = session
    session.start(performance.now())
  }

  #ready(): void {
    const { claimCode, subscriptions = [], updatesEnabled = true } = this.options
    const safeMode = this.boot().mode === 'safe'
    this.log.push(safeMode ? 'safe mode' : 'normal')
    this.reports++
    this.session?.announce(
      {
        claimCode,
        safeMode,
        updatesEnabled,
        updatesForced: this.updatesForced,
        subscriptions: subscriptions.map((prefix) => ({ prefix })),
      },
      performance.now(),
    )
  }

  #describe(kind: 'system' | 'application' | 'metrics'): Uint8Array {
    if (kind === 'system') return encodeSystemDescribe({ modules: this.boot().modules })
    const { functions = {}, variables = {} } = this.options
    const types = Object.entries(variables).map(([name, { type }]): [string, VariableType] => [name, type])
    return kind === 'application'
      ? encodeApplicationDescribe(Object.keys(functions), Object.fromEntries(types))
      : new Uint8Array()
  }

  #event(name: string, data: string): void {
    this.events.push({ name, data })
    if (name !== 'particle/device/updates/forced') return
    this.updatesForced = data === 'true'
    this.publish(name, data)
  }

  #lost(): void {
    const channel = this.#channel
    this.#channel = undefined
    channel?.close()
    this.session?.close()
    this.session = undefined
    clearInterval(this.#timer)
    const { reconnect } = this.options
    if (this.#stopped || reconnect === undefined) return
    setTimeout(() => {
      if (!this.#stopped && !this.#channel) this.start()
    }, reconnect)
  }

  // The staging area.

  begin(request: Parameters<UpdateTarget['begin']>[0]): ReturnType<UpdateTarget['begin']> {
    const error = this.options.onUpdate?.('begin', this)
    if (error !== undefined) return { error, message: 'refused by the test' }
    if (this.options.updatesEnabled === false && !this.updatesForced) return { error: -1380 }
    const sha256 = Buffer.from(request.sha256 ?? []).toString('hex')
    const known = this.#partial
    const resumes = !request.discard && sha256 !== '' && known?.sha256 === sha256 && known.size === request.size
    if (!resumes) this.#staged = new Uint8Array(request.size)
    const offset = resumes ? known.received : 0
    this.#partial = { size: request.size, sha256, received: offset }
    this.log.push(offset > 0 ? `resume at ${offset}` : 'begin')
    return { offset }
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#staged.set(bytes, offset)
    if (this.#partial && offset === this.#partial.received) this.#partial.received += bytes.length
    if (this.breakAfter !== undefined && (this.#partial?.received ?? 0) >= this.breakAfter) {
      this.breakAfter = undefined
      this.log.push('connection lost')
      setImmediate(() => this.#lost())
    }
  }

  finish(): ReturnType<UpdateTarget['finish']> {
    const error = this.options.onUpdate?.('finish', this)
    if (error !== undefined) return { error, message: 'refused by the test' }
    const platform = platformById(linux)
    if (!platform) throw new Error('no platform 43')
    const { result, message } = validateUpdate(this.#staged, platform, this.installed)
    return result === 0 ? { ok: true } : { error: result, message }
  }

  apply(): void {
    this.#partial = undefined
    for (const part of splitModules(this.#staged)) this.#applyOne(parseModule(part))
    // The restart: the connection just dies.
    setTimeout(() => this.#lost(), 10)
  }

  #applyOne(sent: FirmwareModule): void {
    const compressed = (sent.flags & moduleFlags.compressed) !== 0
    const module = installedModule(compressed ? parseModule(decompressModule(sent.bytes)) : sent)
    const installs = this.options.installs?.(module) ?? true
    if (installs) this.#modules.set(`${module.function}${module.index}`, module)
    this.log.push(`${installs ? 'took' : 'lost'} ${module.function} ${module.index}@${module.version}`)
  }

  cancel(discard: boolean): void {
    this.log.push('cancelled')
    if (discard) this.#partial = undefined
  }
}
