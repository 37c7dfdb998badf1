/** Generated from the API manifest for one release (`wiring/api-module.ts`). */
declare module 'aloe:api' {
  import type { ApiModule } from '../wiring/compose.ts'

  export const release: ApiModule['release']
  export const members: ApiModule['members']
  export const constants: ApiModule['constants']
  export const requests: ApiModule['requests']
}
