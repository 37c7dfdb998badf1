/** The device cloud: gateway, events, updates, compiler, REST and SSE. */

/** Reads a describe as the API answers it. */
export { describeFromJson } from '@aloe/protocol'
export { ImportError } from './catalogue/import-error.ts'
export type { ImportOptions, ImportReport } from './catalogue/import-modules.ts'
export { type ImportEntry, importSources } from './catalogue/import-sources.ts'
export { importedReleases } from './catalogue/imported-folder.ts'
export { LiveCatalogue, type ReleaseChanges } from './catalogue/live-catalogue.ts'
export {
  type DescribedRelease,
  describeRelease,
  type ListedRelease,
  listReleases,
} from './catalogue/release-listing.ts'
export { isStateWord, type StateWord, stateWords } from './catalogue/release-state.ts'
export type { Clock, TimerHandle } from './clock.ts'
export { type Cloud, type CloudOptions, startCloud } from './cloud.ts'
export { type CloudCore, type CloudCoreOptions, coreOwner, startCloudCore } from './core/cloud-core.ts'
export { type CoreStore, openCoreStore } from './core/core-store.ts'
export type { CoreModule } from './core/releases.ts'
export type { Gateway, RunningUpdate, UpdateOptions, UpdateOutcome } from './gateway/gateway.ts'
export type { DatagramPort, DevicePorts, StreamPort, StreamSocket } from './gateway/ports.ts'
export { ServerKeyError } from './keys.ts'
export { createLogger } from './log.ts'
export { StoreError } from './store/store.ts'
