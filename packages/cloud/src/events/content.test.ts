import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { encodeCbor } from '@aloe/protocol'
import { eventData } from './content.ts'

describe('the data of an event on a stream', () => {
  it('is text as it is, and null when there is none', () => {
    assert.equal(eventData(Buffer.from('gr\u00fcn'), 0), 'gr\u00fcn')
    assert.equal(eventData(new Uint8Array(), 0), null)
  })

  it('is JSON for structured data, with buffers inside', () => {
    const data = { a: 1, b: { _type: 'buffer', _data: 'AQI=' } }
    assert.deepEqual(JSON.parse(eventData(encodeCbor(data), 65_001) ?? ''), data)
  })

  it('is a data URL for anything else, broken CBOR included', () => {
    assert.equal(eventData(Uint8Array.of(1, 2), 42), 'data:application/octet-stream;base64,AQI=')
    assert.equal(eventData(Uint8Array.of(1, 2), 22), 'data:image/jpeg;base64,AQI=')
    assert.equal(eventData(Uint8Array.of(1, 2), 23), 'data:image/png;base64,AQI=')
    assert.equal(eventData(Uint8Array.of(0xa1), 65_001), 'data:application/octet-stream;base64,oQ==')
  })
})
