/**
 * Runs a device as processes: this one is its mask ROM, which starts the bootloader's process again and again; that one
 * starts the system's, and that one the application's thread. Each runs the code inside the installed modules, and dies
 * with its parent.
 */
import type { BootDecision } from '../boot/decision.ts'
import { type LedState, type LogLevel, realClock } from '../hal/index.ts'
import { bootLed } from './boot-led.ts'
import { type Child, startChild } from './child-process.ts'
import { type DeviceFile, platformOf, readDeviceFile } from './device-folder.ts'
import { endLeftovers, lockDevice } from './device-processes.ts'
import type { BootMessage, BootProcessInput } from './messages.ts'
import { RestartDelay } from './restart-delay.ts'

export type DevicePhase =
  /** The bootloader runs. */
  | 'bootloader'
  /** The system's process starts. */
  | 'starting'
  /** The system runs, in normal or safe mode. */
  | 'system'
  /** The bootloader stays, as the system cannot be started. */
  | 'dfu'
  /** The bootloader itself cannot run. */
  | 'unusable'
  /** Waits before it boots again, as it failed often. */
  | 'waiting'
  | 'off'

export interface DeviceStatus {
  readonly phase: DevicePhase
  /** How often it booted since power came on. */
  readonly boots: number
  /** What the last boot decided: mode, modules, reset reason. */
  readonly decision?: BootDecision
  readonly led?: LedState
  /** Why it is in this phase, where that needs words. */
  readonly reason?: string
  readonly bootloaderPid?: number
  readonly systemPid?: number
}

export interface DeviceLine {
  readonly from: 'rom' | 'bootloader' | 'system' | 'output'
  readonly level: LogLevel
  /** Logging category of the system and the application. */
  readonly category?: string
  readonly message: string
}

export interface RunDeviceOptions {
  /** The device's folder, as `createDevice` makes it. */
  readonly dir: string
  readonly onStatus?: (status: DeviceStatus) => void
  readonly onLed?: (led: LedState) => void
  readonly onLog?: (line: DeviceLine) => void
  /** The watchdog bites when the system has not fed it for so long, ms; 10 s unless given. */
  readonly watchdog?: number
}

export interface RunningDevice {
  readonly device: DeviceFile
  readonly status: DeviceStatus
  /** Switches it off: the system says goodbye to the cloud, the processes end. */
  stop(): Promise<void>
  /** Presses the reset button. */
  reset(): void
  /** Resolves when it is off. */
  readonly off: Promise<void>
}

const defaultWatchdog = 10_000
/** A bootloader's process that does not end by itself when told to is ended. */
const stopAllowance = 8_000

const bootProcess = new URL('./boot-process.ts', import.meta.url)

/**
 * Switches a device on.
 * @throws DeviceFolderError when there is none in the folder, DeviceBusyError when it runs already
 */
export function runDevice(options: RunDeviceOptions): RunningDevice {
  const device = readDeviceFile(options.dir)
  platformOf(device)
  const unlock = lockDevice(options.dir)
  const rom = new RomProcess(options, device)
  const off = rom.run().finally(unlock)
  // Whoever waits for it hears of a failure; nobody has to wait.
  off.catch(() => {})
  return {
    device,
    get status() {
      return rom.status
    },
    stop: async () => {
      rom.stop()
      await off
    },
    reset: () => rom.resetPin(),
    off,
  }
}

class RomProcess {
  readonly #options: RunDeviceOptions
  readonly #device: DeviceFile
  readonly #delay = new RestartDelay()
  #status: DeviceStatus = { phase: 'bootloader', boots: 0 }
  #stopping = false
  #bootloader: Child<BootProcessInput> | undefined
  #wake: (() => void) | undefined
  /** How the running boot came to its end, as its process told. */
  #returned: { orderly: boolean } | undefined
  #unusable: string | undefined

  constructor(options: RunDeviceOptions, device: DeviceFile) {
    this.#options = options
    this.#device = device
  }

  get status(): DeviceStatus {
    return this.#status
  }

