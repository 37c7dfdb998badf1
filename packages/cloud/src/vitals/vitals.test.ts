import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { openStore } from '../store/store.ts'
import { Vitals, type VitalsRecord } from './vitals.ts'
import { vitalsCsv } from './vitals-csv.ts'

const day = 24 * 60 * 60 * 1_000

function record(deviceId: string, updatedAt: number, charge = 1): VitalsRecord {
  return { deviceId, ownerId: 'alice', updatedAt, payload: { device: { power: { battery: { charge } } }, service: {} } }
}

describe('vitals', () => {
  it('are kept for a month, by device, and read newest first', async () => {
    const store = await openStore()
    let now = 100 * day
    const clock = { now: () => now, setTimeout: () => 0, clearTimeout: () => undefined }
    const open = () =>
      new Vitals({
        store,
        clock,
        onError: (error) => {
          throw error
        },
      })
    const vitals = open()
    for (let n = 0; n < 450; n++) vitals.record(record('a', now + n, n))
    vitals.record(record('b', now))
    assert.equal(vitals.waiting, 451)
    assert.equal(
      ((await vitals.last('a'))?.payload.device.power as { battery: object } | undefined)?.battery !== undefined,
      true,
    )
    assert.equal(vitals.waiting, 0)
    assert.deepEqual(await vitals.last('b'), record('b', now))
    assert.equal(await vitals.last('c'), undefined)
    assert.deepEqual(await vitals.last('b', 'alice'), record('b', now))
    assert.equal(await vitals.last('b', 'bob'), undefined, 'it was not theirs then')
    assert.equal((await vitals.between('b', 0, now, 9, 'bob')).length, 0)
    const some = await vitals.between('a', now + 10, now + 12, 100)
    assert.deepEqual(
      some.map(({ updatedAt }) => updatedAt - now),
      [12, 11, 10],
    )
    assert.equal((await vitals.between('a', 0, Number.MAX_SAFE_INTEGER, 7)).length, 7)

    now += 32 * day
    assert.equal(await vitals.last('a'), undefined)
    vitals.record(record('a', now))
    await vitals.close()
    const rows = await store.db.selectFrom('vitals').select('device_id').execute()
    assert.equal(rows.length, 1)
    assert.deepEqual(await open().last('a'), record('a', now))
    await store.close()
  })

  it('that cannot be written wait for the next time', async () => {
    const store = await openStore()
    const vitals = new Vitals({ store, onError: () => undefined })
    await store.db.schema.alterTable('vitals').renameTo('away').execute()
    vitals.record(record('a', Date.now()))
    await assert.rejects(vitals.flush())
    assert.equal(vitals.waiting, 1)
    await store.db.schema.alterTable('away').renameTo('vitals').execute()
    assert.ok(await vitals.last('a'))
    await vitals.close()
    await store.close()
  })

  it('are a table as CSV', () => {
    const payload = (device: object) => ({ device: device as Record<string, unknown>, service: {} })
    const csv = vitalsCsv([
      { deviceId: 'a', ownerId: null, updatedAt: 0, payload: payload({ x: -4, y: { err: -210 } }) },
      { deviceId: 'a', ownerId: null, updatedAt: 1, payload: payload({ y: 'say "hi", you', z: '=1+1' }) },
    ])
    assert.equal(
      csv,
      [
        'updated_at,deviceID,device.x,device.y.err,device.y,device.z',
        '1970-01-01T00:00:00.000Z,a,-4,-210,,',
        '1970-01-01T00:00:00.001Z,a,,,"say ""hi"", you",\'=1+1',
        '',
      ].join('\r\n'),
    )
    assert.equal(vitalsCsv([]), 'updated_at,deviceID\r\n')
  })
})
