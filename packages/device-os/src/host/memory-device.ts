/**
 * A device in memory: the same bootloader, system and application, from the code inside its modules, with hundreds of
 * such devices in one process. A module's body is evaluated once for all of them; a reset runs the boot again from the
 * device's own storage.
 */
import { type Platform, platformByName } from '@aloe/firmware'
import type { BootDecision } from '../boot/decision.ts'
import type { Rom, SystemEnd } from '../boot/rom.ts'
import { Flash } from '../flash/flash.ts'
import type { ResetReason } from '../flash/reset-reason.ts'
import {
  type Clock,
  connectTcp,
  connectUdp,
  inlineRunner,
  type LedState,
  type Millis,
  PinBank,
  realClock,
  type TcpHandlers,
  type TcpSocket,
  type UdpHandlers,
  type UdpSocket,
  VirtualHal,
} from '../hal/index.ts'
import { openRelease, type ReleaseFolder, releaseModules } from '../release/release-folder.ts'
import { MemoryStorage } from '../storage/memory-storage.ts'
import type { Storage } from '../storage/storage.ts'
import type { RunningSystem } from '../system/system-input.ts'
import { bootLed } from './boot-led.ts'
import { newDeviceId } from './device-identity.ts'
import { ModuleBodyError } from './evaluate.ts'
import { installedBootloader } from './installed-bootloader.ts'
import { type NewDeviceOptions, newConfig } from './new-config.ts'
import { RestartDelay } from './restart-delay.ts'
import type { DeviceLine, DevicePhase } from './run-device.ts'
import { RunScope } from './run-scope.ts'
import { startInstalledSystem } from './start-system.ts'

export interface MemoryDeviceOptions extends NewDeviceOptions {
  /** The Device OS to install: a release folder, or its path. Not needed with a `storage` that holds one. */
  readonly release?: ReleaseFolder | string
  /** A module file of an application. */
  readonly application?: Uint8Array
  readonly platform?: string
  readonly id?: string
  /** The flash of a device that was there before; otherwise a new one. */
  readonly storage?: Storage
  /** Real time unless given. */
  readonly clock?: Clock
  /** Real connections unless given. */
  readonly connectTcp?: (host: string, port: number, handlers: TcpHandlers) => TcpSocket
  /** Real sockets unless given. */
  readonly connectUdp?: (host: string, port: number, handlers: UdpHandlers) => UdpSocket
  readonly random?: (length: number) => Uint8Array
  /** Seconds since 1970 that the device knows when power comes on. */
  readonly unixTime?: number
  /** Pause between two turns of the application's `loop()`. */
  readonly loopInterval?: Millis
  readonly onStatus?: (status: MemoryDeviceStatus) => void
  readonly onLed?: (led: LedState) => void
  readonly onLog?: (line: DeviceLine) => void
}

export interface MemoryDeviceStatus {
  readonly phase: DevicePhase
  readonly boots: number
  readonly decision?: BootDecision
  readonly led?: LedState
  readonly reason?: string
}

/** The modules of a release, read once, so that all devices share their bytes. */
const modulesOfRelease = new Map<string, readonly Uint8Array[]>()

function sharedModules(release: ReleaseFolder | string): readonly Uint8Array[] {
  const folder = typeof release === 'string' ? openRelease(release) : release
  const key = folder.manifest.modules.map((module) => module.sha256).join()
  let modules = modulesOfRelease.get(key)
  if (!modules) {
    modules = releaseModules(folder).map(({ bytes }) => bytes)
    modulesOfRelease.set(key, modules)
  }
  return modules
}

interface Run {
  readonly scope: RunScope
  system: RunningSystem | undefined
  end(end: SystemEnd): void
}

export class MemoryDevice {
  readonly id: string
  readonly platform: Platform
  readonly storage: Storage
  readonly pins = new PinBank()
  readonly #options: MemoryDeviceOptions
  readonly #clock: Clock
  #status: MemoryDeviceStatus = { phase: 'off', boots: 0 }
  #running: Promise<void> | undefined
  #stopping = false
  #run: Run | undefined
  #wake: (() => void) | undefined

  constructor(options: MemoryDeviceOptions) {
    const platform = platformByName(options.platform ?? 'linux')
    if (!platform) throw new RangeError(`there is no platform ${options.platform}`)
    this.platform = platform
    this.#options = options
    this.#clock = options.clock ?? realClock
    this.storage = options.storage ?? new MemoryStorage()
    const { flash } = this
    if (options.release !== undefined) for (const bytes of sharedModules(options.release)) flash.install(bytes)
    if (options.application) flash.install(options.application)
    if (options.storage && !options.release) {
      this.id = flash.config.deviceId
      return
    }
    this.id = options.id ?? newDeviceId(platform)
    flash.initialize(newConfig(this.id, options))
  }

  /** The device's flash as it is now. To be changed only while the device is off. */
  get flash(): Flash {
    return new Flash(this.storage, this.platform)
  }

  get status(): MemoryDeviceStatus {
    return this.#status
  }

  /** The running system, between two boots undefined. */
  get system(): RunningSystem | undefined {
    return this.#run?.system
  }

