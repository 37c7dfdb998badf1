/**
 * What to do for a device that lacks modules (modules-and-platforms.md 5.2): pure, from its describe, the catalogue and
 * what was tried before. Upgrades only, and only for what an installed module says that it needs.
 */
import {
  type CatalogueModule,
  type ModuleDependency,
  moduleLabel,
  planHealing,
  platformById,
  type SystemDescribe,
} from '@aloe/firmware'
import { type InterruptionHistory, type InterruptionLimits, isLoop, loopReason } from './interruptions.ts'
import { labelOf, type SentModule } from './job.ts'

export type Healing =
  /** Nothing is missing. */
  | { readonly kind: 'healthy' }
  /** `plan[0]` is to be sent, then the next describe decides. */
  | {
      readonly kind: 'send'
      readonly plan: readonly [CatalogueModule, ...CatalogueModule[]]
      readonly missing: readonly ModuleDependency[]
    }
  | {
      readonly kind: 'stop'
      readonly reason: string
      readonly missing: readonly ModuleDependency[]
      /** Every attempt is interrupted; it would go on so for ever. */
      readonly loop?: true
    }

export interface HealingLimits extends InterruptionLimits {
  /** How often one module may be refused, or accepted and not installed. */
  readonly failures: number
}

/** The state of a device in which healing was given up, and when, Unix milliseconds. */
export interface HealingStop {
  readonly signature: string
  readonly at: number
}

/** Rule 5.2: "the same module chosen three times: stop". */
export const healingLimits: HealingLimits = { failures: 3, interruptions: 10, restarts: 5 }

export interface HealingHistory extends InterruptionHistory {
  readonly failures: Readonly<Record<string, number>>
  readonly module?: SentModule
  readonly reason?: string | undefined
}

/** @param resumable the device resumes interrupted transfers (OTA v3) */
export function decideHealing(
  platformId: number,
  describe: SystemDescribe,
  catalogue: readonly CatalogueModule[],
  history: HealingHistory,
  limits: HealingLimits = healingLimits,
  resumable = true,
): Healing {
  const platform = platformById(platformId)
  if (!platform) return { kind: 'healthy' } // without its rules nothing can be said about it
  const plan = planHealing(platform, describe, catalogue)
  const { missing } = plan
  if (!plan.ok) return { kind: 'stop', reason: plan.reason, missing }
  const [next, ...later] = plan.steps
  if (!next) return { kind: 'healthy' }
  const over = triedEnough(history, next, limits, resumable)
  return over ? { ...over, missing } : { kind: 'send', plan: [next, ...later], missing }
}

/** Why a module is not sent once more; undefined when it may be. */
export function triedEnough(
  history: HealingHistory,
  next: SentModule,
  limits: HealingLimits,
  resumable: boolean,
): { readonly kind: 'stop'; readonly reason: string; readonly loop?: true } | undefined {
  const label = labelOf(next)
  const last = history.reason ? `: ${history.reason}` : ''
  const failures = history.failures[label] ?? 0
  if (failures >= limits.failures) return { kind: 'stop', reason: `${label} was tried ${failures} times${last}` }
  const same = history.module === undefined || labelOf(history.module) === label
  if (!same || !isLoop(history, resumable, limits)) return undefined
  return { kind: 'stop', reason: loopReason(history, next, resumable), loop: true }
}

/**
 * The state of a device as far as healing depends on it. While it is the same, what failed would fail again.
 * What the catalogue offers is part of it: a new release is a reason to try again.
 */
export function healingSignature(describe: SystemDescribe, catalogue: readonly CatalogueModule[]): string {
  const installed = describe.modules
    .filter(({ store }) => store === 'main')
    .map((module) => `${moduleLabel(module)}/${module.passed}(${module.dependencies.map(moduleLabel).join()})`)
  const assets = (describe.assets ?? []).map(({ name, hash }) => `${name} ${hash}`)
  const releases = new Set(catalogue.map(({ release }) => release))
  return `${[...installed.sort(), ...assets.sort()].join(' ')} with ${[...releases].sort().join(' ')}`
}
