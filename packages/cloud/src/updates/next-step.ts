/** What a job does next, from what the device says that it has: nothing, one file, or no more. */
import {
  type AssetRef,
  acceptsCombined,
  acceptsCompressed,
  buildAssetModule,
  buildEnvironmentModule,
  type CatalogueModule,
  environmentAssetName,
  findInstalled,
  installedModules,
  linkOf,
  type ModuleDependency,
  missingAssets,
  type PlanCost,
  type Platform,
  planDowngrade,
  planUpdate,
  readAssetModule,
  releaseNeeds,
  type SystemDescribe,
  type UpdatePlan,
} from '@aloe/firmware'
import type { Catalogue } from './catalogue.ts'
import { applicationIn, type OfferedFile } from './file-check.ts'
import type { FileStore } from './file-store.ts'
import { decideHealing, type HealingLimits, triedEnough } from './healer.ts'
import { type JobCost, labelOf, type SentModule, type UpdateJob } from './job.ts'
import type { PolicySubject } from './policy.ts'
import { smallest, together } from './squeeze.ts'

/** One file, and how its arrival can be told. */
export interface Parcel {
  readonly modules: readonly SentModule[]
  readonly file: Uint8Array
  /** What the policy is asked about. */
  readonly subjects: readonly PolicySubject[]
  /** Compressed or combined: a device that does not take it gets it plain. */
  readonly squeezed: boolean
  readonly hash?: string
  readonly asset?: string
  /** For the start of the transfer (device-protocol.md 3.19). */
  readonly moduleFunction?: number
}

export type NextStep =
  | { readonly kind: 'done' }
  | {
      readonly kind: 'stop'
      readonly reason: string
      readonly next?: string
      readonly missing: readonly ModuleDependency[]
      /** Every attempt is interrupted. */
      readonly loop?: true
    }
  | {
      readonly kind: 'send'
      readonly parcel: Parcel
      readonly plan: readonly SentModule[]
      readonly missing: readonly ModuleDependency[]
      readonly cost: JobCost
    }

export interface StepWorld {
  readonly platform: Platform
  readonly catalogue: Catalogue
  readonly files: FileStore
  readonly limits: HealingLimits
  /** The device resumes interrupted transfers. */
  readonly resumable: boolean
  /** The device described itself since it last restarted: what an older describe lacks may have been installed since. */
  readonly described: boolean
}

type FileWorld = Pick<StepWorld, 'platform' | 'catalogue' | 'files'>

const assetFunction = 9

/** What a healing, an update or a downgrade does next. */
export async function nextStep(world: StepWorld, job: UpdateJob, describe: SystemDescribe): Promise<NextStep> {
  switch (job.kind) {
    case 'heal':
      return await healStep(world, job, describe)
    case 'update':
      return await updateStep(world, job, describe)
    case 'downgrade':
      return await downgradeStep(world, job, describe)
    default:
      return await fileStep(world, job, describe)
  }
}

async function healStep(world: StepWorld, job: UpdateJob, describe: SystemDescribe): Promise<NextStep> {
  const { platform, catalogue, limits, resumable } = world
  const modules = catalogue.modules(platform.id)
  const decision = decideHealing(platform.id, describe, modules, job.detail, limits, resumable)
  if (decision.kind === 'stop') return decision
  if (decision.kind === 'healthy') return await assetStep(world, job, describe)
  const [module] = decision.plan
  const plan = decision.plan.map(sentModule)
  const cost = costOf(planUpdate(platform, describe, modules, { compress: true }))
  return { kind: 'send', parcel: moduleParcel(world, job, describe, module), plan, missing: decision.missing, cost }
}

async function updateStep(world: StepWorld, job: UpdateJob, describe: SystemDescribe): Promise<NextStep> {
  const { platform, catalogue } = world
  const target = job.detail.target ?? ''
  const modules = catalogue.modules(platform.id)
  const needs = releaseNeeds(platform, target, modules)
  if (!needs) return stop(`the catalogue has no Device OS ${target} for ${platform.name}`)
  return await planned(world, job, describe, planUpdate(platform, describe, modules, { needs, compress: true }))
}

