/**
 * The whole plan of an update, which can be asked for without doing anything: the application, the
 * modules in order with what each is for, the assets, how they are sent and what that costs.
 */

import type { InstalledModules } from '../dependencies/installed.ts'
import { missingAssetsOf } from '../dependencies/missing.ts'
import type { SystemDescribe } from '../describe.ts'
import { type AssetRef, type ModuleDependency, moduleLabel } from '../module-function.ts'
import type { Platform } from '../platforms/platform.ts'
import { slotOf } from '../platforms/platforms.ts'
import type { CatalogueModule } from './catalogue.ts'
import { type Link, linkOf, type PlanCost } from './cost.ts'
import { explainSteps } from './explain.ts'
import type { Obstacle } from './impossible.ts'
import { plannerOf, requestOf } from './planner.ts'
import { costOf, planTransfers, type Transfer, type TransferOptions, withApplication } from './transfers.ts'
import type { OfferedApplication, UpdateStep } from './update-step.ts'

export interface UpdateRequest extends TransferOptions {
  /** What the device shall have, besides what its modules and the application need. */
  readonly needs?: readonly ModuleDependency[]
  readonly application?: OfferedApplication
  /** The platform's unless given. */
  readonly link?: Link
}

export type UpdatePlan =
  | {
      readonly ok: true
      /** Nothing to do when empty. */
      readonly steps: readonly UpdateStep[]
      /** The steps as they are sent. */
      readonly transfers: readonly Transfer[]
      readonly missing: readonly ModuleDependency[]
      readonly missingAssets: readonly AssetRef[]
      readonly cost: PlanCost
    }
  | {
      readonly ok: false
      readonly reason: string
      readonly missing: readonly ModuleDependency[]
      readonly obstacles: readonly Obstacle[]
    }

/**
 * Plans an update from a device's describe. The application goes first, as a flash sends it: a device
 * takes one that is too new for it, and waits in safe mode for what it needs. Then come the modules,
 * and at last the assets, which a device deletes before their application is there (4.7).
 */
export function planUpdate(
  platform: Platform,
  describe: SystemDescribe,
  catalogue: readonly CatalogueModule[],
  request: UpdateRequest = {},
): UpdatePlan {
  const { application, needs = [], link = linkOf(platform) } = request
  const start = requestOf(platform, describe, catalogue, needs)
  const sent = application && !isThere(start.installed, application) ? application : undefined
  if (sent && !slotOf(platform, sent)) {
    return refuse(`${platform.name} has no place for ${moduleLabel(sent)}`)
  }
  const installed = sent ? withApplication(start.installed, sent) : start.installed
  const plan = plannerOf(platform, catalogue).plan({ ...start, installed })
  if (!plan.ok) return plan

  const user = sent ?? installed.find((module) => module.function === 'user_part')
  const missingAssets = missingAssetsOf(user?.assetDependencies, describe.assets)
  const obstacle = missingAssets.length > 0 ? assetObstacle(platform, installed, plan.steps, missingAssets) : undefined
  if (obstacle) return refuse(obstacle)

  const asked = [...needs, ...(start.damaged ?? [])]
  const serves = explainSteps(installed, asked, plan.steps)
  const steps: UpdateStep[] = [
    ...(sent ? [{ kind: 'application' as const, module: sent }] : []),
    ...plan.steps.map((module, i) => ({ kind: 'module' as const, module, serves: serves[i] ?? [] })),
    ...missingAssets.map((asset) => ({ kind: 'asset' as const, asset })),
  ]
  const transfers = planTransfers(platform, start.installed, steps, link, request)
  return { ok: true, steps, transfers, missing: plan.missing, missingAssets, cost: costOf(steps, transfers) }
}

/**
 * What a device needs to be on a release: its system parts. Undefined when the catalogue has no such
 * release for the platform.
 */
export function releaseNeeds(
  platform: Platform,
  release: string,
  catalogue: readonly CatalogueModule[],
): readonly ModuleDependency[] | undefined {
  const parts = catalogue.filter(
    (module) => module.platformId === platform.id && module.release === release && module.function === 'system_part',
  )
  if (parts.length === 0) return undefined
  return parts.map(({ function: name, index, version }) => ({ function: name, index, version }))
}

export function refuse(reason: string): Extract<UpdatePlan, { ok: false }> {
  return { ok: false, reason, missing: [], obstacles: [] }
}

function isThere(installed: InstalledModules, application: OfferedApplication): boolean {
  return (
    application.hash !== undefined &&
    installed.some((module) => module.function === 'user_part' && module.hash === application.hash)
  )
}

/** The first Device OS with assets: 5.5.0-rc.1 (modules-and-platforms.md 1.9). */
const firstWithAssets = 5500

function assetObstacle(
  platform: Platform,
  installed: InstalledModules,
  steps: readonly CatalogueModule[],
  assets: readonly AssetRef[],
): string | undefined {
  const names = assets.map((asset) => asset.name).join(', ')
  const { assets: limits } = platform
  if (!limits) return `${platform.name} has no assets, and the application needs ${names}`
  const isSystem = (module: { function: string; index: number }) =>
    module.function === 'system_part' && module.index === 1
  const system = steps.findLast(isSystem) ?? installed.find(isSystem)
  if (platform.generation !== 'linux' && system && system.version < firstWithAssets) {
    return `the application needs the assets ${names}, which Device OS has from 5.5.0 on; it names no such Device OS as a dependency`
  }
  const large = assets.find((asset) => (asset.storageSize ?? asset.size ?? 0) > limits.maxSingle)
  return large && `the asset ${large.name} is larger than the ${limits.maxSingle} bytes that ${platform.name} takes`
}
