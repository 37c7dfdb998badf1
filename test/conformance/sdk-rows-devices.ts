/** particle-api-js: devices, functions, variables. */
import assert from 'node:assert/strict'
import { refused, type SdkRow, works } from './sdk-stage.ts'
import { eventually } from './world.ts'

export const deviceRows: readonly SdkRow[] = [
  works('listDevices', 'own ones; a product’s with filters, sorted, in pages', async ({ particle, product, world }) => {
    const { body } = await particle.listDevices({})
    assert.deepEqual(body.map(({ name }: { name: string }) => name).sort(), ['alpha', 'beta'])
    const page = (
      await particle.listDevices({ product, deviceName: 'ALP', sortAttr: 'deviceName', page: 1, perPage: 5 })
    ).body
    assert.deepEqual(
      page.devices.map(({ id }: { id: string }) => id),
      [world.alpha.id],
    )
    assert.equal(page.meta.total_pages, 1)
    assert.deepEqual((await particle.listDevices({ product, deviceName: 'nothing' })).body.devices, [])
  }),
  works('getDevice', 'by name and by id, own and in a product', async ({ particle, product, world }) => {
    const { body } = await particle.getDevice({ deviceId: 'alpha' })
    assert.equal(body.id, world.alpha.id)
    assert.equal(body.online, true)
    assert.deepEqual(body.functions, ['led'])
    assert.equal(body.variables.temp, 'double')
    assert.equal((await particle.getDevice({ deviceId: world.alpha.id, product })).body.product_id, product)
  }),
  works('sendPublicKey', 'the device comes in with this key', async ({ particle, world }) => {
    const device = world.newDevice()
    await world.adopt(device, 'sdk-key')
    device.start()
    await eventually('it is online', async () => (await particle.getDevice({ deviceId: 'sdk-key' })).body.connected)
    await device.stop()
    spare = device.id
  }),
  works('claimDevice', 'an unclaimed one becomes the caller’s', async ({ particle }) => {
    await particle.removeDevice({ deviceId: spare })
    assert.equal((await particle.claimDevice({ deviceId: spare })).body.ok, true)
    assert.equal((await particle.getDevice({ deviceId: spare })).body.id, spare)
    await refused(particle.claimDevice({ deviceId: 'f'.repeat(24) }), 404)
  }),
  works('removeDevice', 'it is nobody’s then; from a product, and denied', async ({ particle, product }) => {
    await particle.removeDevice({ deviceId: spare })
    await refused(particle.getDevice({ deviceId: spare }), 403)
    await particle.addDeviceToProduct({ product, deviceId: spare })
    await particle.removeDevice({ deviceId: spare, product, deny: true })
    const listed = (await particle.listDevices({ product })).body.devices
    assert.ok(!listed.some(({ id, denied }: { id: string; denied?: boolean }) => id === spare && denied !== true))
  }),
  works('addDeviceToProduct', 'by id and by file; what is no id is told', async ({ particle, product, world }) => {
    const { body } = await particle.addDeviceToProduct({ product, file: Buffer.from(`${world.beta.id}\nnonsense`) })
    assert.deepEqual(body.updatedDeviceIds, [world.beta.id])
    assert.deepEqual(body.invalidDeviceIds, ['nonsense'])
    assert.equal((await particle.getDevice({ deviceId: world.beta.id, product })).body.product_id, product)
    await particle.removeDevice({ deviceId: world.beta.id, product })
  }),
  works('removeDeviceOwner', 'it stays in the product, and is nobody’s', async ({ particle, product }) => {
    await particle.addDeviceToProduct({ product, deviceId: spare })
    await particle.claimDevice({ deviceId: spare })
    await particle.removeDeviceOwner({ product, deviceId: spare })
    await refused(particle.getDevice({ deviceId: spare }), 403)
    assert.equal((await particle.getDevice({ product, deviceId: spare })).body.id, spare)
    await particle.removeDevice({ product, deviceId: spare })
  }),
  works('renameDevice', 'read back, own and in a product', async ({ particle, product, world }) => {
    await particle.renameDevice({ deviceId: 'beta', name: 'gamma' })
    assert.equal((await particle.getDevice({ deviceId: 'gamma' })).body.id, world.beta.id)
    await particle.renameDevice({ deviceId: 'gamma', name: 'beta' })
    await particle.renameDevice({ product, deviceId: world.alpha.id, name: 'alphabet' })
    assert.equal((await particle.getDevice({ product, deviceId: world.alpha.id })).body.name, 'alphabet')
    await particle.renameDevice({ product, deviceId: world.alpha.id, name: 'alpha' })
  }),
  works('setDeviceNotes', 'read back', async ({ particle, product, world }) => {
    await particle.setDeviceNotes({ deviceId: 'alpha', notes: 'on the desk' })
    assert.equal((await particle.getDevice({ deviceId: 'alpha' })).body.notes, 'on the desk')
    await particle.setDeviceNotes({ product, deviceId: world.alpha.id, notes: 'moved' })
    assert.equal((await particle.getDevice({ deviceId: 'alpha' })).body.notes, 'moved')
  }),
  works('signalDevice', 'the LED shouts rainbows, and stops', async ({ particle, world }) => {
    await particle.signalDevice({ deviceId: 'alpha', signal: true })
    await eventually('the LED signals', async () => world.alpha.status.led?.words.includes('rainbow'))
    await particle.signalDevice({ deviceId: 'alpha', signal: false })
    await eventually('the LED rests', async () => !world.alpha.status.led?.words.includes('rainbow'))
  }),
  works('markAsDevelopmentDevice', 'read back', async ({ particle, product, world }) => {
    await particle.markAsDevelopmentDevice({ product, deviceId: world.alpha.id })
    assert.equal((await particle.getDevice({ product, deviceId: world.alpha.id })).body.development, true)
    await particle.markAsDevelopmentDevice({ product, deviceId: world.alpha.id, development: false })
    assert.equal((await particle.getDevice({ product, deviceId: world.alpha.id })).body.development, false)
    await particle.markAsDevelopmentDevice({ product, deviceId: world.alpha.id })
  }),
  works('updateDevice', 'several fields at a time, read back', async ({ particle, product, world }) => {
    await particle.updateDevice({ product, deviceId: world.alpha.id, notes: 'both', development: true })
    const { body } = await particle.getDevice({ product, deviceId: world.alpha.id })
    assert.deepEqual([body.notes, body.development], ['both', true])
  }),
  works('getClaimCode', '63 characters, and what is claimed already', async ({ particle, product, world }) => {
    const { body } = await particle.getClaimCode({})
    assert.equal(body.claim_code.length, 63)
    assert.ok(body.device_ids.includes(world.alpha.id))
    assert.equal((await particle.getClaimCode({ product })).body.claim_code.length, 63)
  }),
  works('lookupSerialNumber', 'an unknown one is a 404', async ({ particle }) => {
    await refused(particle.lookupSerialNumber({ serialNumber: 'P000000000000' }), 404)
  }),
  works(
    'callFunction',
    'the value comes back, the effect is there; unknown 404, offline 408',
    async ({ particle, product, world }) => {
      assert.equal(
        (await particle.callFunction({ deviceId: 'alpha', name: 'led', argument: 'on' })).body.return_value,
        1,
      )
      assert.equal((await particle.getVariable({ deviceId: 'alpha', name: 'led' })).body.result, 'on')
      const inProduct = { product, deviceId: world.alpha.id, name: 'led', argument: 'off' }
      assert.equal((await particle.callFunction(inProduct)).body.return_value, 0)
      await refused(particle.callFunction({ deviceId: 'alpha', name: 'nope', argument: '' }), 404)
      await particle.claimDevice({ deviceId: spare })
      await refused(particle.callFunction({ deviceId: spare, name: 'led', argument: '' }), 408)
      await particle.removeDevice({ deviceId: spare })
    },
  ),
  works('getVariable', 'each type; unknown 404', async ({ particle, product, world }) => {
    for (const [name, value] of [
      ['count', 42],
      ['temp', 21.5],
      ['on', false],
      ['led', 'off'],
    ] as const) {
      assert.equal((await particle.getVariable({ deviceId: 'alpha', name })).body.result, value)
    }
    assert.equal((await particle.getVariable({ product, deviceId: world.alpha.id, name: 'temp' })).body.result, 21.5)
    await refused(particle.getVariable({ deviceId: 'alpha', name: 'nope' }), 404)
  }),
]

let spare = ''
