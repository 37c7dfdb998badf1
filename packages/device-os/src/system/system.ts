/**
 * The system: keeps the device connected, updatable and indicating what it does, whatever the application does.
 */
import { panicCodes, type ResetReason, resetReasonCode } from '../flash/reset-reason.ts'
import type { LogLevel } from '../hal/hal.ts'
import type { LedState } from '../hal/led-state.ts'
import type { Millis, Timer } from '../hal/time.ts'
import type { ApiModule } from '../wiring/compose.ts'
import { systemEventConstants as systemEvent } from '../wiring/constants.ts'
import type { ReportedError } from '../wiring/messages.ts'
import { SharedState } from '../wiring/shared-state.ts'
import { ApplicationLink } from './application-link.ts'
import { createServices, type RunningServices } from './application-services.ts'
import { cloudCommand } from './cloud-events.ts'
import { CloudLink } from './cloud-link.ts'
import type { ConnectionStatus } from './communication.ts'
import { Indicator } from './indicator.ts'
import { forgetPanics, panicWait, soundAfter } from './panics.ts'
import type { RunningSystem, SystemInput } from './system-input.ts'
import { Updates } from './updates.ts'

/** How often the system shows that it is alive. */
const tick: Millis = 1_000

const statusCode: Readonly<Record<ConnectionStatus, number>> = {
  disconnected: systemEvent.cloud_status_disconnected,
  connecting: systemEvent.cloud_status_connecting,
  handshake: systemEvent.cloud_status_handshake,
  connected: systemEvent.cloud_status_connected,
  disconnecting: systemEvent.cloud_status_disconnecting,
}

/** Goodbye reasons (device-protocol.md 3.15). */
const goodbyeSystemReset = 5

interface ResetRequest {
  readonly reason: ResetReason
  readonly data: number
}

export class DeviceSystem implements RunningSystem {
  readonly #input: SystemInput
  readonly #safe: boolean
  readonly #startedAt: Millis
  readonly #state = new SharedState()
  readonly #indicator: Indicator
  readonly #updates: Updates
  readonly #cloud: CloudLink
  readonly #application: ApplicationLink | undefined
  readonly #timers = new Set<Timer>()
  #services: RunningServices | undefined
  #heldReset: ResetRequest | undefined
  #ending = false

