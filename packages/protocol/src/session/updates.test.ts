/** Updates through both sessions: the transfers themselves have their own tests. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import { helloFlag } from '../messages/hello.ts'
import type { TransferResult, UpdateRequest, UpdateTarget } from '../transfer/transfer.ts'
import { hello62, Pair, type PairOptions } from './test-pair.ts'

const file = new Uint8Array(70_001).map((_, index) => (index * 31) ^ (index >> 8))

class Staging implements UpdateTarget {
  bytes = new Uint8Array(0)
  requests: UpdateRequest[] = []
  applied = 0
  cancelled: boolean[] = []
  refuse = 0
  invalid = 0

  begin(request: UpdateRequest) {
    this.requests.push(request)
    if (this.refuse) return { error: this.refuse }
    this.bytes = new Uint8Array(request.size)
    return { offset: 0 }
  }
  write(offset: number, bytes: Uint8Array) {
    this.bytes.set(bytes, offset)
  }
  finish() {
    return this.invalid ? { error: this.invalid, message: 'no good' } : ({ ok: true } as const)
  }
  apply() {
    this.applied += 1
  }
  cancel(discard: boolean) {
    this.cancelled.push(discard)
  }
}

const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

for (const transport of ['tcp', 'udp'] as const) {
  for (const [name, flag] of [
    ['windowed', helloFlag.otaV3],
    ['chunked', 0],
  ] as const) {
    const start = (staging: Staging, options: PairOptions = {}, congested = false) => {
      const hello = { ...hello62, flags: hello62.flags | flag }
      const pair = new Pair({ transport, hello, updateTarget: staging, ...options }).connect()
      pair.congested = congested
      const seen = { accepted: [] as number[], progress: [] as number[], results: [] as TransferResult[] }
      const handle = pair.cloud.startUpdate(file, {}, pair.now, {
        accepted: (offset) => seen.accepted.push(offset),
        progress: (bytes) => seen.progress.push(bytes),
        done: (result) => seen.results.push(result),
      })
      return { pair, seen, handle }
    }

    describe(`${name} updates over ${transport}`, () => {
      it('arrive whole, are applied once, and show that they run', () => {
        const staging = new Staging()
        const { pair, seen } = start(staging)
        pair.run(60_000)
        assert.deepEqual(
          seen.results.map(({ ok }) => ok),
          [true],
        )
        assert.deepEqual(seen.accepted, [0])
        assert.equal(digest(staging.bytes), digest(file))
        assert.equal(staging.applied, 1)
        assert.equal(pair.told.updating[0], true)
        assert.equal(pair.cloud.updating, false)
      })

      it('refuse events of the application while they run, and let other requests through', () => {
        const staging = new Staging()
        const { pair } = start(staging, {}, true)
        pair.functions.set('f', (_, reply) => reply(7))
        pair.settle()
        pair.congested = false
        assert.equal(pair.device.updating, true)
        assert.equal(pair.device.publish({ name: 'temp' }, pair.now), false)
        assert.equal(pair.device.publish({ name: 'spark/device/x' }, pair.now), true)
        let value: unknown
        pair.cloud.call('f', '', pair.now, 60_000, (result) => {
          value = result
        })
        pair.run(60_000)
        assert.deepEqual(value, { ok: true, value: 7 })
        assert.equal(staging.applied, 1)
      })

      it('are refused by the device with its reason, one at a time', () => {
        const staging = new Staging()
        staging.refuse = -1380
        const { pair, seen } = start(staging)
        const second: TransferResult[] = []
        pair.cloud.startUpdate(file, {}, pair.now, { done: (result) => second.push(result) })
        assert.equal(second[0]?.ok === false && second[0].stage, 'start')
        pair.run(60_000)
        const [result] = seen.results
        assert.equal(result?.ok === false && result.stage, 'start')
        assert.equal(staging.applied, 0)
        assert.equal(pair.device.ready, true)
      })

      it('end at both ends when the connection is lost', () => {
        const staging = new Staging()
        const { pair, seen } = start(staging, {}, true)
        pair.settle()
        pair.cloud.close()
        pair.device.close()
        assert.deepEqual(
          seen.results.map((result) => result.ok || result.code),
          [-150],
        )
        assert.equal(staging.cancelled.length, 1)
        assert.deepEqual(pair.told.updating, [true, false])
      })

      if (transport === 'udp') {
        it('come through loss and repetition', () => {
          for (let seed = 1; seed <= 5; seed++) {
            let state = seed
            const dice = () => {
              state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
              return state / 2 ** 32
            }
            const staging = new Staging()
            let lossy = false
            const { pair, seen } = start(staging, { lose: () => lossy && dice() < 0.1, repeat: () => dice() < 0.1 })
            lossy = true
            pair.run(10 * 60_000)
            assert.equal(seen.results.length, 1)
            if (!seen.results[0]?.ok) continue
            assert.equal(digest(staging.bytes), digest(file))
            assert.equal(staging.applied, 1)
          }
        })
      }
    })
  }
}

describe('a device without a place for updates', () => {
  it('does not answer them, and the cloud gives up', () => {
    const pair = new Pair({ hello: { ...hello62, flags: hello62.flags | helloFlag.otaV3 } }).connect()
    const results: TransferResult[] = []
    pair.cloud.startUpdate(file, {}, pair.now, { done: (result) => results.push(result) })
    pair.run(10 * 60_000)
    assert.equal(results.length, 1)
    assert.equal(results[0]?.ok, false)
  })
})
