/**
 * A twin: a virtual device of a real platform. It has that platform's places for modules and its rules, takes, keeps and
 * boots real module files, and speaks to the cloud as a board with those modules does; machine code is kept, not run.
 * An application written in TypeScript may stand in for the one that lies in the user part (docs/simulator.md).
 */
import {
  type AcceptanceRules,
  type BootCheck,
  bootCheck,
  type FirmwareModule,
  type InstalledModules,
  type Platform,
  productOf,
  type SystemDescribe,
  sha256Hex,
} from '@aloe/firmware'
import {
  cloudReason,
  cloudSystemEvent,
  type DescribeKind,
  describeToJson,
  deviceSystemEvent,
  encodeApplicationDescribe,
  encodeSystemDescribe,
  encodeVitals,
  type VariableType,
  type VariableValue,
} from '@aloe/protocol'
import { type ResetReason, resetReasonCode } from '../flash/reset-reason.ts'
import type { Millis, Timer } from '../hal/time.ts'
import { replaceFile, type Storage } from '../storage/storage.ts'
import type { Connection, ConnectionHal, ConnectionServer } from '../system/communication.ts'
import { CloudConnection } from '../system/connection/connection.ts'
import { type Dialect, dialectOf, twinHello } from './dialect.ts'
import { runTwinBootloader } from './twin-bootloader.ts'
import { TwinFlash } from './twin-flash.ts'
import { TwinUpdates } from './twin-updates.ts'

/** What stands in for the machine code of the application; it runs in normal mode only. */
export interface TwinApplication {
  readonly functions?: Readonly<Record<string, (argument: string) => number>>
  readonly variables?: Readonly<Record<string, { readonly type: VariableType; readonly value: () => VariableValue }>>
  /** `setup()`: the application starts. */
  start?(twin: Twin): void
}

export interface TwinOptions {
  readonly platform: Platform
  readonly storage: Storage
  /** Clock, timers, chance and network. */
  readonly hal: ConnectionHal
  /** 24 hexadecimal digits. */
  readonly deviceId: string
  /** PKCS#1 DER for boards on TCP, SEC1 DER for those on UDP. */
  readonly deviceKey: Uint8Array
  /** SPKI DER: RSA for boards on TCP, P-256 for those on UDP. */
  readonly serverKey: Uint8Array
  readonly server: ConnectionServer
  /** Module files that the factory puts into an empty flash. */
  readonly modules?: readonly Uint8Array[]
  readonly application?: TwinApplication
  /** What the board goes by; a board's own unless a test turns one off. */
  readonly rules?: TwinRules
  readonly handlers?: TwinHandlers
}

export interface TwinRules {
  /** How it accepts an update. */
  readonly update?: AcceptanceRules
  /** How it decides between normal and safe mode. */
  readonly boot?: typeof bootCheck
}

export interface TwinHandlers {
  /** The bootloader has run, and the system starts or does not. */
  booted?(twin: Twin): void
  /** A module was received and accepted. */
  accepted?(modules: readonly FirmwareModule[]): void
  /** Something failed where nobody waits for it; what a storage throws that has lost its power, for example. */
  failed?(error: unknown): void
}

/** `dead`: no bootloader that could run. `dfu`: no system; a cable would help. */
export type TwinState = 'off' | 'starting' | 'dead' | 'dfu' | 'running'

/** From the reset to the first word to the network. */
const startTime: Millis = 1_500
/** Bytes per millisecond that a bootloader copies. */
const copySpeed = 40
/** From an accepted update to the reset, in which the board says goodbye. */
const resetDelay: Millis = 1_000
/** How long an ESP32 takes to be written; minutes in life (modules-and-platforms.md 1.8). */
const coprocessorTime: Millis = 20_000
const sessionFile = 'dtls-session.bin'

/** Makes a twin that is switched off; `start()` switches it on. */
export function createTwin(options: TwinOptions): Twin {
  return new Twin(options)
}

