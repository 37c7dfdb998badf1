/** What is known of a rollout, and of a device in it. */
import type { Target } from '../products/targeting.ts'

export type RolloutState =
  | 'running'
  /** Its owner held it. */
  | 'paused'
  /** It held itself: too many devices failed. */
  | 'halted'
  /** Its owner ended it: devices that have not got the version get it no more, unless it is released again. */
  | 'stopped'
  /** No device is to run this version any more. */
  | 'superseded'

/** One version of a product's firmware, on its way to the devices that should run it. */
export interface RolloutRecord {
  readonly id: string
  readonly productId: number
  readonly version: number
  state: RolloutState
  /** Why it is halted. */
  reason: string | null
  /** User name or client id of who released it; empty where a lock alone asks for the version. */
  readonly startedBy: string
  /** Unix milliseconds, as all times here. */
  readonly createdAt: number
  updatedAt: number
  finishedAt: number | null
}

export const deviceStates = [
  /** For the device: until it connects. */
  'waiting',
  /** For its turn. */
  'queued',
  /** Its update is under way. */
  'updating',
  /** Its update waits: for the device, its application, its owner's policy. */
  'held',
  /** The application is there, and needs a newer Device OS, which is on its way. */
  'healing',
  /** It failed, and is tried again later. */
  'retrying',
  'failed',
  /** The application runs. */
  'done',
] as const
export type RolloutDeviceState = (typeof deviceStates)[number]

/** What is stored: everything else follows from releases, from what devices run, and from their jobs. */
export const lasting: ReadonlySet<RolloutDeviceState> = new Set(['healing', 'retrying', 'failed', 'done'])

export type DeviceCounts = Readonly<Record<RolloutDeviceState, number>>

export function noDevices(): Record<RolloutDeviceState, number> {
  return { waiting: 0, queued: 0, updating: 0, held: 0, healing: 0, retrying: 0, failed: 0, done: 0 }
}

/** A device on its way to the version. */
export interface RolloutDevice {
  readonly deviceId: string
  why: Target['why']
  state: RolloutDeviceState
  /** Times that its update failed since somebody last asked for a retry. */
  attempts: number
  /** The update that is, or was, under way. */
  jobId: string | null
  reason: string | null
  /** What the owner can do about it. */
  next: string | null
  /** Unix milliseconds. */
  retryAt: number | null
  updatedAt: number
}

/** How fast and how patiently a product's releases go out. */
export interface RolloutSettings {
  /** Devices of the product that are updated at a time. */
  readonly concurrent: number
  /** Updates that begin in a minute. */
  readonly perMinute: number
  /** How often a device is tried before it counts as failed. */
  readonly attempts: number
  /** Seconds between the first failure and the second attempt; each further pause is twice as long. */
  readonly retryAfter: number
  /** Percent of failures among the devices that ended, from which a rollout halts; null for never. */
  readonly haltAtFailures: number | null
  /** So many devices must have failed before it halts. */
  readonly haltAfter: number
}

export const defaultSettings: RolloutSettings = {
  concurrent: 250,
  perMinute: 600,
  attempts: 2,
  retryAfter: 30 * 60,
  haltAtFailures: 50,
  haltAfter: 20,
}

type Range = readonly [least: number, most: number]

const ranges: Readonly<Record<keyof RolloutSettings, readonly [name: string, Range]>> = {
  concurrent: ['concurrent', [1, 10_000]],
  perMinute: ['per_minute', [1, 600_000]],
  attempts: ['attempts', [1, 20]],
  retryAfter: ['retry_after', [0, 7 * 24 * 3_600]],
  haltAtFailures: ['halt_at_failures', [1, 100]],
  haltAfter: ['halt_after', [1, 1_000_000]],
}

export function settingsJson(settings: RolloutSettings): Record<string, number | null> {
  const entries = Object.entries(ranges) as [keyof RolloutSettings, (typeof ranges)[keyof RolloutSettings]][]
  return Object.fromEntries(entries.map(([key, [name]]) => [name, settings[key]]))
}

/** Reads settings as the API takes them; null is back to the default, except for `halt_at_failures`: never. */
export function readSettings(value: Readonly<Record<string, unknown>>): Partial<RolloutSettings> | string {
  const read: { -readonly [K in keyof RolloutSettings]?: RolloutSettings[K] } = {}
  const known = new Map(Object.entries(ranges).map(([key, [name, range]]) => [name, { key, range }]))
  for (const [name, given] of Object.entries(value)) {
    if (name === 'access_token') continue
    const setting = known.get(name)
    if (!setting) return `There is no setting "${name}"; there are ${[...known.keys()].join(', ')}`
    const key = setting.key as keyof RolloutSettings
    if (given === null) {
      if (key === 'haltAtFailures') read.haltAtFailures = null
      else read[key] = defaultSettings[key] as number
      continue
    }
    const [least, most] = setting.range
    const number = typeof given === 'string' && given.trim() !== '' ? Number(given) : given
    if (typeof number !== 'number' || !Number.isInteger(number) || number < least || number > most) {
      return `"${name}" must be a whole number from ${least} to ${most}`
    }
    read[key] = number
  }
  return read
}

/** What cannot be done with a rollout; the message is for people. */
export class RolloutError extends Error {
  readonly code: 'unknown-rollout' | 'wrong-state' | 'bad-value'

  constructor(code: RolloutError['code'], message: string) {
    super(message)
    this.name = 'RolloutError'
    this.code = code
  }
}
