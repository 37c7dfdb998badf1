import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { newDevice } from '../devices/device.ts'
import { aboutDevice, deviceEvent } from './device-event.ts'

const id = '422b00000000000000000001'
const device = { ...newDevice(id, 0), ownerId: 'ann', memberOf: 10_001, productId: 10_001, productVersion: 3 }
const event = { name: 'e', ttl: 60, confirmable: false }

describe('an event of a device', () => {
  it('is text, or null when it is empty', () => {
    const published = deviceEvent(device, { ...event, data: Buffer.from('grüß'), contentType: 0 }, 5)
    const expected = { name: 'e', data: 'grüß', ttl: 60, publishedAt: 5, coreid: id, deviceId: id }
    assert.deepEqual(published, { ...expected, owner: 'ann', productId: 10_001, version: 3 })
    assert.equal(deviceEvent(device, { ...event, data: Buffer.alloc(0), contentType: 0 }, 5).data, null)
  })

  it('is of no product when the device only reports one, without being a member', () => {
    const quarantined = { ...device, memberOf: null, productId: 10_001 }
    for (const contentType of [0, 42]) {
      const published = deviceEvent(quarantined, { ...event, data: Buffer.from('x'), contentType }, 5)
      assert.deepEqual([published.owner, published.productId, published.version], ['ann', undefined, 3])
    }
    assert.equal(aboutDevice(quarantined, 'x', null, 5).productId, undefined)
  })

  it('of a device that nobody has claimed has no owner', () => {
    const published = deviceEvent(newDevice(id, 0), { ...event, data: Buffer.from('x'), contentType: 0 }, 5)
    assert.deepEqual(published, { name: 'e', data: 'x', ttl: 60, publishedAt: 5, coreid: id, deviceId: id })
  })

  it('is JSON when it is structured, and a data URL when it is binary', () => {
    // CBOR of {"t": 21}.
    const structured = Uint8Array.of(0xa1, 0x61, 0x74, 0x15)
    const published = deviceEvent(device, { ...event, data: structured, contentType: 65_001 }, 5)
    assert.equal(published.data, '{"t":21}')
    assert.deepEqual([published.contentType, published.raw], [65_001, structured])
    const image = deviceEvent(device, { ...event, data: Uint8Array.of(1, 2), contentType: 23 }, 5)
    assert.equal(image.data, 'data:image/png;base64,AQI=')
  })

  it('of the cloud about a device goes to its owner', () => {
    const about = aboutDevice(device, 'spark/status', 'online', 5)
    assert.deepEqual([about.owner, about.coreid, about.data], ['ann', id, 'online'])
    assert.equal(aboutDevice(device, 'x', null, 5, 'particle-internal').coreid, 'particle-internal')
  })
})
