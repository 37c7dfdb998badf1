/**
 * System part 2: the system and the application API. What this exports is the body of the module.
 *
 * `aloe:api` is made when a release is built: the members of the API that the release has, and no others.
 */
import * as api from 'aloe:api'
import { systemPart2 } from './start.ts'

export const { startSystem, startApplication } = systemPart2(api)
