import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { decodeVitals, encodeVitals } from '@aloe/protocol'
import { deviceVitals, serviceVitals } from './vitals-json.ts'

describe('diagnostics as JSON', () => {
  it('stand under the names of the API, with words for codes and errors as such', () => {
    const packet = encodeVitals([
      { id: 6, value: 120 },
      { id: 10, value: 2 },
      { id: 33, value: 61.5 },
      { id: 41, value: -4 },
      { id: 25, error: -210 },
      { id: 40_000, value: 1 },
    ])
    assert.deepEqual(deviceVitals(decodeVitals(packet)), {
      system: { uptime: 120, memory: { total: { err: -210 } } },
      cloud: { connection: { status: 'connected' } },
      network: { signal: { strength: 61.5 }, cellular: { cell_global_identity: { mobile_network_code: '04' } } },
    })
  })

  it('are completed by what the cloud knows of the connection', () => {
    assert.deepEqual(serviceVitals({ since: 1_000, now: 61_400, published: 7, roundTrip: 12.6 }), {
      device: { status: 'ok' },
      cloud: { uptime: 60, publish: { sent: 7 } },
      coap: { round_trip: 13 },
    })
    const { coap } = serviceVitals({ since: 2_000, now: 1_000, published: 0, roundTrip: undefined })
    assert.equal(coap, undefined)
  })
})