async function downgradeStep(world: StepWorld, job: UpdateJob, describe: SystemDescribe): Promise<NextStep> {
  const { platform, catalogue, files } = world
  const target = job.detail.target ?? ''
  const modules = catalogue.modules(platform.id)
  const installed = installedModules(describe)
  const file = job.fileHash === null ? undefined : await files.get(job.fileHash)
  const offered = file && applicationIn(file)
  const isThere = !offered || installed.some(({ hash }) => hash !== undefined && hash === offered.hash)
  const arrived = (releaseNeeds(platform, target, modules) ?? []).every(
    (part) => findInstalled(installed, part)?.version === part.version,
  )
  if (arrived && isThere) return { kind: 'done' }
  const plan = planDowngrade(platform, describe, modules, {
    release: target,
    ...(offered && !isThere && { application: offered }),
    compress: true,
  })
  if (!plan.ok) return stop(plan.reason)
  const [first] = plan.steps
  if (file && first?.kind === 'application') {
    const { function: name, index, version } = first.module
    const offer = { file, modules: [{ function: name, index, version }], hash: offered?.hash }
    const parcel = fileParcel(world, job, describe, offer)
    return checked(world, job, { ...parcel, subjects: ['application', 'device-os'] }, plan)
  }
  return await planned(world, job, describe, plan)
}

/** The first module or asset of a plan. */
async function planned(
  world: StepWorld,
  job: UpdateJob,
  describe: SystemDescribe,
  plan: UpdatePlan,
): Promise<NextStep> {
  if (!plan.ok) return { ...stop(plan.reason), missing: plan.missing }
  const [first] = plan.steps
  if (!first) return { kind: 'done' }
  if (first.kind === 'asset') return await assetStep(world, job, describe)
  if (first.kind === 'application') return stop('the application of the plan is not at hand')
  return checked(world, job, moduleParcel(world, job, describe, first.module), plan)
}

/** Not again what was tried often enough. */
function checked(world: StepWorld, job: UpdateJob, parcel: Parcel, plan: Extract<UpdatePlan, { ok: true }>): NextStep {
  const [module] = parcel.modules
  const over = module && triedEnough(job.detail, module, world.limits, world.resumable)
  if (over) return { ...over, missing: plan.missing }
  return { kind: 'send', parcel, plan: plannedModules(plan), missing: plan.missing, cost: costOf(plan) }
}

/** An application's asset that the device lacks (modules-and-platforms.md 4.7). */
async function assetStep(world: StepWorld, job: UpdateJob, describe: SystemDescribe): Promise<NextStep> {
  const { platform, files, limits, resumable } = world
  const missing = missingAssets(describe)
  if (missing.length === 0) return { kind: 'done' }
  if (!platform.assets) return stop(`${platform.name} has no place for the assets that the application needs`)
  const plan = missing.map(sentAsset)
  for (const asset of missing) {
    const data = await files.asset(asset.hash)
    if (!data) continue
    const over = triedEnough(job.detail, sentAsset(asset), limits, resumable)
    if (over) return { ...over, missing: [] }
    const file = assetFile(asset.name, data)
    if (file.length > platform.assets.maxSingle) {
      return stop(`the asset ${asset.name} is larger than the ${platform.assets.maxSingle} bytes that it may have`)
    }
    const parcel: Parcel = {
      modules: [sentAsset(asset)],
      file,
      subjects: ['application'],
      squeezed: false,
      asset: asset.hash,
      moduleFunction: assetFunction,
    }
    const bytes = missing.reduce((sum, { storageSize, size }) => sum + (storageSize ?? size ?? file.length), 0)
    return { kind: 'send', parcel, plan, missing: [], cost: roughCost(platform, missing.length, bytes) }
  }
  const names = missing.map(({ name }) => name).join(', ')
  return {
    ...stop(`the application needs the assets ${names}, which this cloud does not have`),
    next: 'Flash the bundle (.zip) that the application came in.',
  }
}

/** A whole file of somebody's: sent once, and there. */
async function fileStep(world: StepWorld, job: UpdateJob, describe: SystemDescribe): Promise<NextStep> {
  const { platform, catalogue, files, limits, resumable } = world
  const file = job.fileHash === null ? undefined : await files.get(job.fileHash)
  if (!file) return stop('its file is not in the store any more')
  const { hash, plan = [], unaccepted } = job.detail
  const arrived = hash !== undefined && describe.modules.some((m) => m.store === 'main' && m.hash === hash)
  // What an owner flashes is sent although it is there; after that it need not be sent again.
  if (arrived && !unaccepted) return { kind: 'done' }
  const [module] = plan
  const over = module && triedEnough(job.detail, module, limits, resumable)
  if (over) return { ...over, missing: [] }
  const application = applicationIn(file)
  const modules = catalogue.modules(platform.id)
  // Alone to a device that has not said what it has by now: it may have just installed what would come along.
  const options = { combine: world.described, compress: true, ...(application && { application }) }
  const whole = application && planUpdate(platform, describe, modules, options)
  const parcel = fileParcel(world, job, describe, { file, modules: plan, hash }, whole?.ok ? whole : undefined)
  const cost = whole?.ok ? costOf(whole) : roughCost(platform, plan.length, parcel.file.length)
  return { kind: 'send', parcel, plan, missing: [], cost }
}

