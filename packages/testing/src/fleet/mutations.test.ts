import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { mutations } from './mutations.ts'
import { invariants } from './violation.ts'
import { runWorld } from './world.ts'

/** Worlds that may pass before a fault shows. */
const seeds = 12
/** Long enough for what is to converge in them, in simulated milliseconds. */
const calmTime = 10 * 60_000

describe('the simulator finds', () => {
  for (const { words, breaks, changes } of mutations) {
    it(`${words}: "${invariants[breaks]}" does not hold`, async (t) => {
      const found: string[] = []
      for (let seed = 1; seed <= seeds; seed++) {
        const { violation } = await runWorld(seed, { changes, calmTime })
        if (violation) found.push(violation.invariant)
        if (violation?.invariant === breaks) {
          t.diagnostic(`world ${seed}: ${violation.message.split('\n')[0]}`)
          return
        }
      }
      assert.fail(`not in ${seeds} worlds; found were ${found.join(', ') || 'nothing'}`)
    })
  }
})
