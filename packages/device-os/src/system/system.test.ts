import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { type TestKeys, testKeys, world } from './test-device.ts'

let keys: TestKeys
before(async () => {
  keys = await testKeys()
})

const application = `
const { Particle, System, Log } = require('device-os')
let counter = 0
exports.setup = () => {
  Particle.function('add', (text) => { counter += Number(text); return counter })
  Particle.variable('counter', () => counter)
  Particle.variable('name', 'aloe')
  Particle.variable('half', 0.5)
  Particle.variable('on', true)
  Particle.subscribe('weather', async (name, data) => { await Particle.publish('heard', name + ':' + data) })
}
`

describe('the system and its cloud', () => {
  it('connects and announces what it is', async () => {
    const there = world(keys)
    there.listen()
    const device = await there.device({ application })
    const cloud = await there.connected()
    assert.equal(device.system.cloudStatus, 'connected')
    assert.equal(cloud.hello?.platformId, 43)
    assert.equal(cloud.hello?.system?.version, 1000)
    assert.equal(cloud.last('system')?.describe.modules.length, 4)
    assert.deepEqual(cloud.last('application'), {
      kind: 'application',
      functions: ['add'],
      variables: { counter: 'int32', name: 'string', half: 'double', on: 'bool' },
    })
    assert.deepEqual(cloud.said, [
      'spark/device/last_reset=power_down',
      'particle/device/updates/enabled=true',
      'particle/device/updates/forced=false',
    ])
    assert.deepEqual(
      cloud.session.subscriptions.map(({ prefix }) => prefix),
      ['particle', 'spark', 'weather'],
    )
    assert.equal(device.system.led().words, 'breathing cyan')
    await device.system.stop(true)
    assert.deepEqual(cloud.goodbye, { cloudReason: 5, resetReason: 40 })
  })
})
