/** The official CLI, unmodified: accounts, devices, talking with them. */
import { deviceRows } from './cli-rows-devices.ts'
import { cliSuite } from './cli-suite.ts'

cliSuite('particle-cli: accounts and devices', deviceRows)
