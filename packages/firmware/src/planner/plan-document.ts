/** A plan as JSON, for APIs and tools. */

import { type AssetRef, type ModuleDependency, moduleLabel } from '../module-function.ts'
import type { CatalogueModule } from './catalogue.ts'
import type { PlanCost } from './cost.ts'
import { explainServed } from './explain.ts'
import type { UpdatePlan } from './update-plan.ts'
import type { UpdateStep } from './update-step.ts'

interface ModuleDocument extends ModuleDependency {
  readonly label: string
}

export type StepDocument =
  | (ModuleDocument & {
      readonly kind: 'application' | 'module'
      /** The release that carries it; null for radio stacks, NCP firmware and applications. */
      readonly release: string | null
      readonly prerelease: boolean
      /** What it is for, in words. */
      readonly why: string
      readonly serves: readonly { readonly dependency: ModuleDocument; readonly needed_by: ModuleDocument | null }[]
    })
  | {
      readonly kind: 'asset'
      readonly label: string
      readonly name: string
      readonly hash: string
      readonly why: string
    }

export type PlanDocument =
  | {
      readonly ok: true
      readonly steps: readonly StepDocument[]
      readonly transfers: readonly {
        /** Indices of `steps`. */
        readonly steps: readonly number[]
        readonly bytes: number
        readonly exact: boolean
        readonly compressed: boolean
        readonly seconds: number
      }[]
      readonly missing: readonly ModuleDocument[]
      readonly missing_assets: readonly AssetRef[]
      readonly cost: PlanCost
    }
  | {
      readonly ok: false
      readonly reason: string
      readonly missing: readonly ModuleDocument[]
      readonly obstacles: readonly {
        readonly dependency: ModuleDocument
        readonly needed_by: ModuleDocument | null
        readonly kind: 'absent' | 'refused'
      }[]
    }

/** The release to name for a module: radio stacks and NCP firmware are published apart from releases. */
export function releaseOf(module: CatalogueModule): string | null {
  return module.function === 'radio_stack' || module.function === 'ncp_firmware' ? null : module.release
}

export function planDocument(plan: UpdatePlan): PlanDocument {
  if (!plan.ok) {
    const obstacles = plan.obstacles.map(({ dependency, neededBy, kind }) => ({
      dependency: moduleDocument(dependency),
      needed_by: neededBy ? moduleDocument(neededBy) : null,
      kind,
    }))
    return { ok: false, reason: plan.reason, missing: plan.missing.map(moduleDocument), obstacles }
  }
  const { steps, transfers, missing, missingAssets, cost } = plan
  return {
    ok: true,
    steps: steps.map(stepDocument),
    transfers: transfers.map(({ steps: sent, bytes, exact, compressed, seconds }) => ({
      steps: sent.map((step) => steps.indexOf(step)),
      bytes,
      exact,
      compressed,
      seconds: Math.round(seconds),
    })),
    missing: missing.map(moduleDocument),
    missing_assets: missingAssets,
    cost,
  }
}

function stepDocument(step: UpdateStep): StepDocument {
  if (step.kind === 'asset') {
    const { name, hash } = step.asset
    return { kind: 'asset', label: `asset ${name}`, name, hash, why: 'the application needs it' }
  }
  const { kind, module } = step
  if (kind === 'application') {
    return { ...moduleDocument(module), kind, release: null, prerelease: false, why: 'it is asked for', serves: [] }
  }
  return {
    ...moduleDocument(module),
    kind,
    release: releaseOf(module),
    prerelease: module.prerelease,
    why: step.why ?? explainServed(step.serves),
    serves: step.serves.map(({ dependency, neededBy }) => ({
      dependency: moduleDocument(dependency),
      needed_by: neededBy ? moduleDocument(neededBy) : null,
    })),
  }
}

function moduleDocument({ function: name, index, version }: ModuleDependency): ModuleDocument {
  return { function: name, index, version, label: moduleLabel({ function: name, index, version }) }
}