/** @param whole what the application needs besides */
export function fileParcel(
  world: FileWorld,
  job: UpdateJob,
  describe: SystemDescribe,
  { file, modules, hash }: OfferedFile,
  whole?: Extract<UpdatePlan, { ok: true }>,
): Parcel {
  const { platform } = world
  const installed = installedModules(describe)
  const isApplication = modules.some((module) => module.function === 'user_part')
  const needed = whole?.steps.flatMap((step) => (step.kind === 'module' ? [step.module] : [])) ?? []
  const subjects: PolicySubject[] = []
  if (isApplication) subjects.push('application')
  // An application that needs another Device OS is of no use where that is locked.
  if (!isApplication || needed.length > 0 || modules.length > 1) subjects.push('device-os')
  const plain: Parcel = { modules, file, subjects, squeezed: false, ...(hash !== undefined && { hash }) }
  if (job.detail.plain || modules.length !== 1) return plain
  const small = acceptsCompressed(platform, installed) ? smallest(file) : file
  const squeezed = small !== file
  const [part] = needed
  const together = whole?.transfers[0]?.steps.length === 2
  if (part && needed.length === 1 && together && acceptsCombined(platform, installed, part)) {
    const both = combine(world, describe, part, small)
    if (both) return { ...plain, modules: [sentModule(part), ...modules], file: both, squeezed: true }
  }
  return squeezed ? { ...plain, file: small, squeezed } : plain
}

/** System part first, as the official files are (5.5). */
function combine(
  { platform, catalogue, files }: FileWorld,
  describe: SystemDescribe,
  part: CatalogueModule,
  application: Uint8Array,
): Uint8Array | undefined {
  const bytes = files.module(catalogue, part)
  const both = together(acceptsCompressed(platform, installedModules(describe)) ? smallest(bytes) : bytes, application)
  return both && both.length <= platform.otaRegionSize ? both : undefined
}

function moduleParcel(
  { platform, catalogue, files }: StepWorld,
  job: UpdateJob,
  describe: SystemDescribe,
  module: CatalogueModule,
): Parcel {
  const bytes = files.module(catalogue, module)
  const compress = !job.detail.plain && acceptsCompressed(platform, installedModules(describe))
  const file = compress ? smallest(bytes) : bytes
  return { modules: [sentModule(module)], file, subjects: ['device-os'], squeezed: file !== bytes }
}

const assetFiles = new WeakMap<Uint8Array, Uint8Array>()

/** An asset's module file; the same for every device. */
function assetFile(name: string, data: Uint8Array): Uint8Array {
  const known = assetFiles.get(data)
  if (known && readAssetModule(known).name === name) return known
  const file = name === environmentAssetName ? environmentFile(data) : smallerAsset(name, data)
  assetFiles.set(data, file)
  return file
}

function smallerAsset(name: string, data: Uint8Array): Uint8Array {
  const plain = buildAssetModule({ name, data }, { compress: false })
  const compressed = buildAssetModule({ name, data })
  return compressed.length < plain.length ? compressed : plain
}

/** Environment variables travel uncompressed, and say what they are (1.9). */
function environmentFile(data: Uint8Array): Uint8Array {
  const { assetType } = readAssetModule(buildEnvironmentModule({}))
  return buildAssetModule({ name: environmentAssetName, data }, { compress: false, assetType })
}

function stop(reason: string): Extract<NextStep, { kind: 'stop' }> {
  return { kind: 'stop', reason, missing: [] }
}

export function sentModule({ function: name, index, version, release }: CatalogueModule): SentModule {
  return { function: name, index, version, release }
}

function sentAsset({ name }: AssetRef): SentModule {
  return { function: 'asset', index: 0, version: 0, name }
}

function plannedModules(plan: Extract<UpdatePlan, { ok: true }>): SentModule[] {
  return plan.steps.map((step) => {
    if (step.kind === 'asset') return sentAsset(step.asset)
    if (step.kind === 'module') return sentModule(step.module)
    const { function: name, index, version } = step.module
    return { function: name, index, version }
  })
}

export function costOf(plan: UpdatePlan): JobCost {
  return plan.ok ? briefly(plan.cost) : { modules: 0, bytes: 0, resets: 0, seconds: 0 }
}

function briefly({ modules, bytes, resets, seconds }: PlanCost): JobCost {
  return { modules, bytes, resets, seconds }
}

export function roughCost(platform: Platform, files: number, bytes: number): JobCost {
  const { bytesPerSecond, resetSeconds } = linkOf(platform)
  return { modules: files, bytes, resets: files, seconds: Math.round(bytes / bytesPerSecond + files * resetSeconds) }
}

/** `bootloader 0@200, system_part 1@2000` */
export function labels(modules: readonly SentModule[] = []): string {
  return modules.map(labelOf).join(', ')
}
