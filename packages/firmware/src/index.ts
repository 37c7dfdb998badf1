/** Module format, platforms, Device OS versions, dependency rules and the update planner. Pure: no I/O, no clock. */

export {
  type Asset,
  type AssetFile,
  type AssetModuleOptions,
  assetRef,
  assetStorageSize,
  assetTypes,
  buildAssetModule,
  readAssetModule,
} from './assets/asset-module.ts'
export { type Bundle, buildBundle, readBundle } from './assets/bundle.ts'
export { buildEnvironmentModule, environmentAsset, environmentAssetName } from './assets/environment.ts'
export { crc32, sha256, sha256Hex } from './checksums.ts'
export { type AcceptanceRules, acceptsUpdate, bootRules, updateRules } from './dependencies/acceptance.ts'
export { type BootCheck, type BootOptions, bootCheck, type SafeModeReason } from './dependencies/boot-check.ts'
export {
  findInstalled,
  type InstalledModule,
  type InstalledModules,
  installedModule,
  installedModules,
  satisfies,
  type VersionedModule,
} from './dependencies/installed.ts'
export { missingAssets, missingDependencies } from './dependencies/missing.ts'
export {
  type ModuleValidation,
  maxCombinedModules,
  resultOf,
  type UpdateValidation,
  validateModule,
  validateUpdate,
} from './dependencies/validate.ts'
export {
  type DescribedModule,
  describeChecks,
  type ModuleStore,
  type SystemDescribe,
  updateChecks,
  validity,
} from './describe.ts'
export { buildModule, type ModuleSpec, moduleSpec } from './module/build.ts'
export { combinedParts, combineModules, splitModules } from './module/combine.ts'
export { type CompressOptions, compressModule, type DecompressOptions, decompressModule } from './module/compress.ts'
export { ModuleFormatError, type ModuleFormatErrorCode, ModuleSpecError } from './module/error.ts'
export {
  addAssetDependencies,
  addExtensions,
  protectBootloader,
  removeAssetDependencies,
  securityMode,
} from './module/extend.ts'
export type { ModuleExtension } from './module/extensions.ts'
export { type FirmwareModule, type ParseOptions, parseModule, productOf } from './module/parse.ts'
export { type DependencyField, locatePrefix, locatePrefixOnDevice, moduleFlags } from './module/prefix.ts'
export {
  type AssetRef,
  type ModuleDependency,
  type ModuleFunction,
  type ModuleRef,
  moduleFunctionCode,
  moduleFunctionLetter,
  moduleFunctionOf,
  moduleFunctionOfLetter,
  moduleFunctions,
  moduleKey,
  moduleLabel,
} from './module-function.ts'
export type { CatalogueModule } from './planner/catalogue.ts'
export { type ByteCount, type Link, type LinkName, linkOf, links, moduleBytes, type PlanCost } from './planner/cost.ts'
export { type DowngradeRequest, planDowngrade } from './planner/downgrade.ts'
export { explainServed, explainSteps, type ServedDependency } from './planner/explain.ts'
export type { Obstacle } from './planner/impossible.ts'
export { type PlanDocument, planDocument, releaseOf, type StepDocument } from './planner/plan-document.ts'
export { createPlanner, type Plan, type Planner, type PlanRequest, planHealing } from './planner/planner.ts'
export { ReleaseFileError, readModuleReference, readReleaseFile } from './planner/release-file.ts'
export { acceptsCombined, acceptsCompressed, type Transfer, type TransferOptions } from './planner/transfers.ts'
export { planUpdate, releaseNeeds, type UpdatePlan, type UpdateRequest } from './planner/update-plan.ts'
export type { OfferedApplication, UpdateStep } from './planner/update-step.ts'
export type { AssetLimits, ModuleSlot, Platform, PrefixRule } from './platforms/platform.ts'
export { platformById, platformByName, platforms, slotEnd, slotOf } from './platforms/platforms.ts'
export { resetReason } from './reset-reason.ts'
export { systemErrorMessage, type UpdateResult, updateResult } from './system-error.ts'
export {
  type DeviceOsRelease,
  deviceOsRelease,
  deviceOsReleaseOfModule,
  deviceOsReleases,
  type ReleaseState,
} from './versions/device-os-releases.ts'
export { compareSemver, formatSemver, parseSemver, type Semver } from './versions/semver.ts'
