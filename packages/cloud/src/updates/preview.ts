/** What an update would take, and what would hold it back: asked without doing anything. */
import {
  type Link,
  linkOf,
  type OfferedApplication,
  type PlanDocument,
  type Platform,
  planDocument,
  planDowngrade,
  planUpdate,
  releaseNeeds,
  type SystemDescribe,
  type UpdatePlan,
} from '@aloe/firmware'
import type { Catalogue } from './catalogue.ts'
import type { JobCost } from './job.ts'
import { type Block, blockedBy, type DevicePolicy, type PolicySubject } from './policy.ts'

export interface PreviewRequest {
  /** The application to run. */
  readonly application?: OfferedApplication
  /** Device OS release to go to; to go back to with `downgrade`. */
  readonly target?: string
  readonly downgrade?: boolean
  readonly link?: Link
}

export interface Preview {
  readonly plan: PlanDocument
  readonly cost: JobCost | null
  /** What holds it at this time by the owner's policy; null when nothing does. */
  readonly held: Block | null
  readonly metered: boolean
}

export interface PreviewWorld {
  readonly platform: Platform
  readonly describe: SystemDescribe
  readonly catalogue: Catalogue
  readonly policy: DevicePolicy
  readonly metered: boolean
  readonly now: number
}

/** As the engine would do it: compressed and combined where the device takes that. */
export function previewOf(world: PreviewWorld, request: PreviewRequest): Preview {
  const plan = planOf(world, request)
  const { policy, metered, now } = world
  if (!plan.ok) return { plan: planDocument(plan), cost: null, held: null, metered }
  const subjects = new Set<PolicySubject>(
    plan.steps.map(({ kind }) => (kind === 'module' ? 'device-os' : 'application')),
  )
  const { modules, bytes, resets, seconds } = plan.cost
  return {
    plan: planDocument(plan),
    cost: { modules, bytes, resets, seconds },
    held: (subjects.size > 0 && blockedBy(policy, [...subjects], now)) || null,
    metered,
  }
}

function planOf({ platform, describe, catalogue }: PreviewWorld, request: PreviewRequest): UpdatePlan {
  const { application, target, downgrade, link = linkOf(platform) } = request
  const modules = catalogue.modules(platform.id)
  const options = { link, combine: true, compress: true, ...(application && { application }) }
  if (downgrade) return planDowngrade(platform, describe, modules, { ...options, release: target ?? '' })
  const needs = target === undefined ? [] : (releaseNeeds(platform, target, modules) ?? [])
  return planUpdate(platform, describe, modules, { ...options, needs })
}
