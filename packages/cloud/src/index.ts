/** The device cloud: gateway, events, updates, compiler, REST and SSE. */

/** Reads a describe as the API answers it. */
export { describeFromJson } from '@aloe/protocol'
export { type Cloud, type CloudOptions, startCloud } from './cloud.ts'
export { ServerKeyError } from './keys.ts'
export { createLogger } from './log.ts'
export { StoreError } from './store/store.ts'
