import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { fuzzRuns } from '../test-bytes.ts'
import { ReplayWindow } from './replay-window.ts'

describe('the replay window', () => {
  it('takes each number once, whatever the order, and none that is 64 behind the newest', () => {
    const start = fc.constantFrom(0, 2 ** 32 - 40, 2 ** 48 - 400)
    const steps = fc.array(fc.integer({ min: -80, max: 80 }), { maxLength: 200 })
    fc.assert(
      fc.property(start, steps, fc.boolean(), (first, distances, stored) => {
        let window = new ReplayWindow()
        const seen = new Set<number>()
        let top = -1
        let at = first
        for (const distance of distances) {
          at = Math.min(Math.max(0, (distance < 0 ? top : at) + distance), 2 ** 48 - 1)
          const fresh = !seen.has(at) && at > top - 64
          assert.equal(window.accepts(at), fresh)
          if (!fresh) continue
          window.add(at)
          seen.add(at)
          top = Math.max(top, at)
          if (stored) window = ReplayWindow.restore(window.state())
        }
        assert.equal(window.top, top)
      }),
      { numRuns: fuzzRuns },
    )
  })
})