  /** Switches it on; nothing happens when it is. */
  start(): void {
    if (this.#running) return
    this.#stopping = false
    this.#running = this.#power().finally(() => {
      this.#running = undefined
    })
    // A failure of the storage (a power cut in a test) is for those who wait.
    this.#running.catch(() => {})
  }

  /** Switches it off; gracefully with a goodbye to the cloud, otherwise as by pulling the plug. */
  async stop(graceful = true): Promise<void> {
    this.#stopping = true
    const run = this.#run
    if (run && graceful) await run.system?.stop(true)
    run?.end({ kind: 'off' })
    this.#wake?.()
    await this.#running
  }

  /** Presses the reset button. */
  reset(): void {
    this.#run?.end({ kind: 'reset', reason: 'pin_reset' })
    this.#wake?.()
  }

  /** Resolves when it is off; rejects when its storage failed. */
  get off(): Promise<void> {
    return this.#running ?? Promise.resolve()
  }

  async #power(): Promise<void> {
    const delay = new RestartDelay()
    try {
      for (let powerOn = true; !this.#stopping; powerOn = false) {
        const began = this.#clock.now()
        const orderly = await this.#boot(powerOn)
        if (orderly === undefined) return
        const wait = delay.after(orderly, this.#clock.now() - began)
        if (wait > 0 && !this.#stopping) {
          this.#change({ phase: 'waiting', reason: 'it failed several times in a row' })
          await this.#sleep(wait)
        }
      }
    } finally {
      this.#change({ phase: 'off' })
    }
  }

  /** One boot. @returns whether it ended as it should; undefined when there is nothing to boot any more */
  async #boot(powerOn: boolean): Promise<boolean | undefined> {
    this.#change({ phase: 'bootloader', boots: this.#status.boots + 1 })
    let orderly = true
    const rom: Rom = {
      storage: this.storage,
      platform: this.platform,
      powerOn,
      log: (line) => this.#options.onLog?.({ from: 'bootloader', ...line }),
      signal: (signal) => this.#showLed(bootLed(signal, this.#clock.now())),
      startSystem: async (decision) => {
        const end = await this.#startSystem(decision, powerOn)
        orderly = end.kind === 'reset' || end.kind === 'off'
        return end
      },
      stay: (reason) => this.#stay('dfu', reason),
    }
    const boot = this.#bootloader()
    if (!boot) return undefined
    await boot(rom)
    return orderly
  }

  #bootloader() {
    try {
      return installedBootloader(this.flash, true)
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      this.#change({ phase: 'unusable', reason })
      this.#options.onLog?.({ from: 'rom', level: 'error', message: `the bootloader cannot run: ${reason}` })
      return undefined
    }
  }

  #startSystem(decision: BootDecision, powerOn: boolean): Promise<SystemEnd> {
    if (this.#stopping) return Promise.resolve({ kind: 'off' })
    this.#change({ phase: 'starting', decision })
    return new Promise((resolve) => {
      const crashed = (error: unknown) =>
        run.end({ kind: 'crash', message: error instanceof Error ? (error.stack ?? error.message) : String(error) })
      const scope = new RunScope(this.#hal(powerOn), crashed)
      const run: Run = {
        scope,
        system: undefined,
        end: (end) => {
          if (this.#run !== run) return
          this.#run = undefined
          scope.end()
          const { system } = run
          if (system)
            system.stop(false).then(
              () => resolve(end),
              () => resolve(end),
            )
          else resolve(end)
        },
      }
      this.#run = run
      try {
        const system = startInstalledSystem({
          flash: this.flash,
          hal: scope.hal,
          decision,
          shared: true,
          runApplication: (_, startApplication) => {
            const clock: Clock = { now: () => scope.hal.now(), setTimer: (wait, fn) => scope.hal.setTimer(wait, fn) }
            return inlineRunner(startApplication, clock, this.#options.loopInterval)
          },
          // A reset takes effect when the system has let go of the call stack.
          reset: (reason: ResetReason, data?: number) =>
            queueMicrotask(() => run.end({ kind: 'reset', reason, ...(data !== undefined && { data }) })),
        })
        run.system = system
        if (this.#run === run) this.#change({ phase: 'system' })
        else system.stop(false).catch(crashed)
      } catch (error) {
        if (error instanceof ModuleBodyError) run.end({ kind: 'unusable', message: error.message })
        else crashed(error)
      }
    })
  }

  #hal(powerOn: boolean): VirtualHal {
    const { unixTime, random, onLog } = this.#options
    return new VirtualHal({
      clock: this.#clock,
      connectTcp: this.#options.connectTcp ?? connectTcp,
      connectUdp: this.#options.connectUdp ?? connectUdp,
      pins: this.pins,
      onLed: (led) => this.#showLed(led),
      onLog: ({ level, category, message }) => onLog?.({ from: 'system', level, category, message }),
      ...(random && { random }),
      ...(unixTime !== undefined && powerOn && { unixTime }),
    })
  }

  #stay(phase: DevicePhase, reason: string): Promise<void> {
    this.#change({ phase, reason })
    if (this.#stopping) return Promise.resolve()
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }

  #sleep(wait: Millis): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.setTimer(wait, resolve)
      this.#wake = () => {
        timer.cancel()
        resolve()
      }
    })
  }

  /** The LED toggles with every chunk of an update: the status changes only when it shows something else. */
  #showLed(led: LedState): void {
    this.#options.onLed?.(led)
    const other = led.words !== this.#status.led?.words
    this.#status = { ...this.#status, led }
    if (other) this.#options.onStatus?.(this.#status)
  }

  #change(change: Partial<MemoryDeviceStatus>): void {
    const { reason: _, ...rest } = this.#status
    this.#status = { ...rest, ...change }
    this.#options.onStatus?.(this.#status)
  }
}
