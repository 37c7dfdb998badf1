/** particle-api-js: what Aloe has not. */
import assert from 'node:assert/strict'
import { refused, type SdkRow, works } from './sdk-stage.ts'

/** Answered 501, with words that say what is missing. */
function missing(name: string, what: string, options: object): SdkRow {
  return {
    name,
    outcome: 'refuses',
    note: `501: Aloe has no ${what} yet`,
    async run({ particle, world, product }) {
      const filled = JSON.parse(
        JSON.stringify(options)
          .replaceAll('"ALPHA"', JSON.stringify(world.alpha.id))
          .replaceAll('"PRODUCT"', String(product)),
      )
      const { body } = await refused(particle[name](filled), 501)
      assert.match(body.error ?? '', /^Not implemented: Aloe has no .+ yet$/)
    },
  }
}

export const missingRows: readonly SdkRow[] = [
  missing('unprotectDevice', 'device protection', { deviceId: 'ALPHA', action: 'prepare' }),
  missing('provisionDevice', 'devices made by the cloud', { productId: 'PRODUCT' }),
  ...['listSIMs', 'getSIMDataUsage', 'removeSIM'].map((name) => missing(name, 'SIM management', { iccid: '89' })),
  {
    name: 'checkSIM',
    outcome: 'refuses',
    note: '501, which has no words where no body may be (HEAD)',
    run: async ({ particle }) => void (await refused(particle.checkSIM({ iccid: '89' }), 501)),
  },
  missing('getFleetDataUsage', 'SIM management', { product: 'PRODUCT' }),
  works('listLibraries', 'there is no library service yet: the list is empty', async ({ particle }) => {
    assert.deepEqual((await particle.listLibraries({})).body.data, [])
  }),
  ...['getLibrary', 'getLibraryVersions', 'publishLibrary', 'deleteLibrary'].map((name) =>
    missing(name, 'libraries', { name: 'foo' }),
  ),
  {
    name: 'contributeLibrary',
    outcome: 'refuses',
    note: '501: Aloe has no libraries yet',
    async run({ particle }) {
      const { body } = await refused(particle.contributeLibrary({ archive: Buffer.from('x') }), 501)
      assert.match(body.error ?? '', /Aloe has no librar/)
    },
  },
  missing('downloadManufacturingBackup', 'manufacturing backups', { deviceId: 'ALPHA' }),
  ...['getProductConfiguration', 'getProductConfigurationSchema', 'setProductConfiguration', 'getProductLocations'].map(
    (name) => missing(name, 'configuration and locations', { product: 'PRODUCT', config: {} }),
  ),
  ...[
    'getProductDeviceConfiguration',
    'getProductDeviceConfigurationSchema',
    'setProductDeviceConfiguration',
    'getProductDeviceLocations',
  ].map((name) => missing(name, 'configuration and locations', { product: 'PRODUCT', deviceId: 'ALPHA', config: {} })),
  works('listLogicFunctions', 'there are none: the list is empty', async ({ particle }) => {
    assert.deepEqual((await particle.listLogicFunctions({})).body.logic_functions, [])
  }),
  ...[
    'executeLogic',
    'createLogicFunction',
    'getLogicFunction',
    'updateLogicFunction',
    'deleteLogicFunction',
    'listLogicRuns',
    'getLogicRun',
    'getLogicRunLogs',
  ].map((name) =>
    missing(name, 'logic functions', { logicFunctionId: 'x', logicRunId: 'y', logic: {}, logicFunction: {} }),
  ),
  works('listLedgers', 'there are none: the list is empty', async ({ particle }) => {
    assert.deepEqual((await particle.listLedgers({})).body.ledger_definitions, [])
  }),
  ...[
    'createLedger',
    'getLedger',
    'updateLedger',
    'archiveLedger',
    'getLedgerInstance',
    'setLedgerInstance',
    'deleteLedgerInstance',
    'listLedgerInstances',
    'listLedgerInstanceVersions',
    'getLedgerInstanceVersion',
  ].map((name) => missing(name, 'ledgers', { ledgerName: 'l', ledger: {}, scopeValue: 's', instance: {}, version: 1 })),
  ...[
    'listEnvVars',
    'updateEnvVars',
    'setEnvVar',
    'deleteEnvVar',
    'renderEnvVars',
    'reviewEnvVarsRollout',
    'startEnvVarsRollout',
  ].map((name) =>
    missing(name, 'environment variables', { sandbox: true, ops: [], key: 'K', value: 'V', when: 'Connect' }),
  ),
]