  async run(): Promise<void> {
    try {
      for (let powerOn = true; !this.#stopping; powerOn = false) {
        const began = performance.now()
        const orderly = await this.#boot(powerOn)
        if (this.#unusable !== undefined) {
          await this.#untilStopped({ phase: 'unusable', reason: this.#unusable })
          return
        }
        const delay = this.#delay.after(orderly, performance.now() - began)
        if (delay > 0 && !this.#stopping) {
          this.#log('warn', `failed again; boots in ${delay / 1000} s`)
          this.#change({ ...this.#lasting(), phase: 'waiting', reason: 'it failed several times in a row' })
          await this.#sleep(delay)
        }
      }
    } finally {
      await endLeftovers(this.#options.dir)
      this.#change({ ...this.#lasting(), phase: 'off' })
    }
  }

  stop(): void {
    this.#stopping = true
    this.#wake?.()
    const bootloader = this.#bootloader
    if (!bootloader) return
    bootloader.send({ type: 'stop' })
    setTimeout(() => bootloader.process.kill('SIGKILL'), stopAllowance).unref()
  }

  resetPin(): void {
    this.#bootloader?.send({ type: 'reset-pin' })
    this.#wake?.()
  }

  /** One boot. @returns whether it ended as it should */
  async #boot(powerOn: boolean): Promise<boolean> {
    const { dir, watchdog = defaultWatchdog } = this.#options
    // A system that outlived its bootloader must not write the flash any more.
    await endLeftovers(dir)
    if (this.#stopping) return true
    this.#returned = undefined
    const { platformId } = this.#device
    const child = startChild<BootProcessInput, BootMessage>(
      bootProcess,
      { dir, platformId, parent: process.pid, powerOn, watchdog },
      (message) => this.#receive(message),
      (text) => this.#options.onLog?.({ from: 'output', level: 'info', message: text }),
    )
    this.#bootloader = child
    const { pid } = child.process
    this.#change({
      ...this.#lasting(),
      phase: 'bootloader',
      boots: this.#status.boots + 1,
      ...(pid !== undefined && { bootloaderPid: pid }),
    })
    const { code, signal } = await child.ended
    this.#bootloader = undefined
    const returned = this.#returned as { readonly orderly: boolean } | undefined
    if (returned) return returned.orderly
    if (this.#unusable === undefined) {
      this.#log('error', `the bootloader's process ended: ${signal ?? `exit code ${code}`}`)
    }
    return false
  }

  #receive(message: BootMessage): void {
    const { status } = this
    switch (message.type) {
      case 'led':
        this.#showLed(message.led)
        break
      case 'log': {
        const { level, category, message: text } = message.record
        this.#options.onLog?.({ from: 'system', level, category, message: text })
        break
      }
      case 'line':
        this.#options.onLog?.({ from: 'bootloader', ...message.line })
        break
      case 'signal':
        this.#showLed(bootLed(message.signal, realClock.now()))
        break
      case 'decided': {
        const { decision, systemPid } = message
        const { reason: _, ...rest } = status
        this.#change({ ...rest, phase: 'starting', decision, ...(systemPid !== undefined && { systemPid }) })
        break
      }
      case 'system-started':
        this.#change({ ...status, phase: 'system' })
        break
      case 'system-ended': {
        const { systemPid: _, ...rest } = status
        this.#change({ ...rest, phase: 'bootloader' })
        if (message.kind !== 'reset' && message.kind !== 'off') this.#log('error', message.words)
        break
      }
      case 'stays':
        this.#change({ ...status, phase: 'dfu', reason: message.reason })
        break
      case 'returned':
        this.#returned = { orderly: message.orderly }
        break
      case 'unusable':
        this.#unusable = message.message
        this.#log('error', `the bootloader cannot run: ${message.message}`)
        break
      case 'ready':
        break
    }
  }

  /** What stays true when processes end. */
  #lasting(): Pick<DeviceStatus, 'boots' | 'decision' | 'led'> {
    const { boots, decision, led } = this.#status
    return { boots, ...(decision && { decision }), ...(led && { led }) }
  }

  #change(status: DeviceStatus): void {
    this.#status = status
    this.#options.onStatus?.(status)
  }

  /** The LED toggles with every chunk of an update: the status changes only when it shows something else. */
  #showLed(led: LedState): void {
    this.#options.onLed?.(led)
    const other = led.words !== this.#status.led?.words
    this.#status = { ...this.#status, led }
    if (other) this.#options.onStatus?.(this.#status)
  }

  #log(level: LogLevel, message: string): void {
    this.#options.onLog?.({ from: 'rom', level, message })
  }

  #sleep(delay: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, delay)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  /** Nothing can be started any more: stays as it is until it is switched off. */
  async #untilStopped(status: Pick<DeviceStatus, 'phase' | 'reason'>): Promise<void> {
    this.#change({ ...this.#lasting(), ...status })
    if (this.#stopping) return
    // A timer keeps this process, and with it the device, alive.
    const keep = setInterval(() => {}, 60_000)
    await new Promise<void>((resolve) => {
      this.#wake = () => this.#stopping && resolve()
    })
    clearInterval(keep)
  }
}