export class Twin {
  readonly platform: Platform
  readonly deviceId: string
  readonly #options: TwinOptions
  readonly #flash: TwinFlash
  #state: TwinState = 'off'
  #check: BootCheck | undefined
  #dialect: Dialect
  #updates: TwinUpdates | undefined
  #connection: Connection | undefined
  #timers = new Set<Timer>()
  /** Why the board started; survives a reset, and not a power cut. */
  #resetReason: ResetReason = 'none'
  #lastResetTold = true
  #updated = false
  #safeModeRequested = false
  #enabled = true
  #forced = false
  #pending = false
  #timeKnown = false
  #boots = 0

  constructor(options: TwinOptions) {
    const { platform, storage, deviceId, modules = [] } = options
    this.#options = options
    this.platform = platform
    this.deviceId = deviceId
    this.#flash = new TwinFlash(storage, platform)
    if (storage.list('slot-').length === 0) for (const bytes of modules) this.#flash.factoryInstall(bytes)
    this.#dialect = this.#dialectNow()
  }

  get state(): TwinState {
    return this.#state
  }

  /** How many times the bootloader has run. */
  get boots(): number {
    return this.#boots
  }

  /** What the system decided at its start; undefined while none runs. */
  get check(): BootCheck | undefined {
    return this.#state === 'running' ? this.#check : undefined
  }

  get mode(): 'normal' | 'safe' | undefined {
    return this.check?.mode
  }

  /** What lies in the flash now. */
  get modules(): InstalledModules {
    return this.#flash.installed()
  }

  get online(): boolean {
    return this.#connection?.status === 'connected'
  }

  get updating(): boolean {
    return this.#updates?.active === true
  }

  get dialect(): Dialect {
    return this.#dialect
  }

  /** The cloud said that an update waits (`particle/device/updates/pending`). */
  get updatesPending(): boolean {
    return this.#pending
  }

  get updatesEnabled(): boolean {
    return this.#enabled
  }

  // Power and resets.

  /** The power comes. */
  start(): void {
    if (this.#state !== 'off') return
    this.#updated = false
    this.#safeModeRequested = false
    this.#boot('power_down')
  }

  /** The power goes, without a word. */
  stop(): void {
    this.#state = 'off'
    this.#drop()
  }

  /** The board starts again: by its button or an external watchdog (`pin_reset`), its own (`watchdog`), its system. */
  reset(reason: ResetReason): void {
    if (this.#state === 'off' || this.#state === 'dead') return
    this.#drop()
    this.#boot(reason)
  }

  /** The MODE button was held while it started: safe mode. */
  resetToSafeMode(): void {
    this.#safeModeRequested = true
    this.reset('safe_mode')
  }

  #drop(): void {
    for (const timer of this.#timers) timer.cancel()
    this.#timers.clear()
    this.#updates?.abandon()
    const connection = this.#connection
    this.#connection = undefined
    connection?.close()
    this.#updates = undefined
  }

  #boot(reason: ResetReason): void {
    this.#boots++
    this.#state = 'starting'
    this.#check = undefined
    this.#resetReason = reason
    this.#lastResetTold = reason === 'none'
    this.#timeKnown = false
    const run = runTwinBootloader(this.#flash)
    if (!run) {
      this.#state = 'dead'
      this.#options.handlers?.booted?.(this)
      return
    }
    if (run.applied.length > 0) this.#updated = true
    this.#later(startTime + run.copied / copySpeed, () => this.#startSystem(run.bootable))
  }

  #startSystem(bootable: boolean): void {
    if (!bootable) {
      this.#state = 'dfu'
      this.#options.handlers?.booted?.(this)
      return
    }
    const { boot: check = bootCheck } = this.#options.rules ?? {}
    this.#check = check(this.platform, this.#flash.installed(), {
      assets: this.#flash.assets(),
      safeModeRequested: this.#safeModeRequested,
    })
    this.#safeModeRequested = false
    this.#enabled = true
    this.#forced = false
    this.#pending = false
    this.#state = 'running'
    this.#dialect = this.#dialectNow()
    this.#updates = new TwinUpdates(
      this.#flash,
      {
        now: () => this.#options.hal.now(),
        allowed: () => this.#enabled || this.#forced,
        resumes: () => this.#dialect.resumes,
        applied: (modules, direct) => this.#applied(modules, direct),
        refused: () => {
          // Boards of the chunked transfer restart after a file that was of no use (device-protocol.md 3.18).
          if (!this.#dialect.resumes) this.#resetSoon('update_error', 0)
        },
      },
      this.#options.rules?.update,
    )
    this.#options.handlers?.booted?.(this)
    if (this.#check.mode === 'normal') this.#options.application?.start?.(this)
    this.#connect()
  }

