/** When and what a device may be updated to: what its owner, its groups and its product say. Pure. */
import { isInside, isTimeZone, minutesOf, nextOpening, type UpdateWindow, weekdays } from './window.ts'

/** What one of the three says. What it leaves out, the next one decides. */
export interface UpdatePolicy {
  /** `false`: no Device OS changes. */
  readonly deviceOs?: boolean
  /** `false`: no changes of the application and its assets. */
  readonly application?: boolean
  /** Only within these; at any time when empty. */
  readonly windows?: readonly UpdateWindow[]
  /** Percent that the battery must have; 0 for no such limit. */
  readonly minimumBattery?: number
  /** Ask the application first (its function `mayUpdate`). */
  readonly consent?: boolean
  /** Whether data costs; by the platform unless given. */
  readonly metered?: boolean
  /** Bytes of updates that each device may take in a month; null for no limit. */
  readonly deviceDataBudget?: number | null
  /** Bytes of updates of all devices that this policy is for, together, in a month; null for no limit. */
  readonly dataBudget?: number | null
}

/** Everything decided, for a device. A budget of all devices stays with whoever set it. */
export type DevicePolicy = Required<Omit<UpdatePolicy, 'metered' | 'dataBudget'>> & Pick<UpdatePolicy, 'metered'>

export const openPolicy: DevicePolicy = {
  deviceOs: true,
  application: true,
  windows: [],
  minimumBattery: 0,
  consent: false,
  deviceDataBudget: null,
}

/** A group's word counts before the product's, the device's before the group's; of several groups the strictest. */
export function mergePolicies(
  device: UpdatePolicy | undefined,
  groups: readonly UpdatePolicy[],
  product: UpdatePolicy | undefined,
): DevicePolicy {
  if (!device && groups.length === 0 && !product) return openPolicy
  const { dataBudget: _, ...merged } = { ...openPolicy, ...product, ...strictest(groups), ...device }
  return merged
}

function strictest(groups: readonly UpdatePolicy[]): UpdatePolicy {
  let strictest: UpdatePolicy = {}
  for (const policy of groups) strictest = stricter(strictest, policy)
  return strictest
}

function stricter(a: UpdatePolicy, b: UpdatePolicy): UpdatePolicy {
  const budgets = [a.deviceDataBudget, b.deviceDataBudget].filter((budget) => typeof budget === 'number')
  return {
    ...a,
    ...b,
    ...((a.deviceOs === false || b.deviceOs === false) && { deviceOs: false }),
    ...((a.application === false || b.application === false) && { application: false }),
    ...((a.consent === true || b.consent === true) && { consent: true }),
    ...((a.metered === true || b.metered === true) && { metered: true }),
    // Two sets of hours cannot be joined: the first that says some holds.
    ...((a.windows?.length ?? 0) > 0 && { windows: a.windows ?? [] }),
    ...(a.minimumBattery !== undefined && { minimumBattery: Math.max(a.minimumBattery, b.minimumBattery ?? 0) }),
    ...(budgets.length > 0 && { deviceDataBudget: Math.min(...budgets) }),
  }
}

/** What is about to be sent. */
export type PolicySubject = 'device-os' | 'application'

export interface Block {
  readonly cause: 'locked' | 'window'
  readonly reason: string
  readonly until?: number
}

/** Why the policy holds it at this time; what needs more than the time is asked elsewhere. */
export function blockedBy(policy: DevicePolicy, subjects: readonly PolicySubject[], now: number): Block | undefined {
  if (!policy.deviceOs && subjects.includes('device-os')) {
    return { cause: 'locked', reason: 'Device OS changes are locked by the update policy' }
  }
  if (!policy.application && subjects.includes('application')) {
    return { cause: 'locked', reason: 'changes of the application are locked by the update policy' }
  }
  const { windows } = policy
  if (windows.length === 0 || isInside(windows, now)) return undefined
  const until = nextOpening(windows, now)
  const reason = `outside the hours for updates (${windows.map(windowText).join('; ')})`
  return { cause: 'window', reason, ...(until !== undefined && { until }) }
}

