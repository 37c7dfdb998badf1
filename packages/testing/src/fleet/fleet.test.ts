import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { runWorld } from './world.ts'

/** How many worlds, unless ALOE_SIM_SEEDS says otherwise: as many as fit this time, in milliseconds. */
const budget = 60_000
const given = Number(process.env.ALOE_SIM_SEEDS ?? 0)

describe('a fleet of all platforms', () => {
  it('comes through whatever happens to it', async (t) => {
    const end = performance.now() + budget
    let worlds = 0
    const sums = { boots: 0, powerCuts: 0, cloudRestarts: 0, transfers: 0, explained: 0 }
    // The first world is always looked at, however slow the machine is.
    for (let seed = 1; given > 0 ? seed <= given : seed === 1 || performance.now() < end; seed++) {
      const { violation, counts, ...rest } = await runWorld(seed)
      if (violation) throw violation
      worlds++
      sums.boots += rest.boots
      sums.powerCuts += rest.powerCuts
      sums.cloudRestarts += rest.cloudRestarts
      sums.transfers += counts.transfers
      sums.explained += rest.explained
    }
    t.diagnostic(`${worlds} worlds: ${JSON.stringify(sums)}`)
    assert.ok(sums.boots > 20 && sums.transfers > 0)
  })

  it('has the same fate for the same seed', async () => {
    const fate = async () => {
      const lines: string[] = []
      await runWorld(3, { trace: (line) => lines.push(line) })
      return lines
    }
    assert.deepEqual(await fate(), await fate())
  })
})