  #applied(modules: readonly FirmwareModule[], direct: boolean): void {
    this.#options.handlers?.accepted?.(modules)
    if (direct) this.#updated = true
    const slow = modules.some((module) => module.function === 'ncp_firmware')
    this.#resetSoon('update', slow ? coprocessorTime : 0)
  }

  #resetSoon(reason: ResetReason, after: Millis): void {
    this.#later(after, () => {
      const goodbye = this.#dialect.deviceDescribes
        ? { cloudReason: cloudReason.systemReset, resetReason: resetReasonCode(reason) }
        : undefined
      this.#connection?.disconnect(goodbye).catch((error: unknown) => this.#options.handlers?.failed?.(error))
      this.#later(resetDelay, () => this.reset(reason))
    })
  }

  #later(delay: Millis, fn: () => void): void {
    const timer = this.#options.hal.setTimer(delay, () => {
      this.#timers.delete(timer)
      fn()
    })
    this.#timers.add(timer)
  }

  // The application's part.

  /** `System.enableUpdates()` and `System.disableUpdates()`; each start begins with them enabled. */
  setUpdatesEnabled(on: boolean): void {
    if (this.#enabled === on || this.#state !== 'running') return
    this.#enabled = on
    if (this.#dialect.updateFlags) this.#say(deviceSystemEvent.updatesEnabled, String(on))
  }

  /** `Particle.publish`. */
  publish(name: string, data: string): void {
    this.#connection?.publish({ name, data: Buffer.from(data) })
  }

  #say(name: string, data: string): void {
    this.#connection?.publish({ name, data: Buffer.from(data), ttl: 60 })
  }

  // The cloud.

  #dialectNow(): Dialect {
    const version = (name: 'system_part' | 'bootloader' | 'mono_firmware', index: number) =>
      this.#flash.module({ function: name, index })?.version
    return dialectOf(this.platform, {
      system: version('system_part', 1) ?? version('mono_firmware', 0) ?? 0,
      bootloader: version('bootloader', 0) ?? 0,
    })
  }

  #connect(): void {
    const { hal, deviceId, deviceKey, serverKey, server, storage } = this.#options
    const updates = this.#updates
    if (!updates) return
    const { transport, dtls, keepAlive } = this.#dialect
    const connection: Connection = new CloudConnection({
      hal,
      deviceId,
      deviceKey,
      serverKey,
      server,
      ...(transport === 'udp' && {
        udp: {
          deviceKey,
          serverKey,
          server,
          dialect: dtls,
          sessions: {
            load: () => storage.read(sessionFile),
            save: (session) => {
              if (session) replaceFile(storage, sessionFile, session)
              else storage.remove(sessionFile)
            },
          },
        },
      }),
      mode: this.#check?.mode ?? 'normal',
      hello: () => this.#hello(),
      updateTarget: updates,
      handlers: {
        status: () => {},
        ready: () => this.#announce(connection),
        failed: () => {},
        describe: (kind) => this.#describe(kind),
        ...(!this.#dialect.deviceDescribes && { describeAll: () => this.#describeAll() }),
        call: (name, argument, reply) => {
          const run = this.#application()?.functions?.[name]
          if (run) reply(run(argument))
          return run !== undefined
        },
        variable: (name, reply) => reply(this.#application()?.variables?.[name]?.value()),
        event: (name, data) => this.#event(name, Buffer.from(data).toString('utf8')),
        time: () => {
          this.#timeKnown = true
        },
        signal: () => {},
      },
    })
    this.#connection = connection
    if (keepAlive !== undefined) connection.setKeepAlive(keepAlive)
    connection.connect()
  }

  #application(): TwinApplication | undefined {
    return this.mode === 'normal' ? this.#options.application : undefined
  }

  #hello() {
    const installed = this.#flash.installed()
    const user = this.#userModule()
    const system = installed.find((module) => module.function === 'system_part' && module.index === 1)
    return twinHello(
      this.platform,
      this.#dialect,
      system?.version ?? 0,
      user && productOf(user)?.version,
      this.#updated,
    )
  }

  #userModule(): FirmwareModule | undefined {
    const slot = this.platform.slots.find((s) => s.function === 'user_part' && this.#flash.module(s)?.crcValid)
    return slot && this.#flash.module(slot)
  }

  #announce(connection: Connection): void {
    const check = this.#check
    if (this.#connection !== connection || !check) return
    this.#updated = false
    const lastReset = this.#lastResetTold ? undefined : this.#resetReason
    this.#lastResetTold = true
    connection.announce({
      time: !this.#timeKnown,
      safeMode: check.mode === 'safe',
      lastReset,
      ...(this.#dialect.updateFlags && { updatesEnabled: this.#enabled, updatesForced: this.#forced }),
      subscriptions: [],
    })
  }

  #event(name: string, data: string): void {
    if (name === cloudSystemEvent.updatesForced) {
      this.#forced = data === 'true'
      // Told back as the acknowledgement (device-protocol.md 3.16).
      if (this.#dialect.updateFlags) this.#say(deviceSystemEvent.updatesForced, String(this.#forced))
    } else if (name === cloudSystemEvent.updatesPending) this.#pending = data === 'true'
    else if (name === cloudSystemEvent.reset) {
      if (data === 'safe mode') this.#later(0, () => this.resetToSafeMode())
      else if (data === 'reboot') this.#later(0, () => this.reset('user'))
    }
  }

  // Describes.

  #describe(kind: DescribeKind): Uint8Array {
    if (kind === 'metrics') return encodeVitals([])
    if (kind === 'application') {
      const { functions = {}, variables = {} } = this.#application() ?? {}
      const types = Object.entries(variables).map(([name, { type }]) => [name, type] as const)
      return encodeApplicationDescribe(Object.keys(functions), Object.fromEntries(types))
    }
    const describe = this.systemDescribe()
    if (this.#dialect.systemDescribe === 'protobuf') return encodeSystemDescribe(describe)
    return Buffer.from(describeToJson(describe), 'utf8')
  }

  /** One document: `f` and `v` of the application beside `p` and `m` of the system (device-protocol.md 3.8.3). */
  #describeAll(): Uint8Array {
    const application = JSON.parse(Buffer.from(this.#describe('application')).toString('utf8')) as object
    const system = JSON.parse(describeToJson(this.systemDescribe())) as object
    return Buffer.from(JSON.stringify({ ...application, ...system }), 'utf8')
  }

  /** What the board says of its modules. */
  systemDescribe(): SystemDescribe {
    const { assets: limits, connectivity, id } = this.platform
    const assets = this.#flash.assets()
    const { modules } = bootCheck(this.platform, this.#flash.installed(), { assets })
    const modern = this.#dialect.systemDescribe === 'protobuf'
    return {
      platformId: id,
      modules,
      ...(connectivity === 'cellular' && { imei: imeiOf(this.deviceId), iccid: `89${imeiOf(this.deviceId)}000` }),
      ...(modern && limits && assets.length > 0 && { assets }),
    }
  }
}

/** Fifteen digits that are a device's own. */
function imeiOf(deviceId: string): string {
  const digits = BigInt(`0x${sha256Hex(Buffer.from(deviceId)).slice(0, 16)}`) % 10n ** 15n
  return digits.toString().padStart(15, '0')
}
