/** What system part 2 exports, for a given API. */
import type { StartApplication } from '../hal/application.ts'
import { startApplication } from '../wiring/application.ts'
import type { ApiModule } from '../wiring/compose.ts'
import { DeviceSystem } from './system.ts'
import type { StartSystem } from './system-input.ts'

export interface SystemPart2 {
  readonly startSystem: StartSystem
  readonly startApplication: StartApplication
}

export function systemPart2(api: ApiModule): SystemPart2 {
  return {
    startSystem: (input) => new DeviceSystem(input, api),
    startApplication: (port, userBody) => startApplication(api, port, userBody),
  }
}
