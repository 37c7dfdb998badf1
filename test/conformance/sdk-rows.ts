/** Every method of particle-api-js, and what comes of it. */
import { deviceRows } from './sdk-rows-devices.ts'
import { eventRows } from './sdk-rows-events.ts'
import { firmwareRows } from './sdk-rows-firmware.ts'
import { identityRows } from './sdk-rows-identity.ts'
import { missingRows } from './sdk-rows-missing.ts'
import type { SdkRow } from './sdk-stage.ts'

export const sdkRows: readonly SdkRow[] = [
  ...deviceRows,
  ...eventRows,
  ...firmwareRows,
  ...identityRows,
  ...missingRows,
]

/** Of the SDK's prototype, what is no request of its own. */
export const sdkInner: readonly string[] = [
  'constructor',
  'setContext',
  'setDefaultAuth',
  'setBaseUrl',
  'deviceUri',
  'client',
  ...['get', 'head', 'post', 'put', 'patch', 'delete', 'request'],
]