  constructor(input: SystemInput, api: ApiModule) {
    this.#input = input
    const { hal, flash, decision } = input
    this.#safe = decision.mode === 'safe'
    this.#startedAt = hal.now()
    this.#indicator = new Indicator(hal)
    this.#initState()
    this.#updates = new Updates(flash, {
      allowed: () => this.#state.is('updatesEnabled') || this.#state.is('updatesForced'),
      begun: () => this.#updateEvent(systemEvent.firmware_update_begin, true),
      progress: () => {
        this.#indicator.change((led, now) => led.updateProgress(now))
        this.#application?.systemEvent(systemEvent.firmware_update, systemEvent.firmware_update_progress)
      },
      failed: (error, message) => {
        this.#log('warn', `the update failed: ${message} (${error})`)
        this.#updateEvent(systemEvent.firmware_update_failed, false)
      },
      applied: () => {
        this.#updateEvent(systemEvent.firmware_update_complete, true)
        this.#requestReset('update', 0)
      },
    })
    this.#cloud = new CloudLink({
      input,
      version: api.release.version,
      state: this.#state,
      updateTarget: this.#updates,
      startedAt: this.#startedAt,
      safe: this.#safe,
      application: () => this.#application,
      handlers: {
        status: (status) => this.#cloudStatus(status),
        failed: (kind) => this.#indicator.change((led, now) => led.failure(kind, now)),
        event: (name, data, contentType) => this.#cloudEvent(name, data, contentType),
        time: (seconds) => this.setTime(seconds, systemEvent.time_changed_sync),
        signal: (on) => this.#indicator.change((led, now) => led.rainbow(on, now)),
      },
    })
    this.#indicator.change((led, now) => led.signal('network_connected', true, now))
    this.#application = this.#startApplication(api)
    this.#cloud.connect()
    this.#tick()
  }

  led(): LedState {
    return this.#indicator.state()
  }

  get cloudStatus(): ConnectionStatus {
    return this.#cloud.status
  }

  async stop(graceful: boolean): Promise<void> {
    this.#ending = true
    if (graceful) {
      await this.#cloud.disconnect({
        cloudReason: goodbyeSystemReset,
        resetReason: resetReasonCode('power_down'),
      })
    }
    await this.#end()
  }

  /** The clock was set, by the application or the cloud. */
  setTime(seconds: number, how: number): void {
    const { hal } = this.#input
    hal.setUnixTime(seconds)
    this.#state.setNumber('timeOffset', seconds - hal.now() / 1000)
    if (how === systemEvent.time_changed_sync) this.#state.setNumber('timeSyncedAt', hal.now())
    this.#application?.systemEvent(systemEvent.time_changed, how)
  }

  #initState(): void {
    const { decision } = this.#input
    this.#state.set('updatesEnabled', 1)
    this.#state.set('resetEnabled', 1)
    this.#state.set('resetReason', resetReasonCode(decision.resetReason))
    this.#state.set('resetReasonData', decision.resetData)
    this.#copyTime()
    if (decision.mode === 'safe') this.#log('warn', `safe mode: ${decision.why}`)
  }

  /** The clock of the machine may be set under the system. */
  #copyTime(): void {
    const { hal } = this.#input
    const unixTime = hal.unixTime()
    if (unixTime !== undefined) this.#state.setNumber('timeOffset', unixTime - hal.now() / 1000)
  }

  #startApplication(api: ApiModule): ApplicationLink | undefined {
    const { hal, flash, runApplication } = this.#input
    if (this.#safe) return undefined
    const user = flash.installed().find((module) => module.function === 'user_part')
    if (user === undefined) return undefined
    const services = createServices({
      hal,
      state: this.#state,
      cloud: this.#cloud,
      indicator: this.#indicator,
      assets: flash.assets,
      setTime: (seconds) => this.setTime(seconds, systemEvent.time_changed_manually),
      reset: (data) => this.#reset({ reason: 'user', data }, false),
      enterSafeMode: () => this.#enterSafeMode(),
      resetEnabled: () => this.#resetAllowed(),
      showLed: (red, green, blue) => this.#application?.led(red, green, blue),
    })
    this.#services = services
    const link = new ApplicationLink({
      hal,
      run: runApplication,
      userBody: new TextDecoder().decode(user.body),
      deviceId: flash.config.deviceId,
      startedAt: this.#startedAt,
      state: this.#state,
      requests: api.requests,
      services,
      handlers: {
        registered: (setup) => this.#cloud.applicationChanged(setup),
        subscribed: (subscription) => this.#cloud.subscribed(subscription),
        panicked: (error) => this.#panicked(error, user.sha256),
      },
    })
    this.#later(soundAfter, () => forgetPanics(flash))
    return link
  }

  #cloudStatus(status: ConnectionStatus): void {
    this.#indicator.change((led, now) => {
      led.signal('cloud_connecting', status === 'connecting', now)
      led.signal('cloud_handshake', status === 'handshake', now)
      led.signal(this.#safe ? 'safe_mode' : 'cloud_connected', status === 'connected', now)
    })
    this.#state.set('cloudStatus', statusCode[status])
    this.#application?.systemEvent(systemEvent.cloud_status, statusCode[status])
  }

  #cloudEvent(name: string, data: Uint8Array, contentType: number): void {
    this.#application?.event(name, data, contentType)
    const command = cloudCommand(name, data)
    if (command === undefined) return
    switch (command.kind) {
      case 'restart':
        this.#requestReset('user', 0)
        break
      case 'safe mode':
        this.#enterSafeMode()
        break
      case 'reconnect':
        this.#cloud.reconnect()
        break
      case 'updates forced':
        this.#state.set('updatesForced', command.on ? 1 : 0)
        // Also the acknowledgement that the cloud waits for.
        this.#cloud.sayUpdatesForced()
        break
      case 'updates pending':
        this.#state.set('updatesPending', command.on ? 1 : 0)
        this.#application?.systemEvent(systemEvent.firmware_update_pending, command.on ? 1 : 0)
        break
      case 'claimed':
        this.#input.flash.updateConfig({ claimCode: undefined })
        break
      case 'unsupported':
        this.#log('warn', `the cloud asks for what this device cannot do: ${command.what}`)
    }
  }

  #updateEvent(parameter: number, active: boolean): void {
    this.#indicator.change((led, now) => led.updating(active, now))
    this.#application?.systemEvent(systemEvent.firmware_update, parameter)
  }

  #enterSafeMode(): void {
    this.#input.flash.updateConfig({ startupMode: 'safe' })
    this.#reset({ reason: 'safe_mode', data: 0 }, false)
  }

  /** The system wants to reset; the application may hold that back. */
  #requestReset(reason: ResetReason, data: number): void {
    if (this.#state.is('resetEnabled')) {
      this.#reset({ reason, data }, true)
      return
    }
    this.#heldReset = { reason, data }
    this.#state.set('resetPending', 1)
    this.#application?.systemEvent(systemEvent.reset_pending, 0)
  }

  #resetAllowed(): void {
    if (this.#heldReset !== undefined) this.#reset(this.#heldReset, true)
  }

  /** @param announce the application is told and may finish what it does */
  #reset(request: ResetRequest, announce: boolean): void {
    if (this.#ending) return
    this.#ending = true
    this.#resetNow(request, announce).catch((error: unknown) => {
      this.#log('error', `the reset was not graceful: ${error instanceof Error ? error.message : error}`)
      this.#input.reset(request.reason, request.data)
    })
  }

  async #resetNow({ reason, data }: ResetRequest, announce: boolean): Promise<void> {
    this.#log('info', `resetting: ${reason}`)
    if (announce) await this.#application?.announceReset(systemEvent.reset)
    await this.#cloud.disconnect({ cloudReason: goodbyeSystemReset, resetReason: resetReasonCode(reason) })
    await this.#end()
    this.#input.reset(reason, data)
  }

  /** The application failed. The system stays connected until it is time to try again. */
  #panicked(error: ReportedError, application: string): void {
    if (this.#ending) return
    const code = /out of memory|heap/i.test(error.message) ? panicCodes.out_of_heap : panicCodes.hard_fault
    const shown = this.#indicator.change((led, now) => led.panic(code, now))
    const wait = Math.max(shown, panicWait(this.#input.flash, application))
    this.#log('error', `the application failed: ${error.stack ?? error.message}`)
    this.#log('error', `panic ${code}; reset in ${Math.round(wait / 1000)} s`)
    this.#services?.stop()
    this.#application?.terminate().catch((failure: unknown) => this.#log('error', String(failure)))
    this.#later(wait, () => this.#reset({ reason: 'panic', data: code }, false))
  }

  #tick(): void {
    const { hal } = this.#input
    hal.feedWatchdog()
    const { total, used } = hal.memory()
    this.#state.setNumber('memoryTotal', total)
    this.#state.setNumber('memoryUsed', used)
    this.#copyTime()
    this.#later(tick, () => this.#tick())
  }

  #later(delay: Millis, fn: () => void): void {
    const timer = this.#input.hal.setTimer(delay, () => {
      this.#timers.delete(timer)
      fn()
    })
    this.#timers.add(timer)
  }

  async #end(): Promise<void> {
    this.#ending = true
    for (const timer of this.#timers) timer.cancel()
    this.#timers.clear()
    this.#services?.stop()
    this.#indicator.stop()
    this.#cloud.close()
    await this.#application?.terminate()
  }

  #log(level: LogLevel, message: string): void {
    const { hal } = this.#input
    hal.log({ level, category: 'system', message, time: hal.now() })
  }
}
