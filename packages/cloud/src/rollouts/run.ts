/** A rollout that is not over: the devices on their way, how many in which state, and whose turn it is. In memory. */
import type { Target } from '../products/targeting.ts'
import {
  type DeviceCounts,
  noDevices,
  type RolloutDevice,
  type RolloutDeviceState,
  type RolloutRecord,
} from './rollout.ts'

export interface RunDevice extends RolloutDevice {
  /** It has connected since it was to have the version, or need not: it may be updated. */
  ready: boolean
  /** Its rollout was held or ended, and its update is being taken back. */
  recalled: boolean
}

export class Run {
  readonly record: RolloutRecord
  readonly devices = new Map<string, RunDevice>()
  readonly #counts = noDevices()
  /** Who waits for their turn, the longest first; some may have left since. */
  #queue: RunDevice[] = []
  #head = 0
  /** What had ended when the owner last said that it should go on: it halts by what fails after that. */
  #endedBefore = { failed: 0, done: 0 }

  constructor(record: RolloutRecord) {
    this.record = record
  }

  get id(): string {
    return this.record.id
  }

  get counts(): DeviceCounts {
    return { ...this.#counts }
  }

  get queued(): number {
    return this.#counts.queued
  }

  get goesOn(): boolean {
    return this.record.state === 'running'
  }

  /** Devices on their way. */
  get open(): number {
    const { failed: _, done: __, ...rest } = this.#counts
    return Object.values(rest).reduce((sum, count) => sum + count, 0)
  }

  /** Percent of failures among those that ended since the owner last said to go on. */
  get failures(): { readonly failed: number; readonly percent: number } {
    const failed = this.#counts.failed - this.#endedBefore.failed
    const done = this.#counts.done - this.#endedBefore.done
    return { failed, percent: failed <= 0 ? 0 : (100 * failed) / (failed + Math.max(0, done)) }
  }

  /** What failed so far is known, and it goes on all the same. */
  countFromHere(): void {
    const { failed, done } = this.#counts
    this.#endedBefore = { failed, done }
  }

  add(deviceId: string, why: Target['why'], now: number, from: Partial<RolloutDevice> = {}): RunDevice {
    const device: RunDevice = {
      deviceId,
      why,
      state: 'waiting',
      attempts: 0,
      jobId: null,
      reason: null,
      next: null,
      retryAt: null,
      updatedAt: now,
      ...from,
      ready: false,
      recalled: false,
    }
    this.devices.set(deviceId, device)
    this.#counts[device.state]++
    return device
  }

  remove(device: RunDevice): void {
    if (this.devices.get(device.deviceId) !== device) return
    this.devices.delete(device.deviceId)
    this.#counts[device.state]--
  }

  /** @returns whether it is another state than before */
  change(device: RunDevice, state: RolloutDeviceState, now: number): boolean {
    if (device.state === state) return false
    this.#counts[device.state]--
    this.#counts[state]++
    device.state = state
    device.updatedAt = now
    return true
  }

  enqueue(device: RunDevice): void {
    this.#queue.push(device)
  }

  /** Whoever waits the longest and is still queued. */
  next(): RunDevice | undefined {
    while (this.#head < this.#queue.length) {
      const device = this.#queue[this.#head]
      this.#head++
      if (this.#head > 1_000) {
        this.#queue.splice(0, this.#head)
        this.#head = 0
      }
      if (device?.state === 'queued' && this.devices.get(device.deviceId) === device) return device
    }
    this.#queue = []
    this.#head = 0
    return undefined
  }

  /** Of these states, or all; the last changed first. */
  list(state?: string): RunDevice[] {
    const found = [...this.devices.values()].filter((device) => state === undefined || device.state === state)
    return found.sort((a, b) => b.updatedAt - a.updatedAt || (a.deviceId < b.deviceId ? -1 : 1))
  }
}
