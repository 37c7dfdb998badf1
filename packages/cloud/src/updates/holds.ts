/** What holds a file back that could be sent now: its owner's policy, its cost, the device and its application. */
import { platformById } from '@aloe/firmware'
import type { DataUsage } from './data-usage.ts'
import type { DeviceLink } from './device-link.ts'
import type { UpdateJob, Wait } from './job.ts'
import { labels, type Parcel } from './next-step.ts'
import type { Policies } from './policies.ts'
import { blockedBy, type DevicePolicy } from './policy.ts'

export interface HoldContext {
  readonly policies: Policies
  readonly data: DataUsage
  readonly now: () => number
}

/** When a hold that nobody announces the end of is looked at again, in milliseconds. */
const lookAgain = 10 * 60_000
const askAgain = 60_000

/** Whether updates cost money there: the owner's word, else whether it is cellular. */
export function isMetered(policy: DevicePolicy, platformId: number): boolean {
  return policy.metered ?? platformById(platformId)?.connectivity === 'cellular'
}

/** @param platformId of the device @returns why it has to wait; undefined when it may be sent */
export async function holdOf(
  context: HoldContext,
  link: DeviceLink,
  job: UpdateJob,
  parcel: Parcel,
  platformId: number,
  safeMode: boolean,
): Promise<Wait | undefined> {
  const now = context.now()
  const { notBefore = 0, retryAt = 0 } = job.detail
  if (retryAt > now) return { cause: 'backoff', reason: job.detail.reason ?? 'it failed', until: retryAt }
  if (notBefore > now) return { cause: 'paced', reason: 'its turn has not come', until: notBefore }
  const policy = context.policies.of(link.deviceId)
  if (!job.detail.force) {
    const hold =
      blockedBy(policy, parcel.subjects, now) ??
      (await overBudget(context, link.deviceId, policy, platformId, parcel.file.length)) ??
      (await lowBattery(policy, link, now))
    if (hold) return hold
  }
  if (!link.updatesAllowed) return updatesDisabled
  if (job.detail.force || !policy.consent || job.detail.consented) return undefined
  return await withoutConsent(link, parcel, safeMode, now)
}

export const updatesDisabled: Wait = {
  cause: 'updates-disabled',
  reason: 'the application has disabled updates (System.disableUpdates)',
}

async function overBudget(
  { policies, data, now }: HoldContext,
  deviceId: string,
  policy: DevicePolicy,
  platformId: number,
  bytes: number,
): Promise<Wait | undefined> {
  if (!isMetered(policy, platformId)) return undefined
  const until = Math.min(data.nextMonth(), now() + 6 * 60 * 60_000)
  const tell = (used: number, budget: number, whose: string): Wait => ({
    cause: 'data-budget',
    reason: `${used} of the ${budget} bytes that ${whose} may take for updates in ${data.month()} are used, and this takes ${bytes}`,
    until,
  })
  if (policy.deviceDataBudget !== null) {
    const used = await data.otaOf(deviceId)
    if (used + bytes > policy.deviceDataBudget) return tell(used, policy.deviceDataBudget, 'the device')
  }
  for (const [scope, budget] of policies.sharedBudgets(deviceId)) {
    const used = await data.otaOfScope(scope)
    if (used + bytes > budget) return tell(used, budget, `its ${scope.split(':')[0]}`)
  }
  return undefined
}

async function lowBattery(policy: DevicePolicy, link: DeviceLink, now: number): Promise<Wait | undefined> {
  const { minimumBattery } = policy
  if (minimumBattery <= 0) return undefined
  const percent = await link.battery()
  // A device that has no battery has mains.
  if (percent === undefined || percent >= minimumBattery) return undefined
  const reason = `the battery has ${Math.floor(percent)} %, and ${minimumBattery} % are asked for`
  return { cause: 'battery', reason, until: now + lookAgain }
}

/** In safe mode no application runs that could be asked, or disturbed. */
async function withoutConsent(
  link: DeviceLink,
  parcel: Parcel,
  safeMode: boolean,
  now: number,
): Promise<Wait | undefined> {
  if (safeMode) return undefined
  if (!link.hasConsentFunction) {
    return {
      cause: 'consent',
      reason: 'the update policy asks for consent, and the application has no function mayUpdate',
      until: now + lookAgain,
    }
  }
  const answer = await link.askConsent(labels(parcel.modules))
  if (answer !== undefined && answer > 0) return undefined
  const pause = answer !== undefined && answer < 0 ? Math.min(-answer * 1_000, 24 * 60 * 60_000) : askAgain
  const reason =
    answer === undefined ? 'the application does not answer whether it may' : 'the application says not now'
  return { cause: 'consent', reason, until: now + pause }
}
