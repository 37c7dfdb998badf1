/** The device cloud: gateway, events, updates, compiler, REST and SSE. */

export { type Cloud, type CloudOptions, startCloud } from './cloud.ts'
export { ServerKeyError } from './keys.ts'
export { createLogger } from './log.ts'
export { StoreError } from './store/store.ts'
