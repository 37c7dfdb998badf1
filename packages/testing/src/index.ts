/** What users and we ourselves test with: clouds, virtual devices, faulty media, bad networks. */

export { FaultyStorage, PowerCut } from './faulty-storage.ts'
export * from './fleet/index.ts'
export * from './network/index.ts'
export * from './transfer/index.ts'