export function windowText({ from, to, zone, days }: UpdateWindow): string {
  return `${days ? `${days.join(', ')} ` : ''}${from}-${to} ${zone}`
}

/**
 * Reads a policy as the API takes it; what is null is left out, and so decided by others.
 *
 * @returns the policy, or what is wrong with it
 */
export function readPolicy(value: unknown): UpdatePolicy | string {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'A policy is an object'
  const policy: { -readonly [K in keyof UpdatePolicy]: UpdatePolicy[K] } = {}
  for (const [name, given] of Object.entries(value)) {
    if (name === 'access_token') continue
    // Own names only: `valueOf` is no setting.
    const read = Object.hasOwn(readers, name) ? readers[name] : undefined
    if (!read) return `A policy has no "${name}"; it has ${Object.keys(readers).join(', ')}`
    // A budget of null is a word: no limit, whatever the product says.
    if (given === null && !name.endsWith('data_budget')) continue
    const problem = read(given, policy)
    if (problem) return `"${name}" ${problem}`
  }
  return policy
}

type Draft = { -readonly [K in keyof UpdatePolicy]: UpdatePolicy[K] }
type Reader = (value: unknown, policy: Draft) => string | undefined

function flag(key: 'deviceOs' | 'application' | 'consent' | 'metered'): Reader {
  return (value, policy) => {
    if (typeof value !== 'boolean') return 'must be true or false'
    policy[key] = value
    return undefined
  }
}

function budget(key: 'deviceDataBudget' | 'dataBudget'): Reader {
  return (value, policy) => {
    if (value !== null && !(typeof value === 'number' && Number.isSafeInteger(value) && value >= 0)) {
      return 'must be a number of bytes a month, or null for no limit'
    }
    policy[key] = value
    return undefined
  }
}

const readers: Readonly<Record<string, Reader>> = {
  device_os: flag('deviceOs'),
  application: flag('application'),
  windows(value, policy) {
    if (!Array.isArray(value) || value.length > 20) return 'must be a list of at most 20 windows'
    const windows: UpdateWindow[] = []
    for (const item of value) {
      const window = readWindow(item)
      if (typeof window === 'string') return window
      windows.push(window)
    }
    policy.windows = windows
    return undefined
  },
  minimum_battery(value, policy) {
    if (typeof value !== 'number' || !(value >= 0 && value <= 100)) return 'must be a number of percent, 0 to 100'
    policy.minimumBattery = value
    return undefined
  },
  consent: flag('consent'),
  metered: flag('metered'),
  device_data_budget: budget('deviceDataBudget'),
  data_budget: budget('dataBudget'),
}

function readWindow(value: unknown): UpdateWindow | string {
  const { from, to, zone, days } = (value ?? {}) as Record<string, unknown>
  if (typeof from !== 'string' || minutesOf(from) === undefined) return 'needs "from" as a time of day, like "22:00"'
  if (typeof to !== 'string' || minutesOf(to) === undefined) return 'needs "to" as a time of day, like "06:00"'
  if (typeof zone !== 'string' || !isTimeZone(zone)) return 'needs "zone" as an IANA time zone, like "Europe/Berlin"'
  if (days === undefined || days === null) return { from, to, zone }
  const known = Array.isArray(days) ? weekdays.filter((day) => days.includes(day)) : []
  if (!Array.isArray(days) || known.length !== days.length || known.length === 0) {
    return `has "days" that are not of ${weekdays.join(', ')}`
  }
  return { from, to, zone, days: known }
}

/** A policy as the API shows it. */
export function policyJson(policy: UpdatePolicy): Record<string, unknown> {
  return {
    device_os: policy.deviceOs ?? null,
    application: policy.application ?? null,
    windows: policy.windows ?? null,
    minimum_battery: policy.minimumBattery ?? null,
    consent: policy.consent ?? null,
    metered: policy.metered ?? null,
    ...(policy.deviceDataBudget !== undefined && { device_data_budget: policy.deviceDataBudget }),
    ...(policy.dataBudget !== undefined && { data_budget: policy.dataBudget }),
  }
}
