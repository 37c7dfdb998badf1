/** A device as its updates see it: whether it is there, restarts, or is about to come back, and what it is asked. */
import type { Describe } from '@aloe/protocol'
import type { Clock } from '../clock.ts'
import type { DeviceRegistry } from '../devices/registry.ts'
import type { ConnectionInfo, Gateway } from '../gateway/gateway.ts'
import type { UpdateEvents } from './update-events.ts'

export interface DeviceLinkContext {
  readonly clock: Clock
  readonly gateway: Gateway
  readonly registry: Pick<DeviceRegistry, 'get'>
  readonly events: UpdateEvents
}

/** A device that took a module is expected back within this time: it may keep its application for 30 s (4.4). */
export const restartTime = 120_000
/** A co-processor is written before the restart, which takes minutes (modules-and-platforms.md 1.8). */
const coprocessorTime = 10 * 60_000
/** A device that drops its connection after a refusal is back within about a second; connecting may take longer. */
const returnTime = 5_000
/** A battery does not change faster than it matters. */
const batteryKept = 5 * 60_000

/** The application's function that is asked for consent (docs/updates.md). */
export const consentFunction = 'mayUpdate'

export class DeviceLink {
  readonly deviceId: string
  readonly #context: DeviceLinkContext
  /** The connection in which a file was taken: the device restarts, nothing more happens in it. */
  #sentIn: number | undefined
  #sentAt = 0
  #restartTime = restartTime
  #backUntil = 0
  #pendingTold: boolean | undefined
  #battery: { readonly percent: number | undefined; readonly at: number } | undefined

  constructor(deviceId: string, context: DeviceLinkContext) {
    this.deviceId = deviceId
    this.#context = context
  }

  get connection(): ConnectionInfo | undefined {
    return this.#context.gateway.connection(this.deviceId)
  }

  /** The device took a file. @param coprocessor the file, or a part of it, is for the co-processor */
  taken(connection: ConnectionInfo, coprocessor = false): void {
    this.#restartTime = coprocessor ? coprocessorTime : restartTime
    this.#sentIn = connection.serial
    this.#sentAt = this.#context.clock.now()
  }

  /** The device restarts to install what it was sent. */
  get restarting(): boolean {
    return this.#sentIn !== undefined && this.#context.clock.now() - this.#sentAt < this.#restartTime
  }

  /**
   * Still in the connection in which the device took a file. Not for ever: the power may have gone before it was put
   * aside, and a device of Device OS 3.1 to 3.3 that resumes its session does not show that it restarted
   * (device-protocol.md 2.6.2).
   */
  rests(connection: ConnectionInfo): boolean {
    if (connection.serial === this.#sentIn && this.restarting) return true
    this.#sentIn = undefined
    return false
  }

  /** The connection has ended, or will, and the device makes another one at once. */
  expectBack(): void {
    this.#backUntil = this.#context.clock.now() + returnTime
  }

  /** Unix milliseconds until which the device may be away without being gone; undefined when it is not expected. */
  get expectedUntil(): number | undefined {
    const until = Math.max(this.#backUntil, this.#sentIn === undefined ? 0 : this.#sentAt + this.#restartTime)
    return until > this.#context.clock.now() ? until : undefined
  }

  get updatesAllowed(): boolean {
    const device = this.#context.registry.get(this.deviceId)
    return device ? device.updatesEnabled || device.updatesForced : false
  }

  /** Something waits for the device to allow updates, or nothing does any more: it is told, and its owner. */
  tellPending(on: boolean): void {
    if (this.#pendingTold === on) return
    this.#pendingTold = on
    this.#context.gateway.publishSystem(this.deviceId, 'particle/device/updates/pending', String(on))
    this.#context.events.pending(this.deviceId, on)
  }

  get pendingTold(): boolean {
    return this.#pendingTold === true
  }

  /** Percent, by the device's own vitals; undefined when it does not say. */
  async battery(): Promise<number | undefined> {
    const now = this.#context.clock.now()
    if (this.#battery && now - this.#battery.at < batteryKept) return this.#battery.percent
    const answer = await this.#context.gateway.requestDescribe(this.deviceId, 'metrics')
    const percent = answer.ok ? batteryOf(answer.value) : undefined
    this.#battery = { percent, at: now }
    return percent
  }

  /**
   * Asks the application. A positive answer is a yes; a negative one asks to be asked again after so many seconds.
   *
   * @returns undefined when it cannot be asked
   */
  async askConsent(what: string): Promise<number | undefined> {
    const answer = await this.#context.gateway.call(this.deviceId, consentFunction, what.slice(0, 600))
    return answer.ok ? answer.value : undefined
  }

  get hasConsentFunction(): boolean {
    return this.#context.registry.get(this.deviceId)?.functions?.includes(consentFunction) === true
  }
}

function batteryOf(describes: readonly Describe[]): number | undefined {
  for (const describe of describes) {
    if (describe.kind !== 'metrics') continue
    const vital = describe.vitals.find(({ name }) => name === 'batt:soc')
    // A device without a battery says an error, or less than nothing.
    if (vital?.value !== undefined && vital.value >= 0) return vital.value
  }
  return undefined
}
