/** The official CLI, unmodified: firmware, integrations, products, and what Aloe has not. */
import { cloudRows } from './cli-rows-cloud.ts'
import { cliSuite } from './cli-suite.ts'

cliSuite('particle-cli: firmware and cloud', cloudRows)
