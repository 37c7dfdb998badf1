/** What the windowed transfer makes of a link, in simulated time. Bounds are loose; `bench/network.ts` prints figures. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { DatagramConditions, NetworkName } from '../network/conditions.ts'
import { networkOf } from '../network/conditions.ts'
import { type SimulatedUpdate, type SimulatedUpdateOptions, simulateUpdate } from './simulated-update.ts'

const fileOf = (size: number) => Uint8Array.from({ length: size }, (_, index) => (index * 31 + (index >> 8)) & 0xff)

function update(
  name: NetworkName,
  worse: DatagramConditions = {},
  size = 500_000,
  options: Partial<SimulatedUpdateOptions> = {},
): SimulatedUpdate & { readonly share: number } {
  const network = networkOf(name, worse)
  const run = simulateUpdate({ network, file: fileOf(size), seed: 4, ...options })
  assert.ok(run.result?.ok, `${name}: ${JSON.stringify(run.result)}`)
  assert.ok(run.intact)
  return { ...run, share: run.goodput / (network.down.rate ?? 1) }
}

describe('an update over a bad network', () => {
  it('neither floods a 2G modem nor idles on LTE', () => {
    const modem = update('gprs', {}, 150_000)
    assert.ok(modem.share > 0.85, `2G: ${modem.share}`)
    assert.ok(modem.resentShare < 0.05, `2G: ${modem.resentShare}`)
    const lte = update('lte', {}, 4_000_000)
    assert.ok(lte.share > 0.7, `LTE: ${lte.share}`)
    assert.ok(lte.resentShare < 0.05, `LTE: ${lte.resentShare}`)
  })

  it('uses most of every link', () => {
    const least: [NetworkName, number, number][] = [
      ['lan', 4_000_000, 0.8],
      ['cat1', 2_000_000, 0.8],
      ['lteM', 500_000, 0.85],
      ['2g', 200_000, 0.8],
    ]
    for (const [name, size, share] of least) {
      const run = update(name, {}, size)
      assert.ok(run.share > share, `${name}: ${run.share}`)
      assert.ok(run.wireShare < 1.06, `${name}: ${run.wireShare}`)
    }
  })

  it('does not take the loss of a radio link for congestion', () => {
    const run = update('lteM', { loss: 0.05 })
    assert.ok(run.share > 0.8, `${run.share}`)
    assert.ok(run.wireShare < 1.12, `${run.wireShare}`)
    assert.ok(update('lteM', { loss: 0.1 }).share > 0.5)
    // With so much loss the confirmable messages around the chunks take most of the time.
    update('cat1', { loss: 0.2 })
  })

  it('does not pour into a queue without room', () => {
    const run = update('lteM', { queue: 3_000 })
    assert.ok(run.resentShare < 0.15, `${run.resentShare}`)
    assert.ok(run.share > 0.75, `${run.share}`)
  })

  it('does not take jitter and reordering for loss', () => {
    for (const worse of [{ jitter: 30 }, { jitter: 200 }, { reorder: 0.05, holdBack: 60 }, { duplication: 0.1 }]) {
      const run = update('lteM', worse)
      assert.ok(run.resentShare < 0.06, `${JSON.stringify(worse)}: ${run.resentShare}`)
      assert.ok(run.share > 0.8, `${JSON.stringify(worse)}: ${run.share}`)
    }
  })

  it('outlives outages, and goes on soon after them', () => {
    const run = update('lteM', { outages: [{ at: 4_000, duration: 60_000 }] })
    assert.ok(run.duration < 60_000 + 14_000 + 12_000, `${run.duration}`)
  })

  it('follows a link whose rate changes', () => {
    const run = update('lteM', {}, 500_000, {
      during: (simulation, device) => {
        simulation.setTimer(3_000, () => {
          device.down.conditions = { ...device.down.conditions, rate: 8_000 }
        })
        simulation.setTimer(20_000, () => {
          device.down.conditions = { ...device.down.conditions, rate: 100_000 }
        })
      },
    })
    assert.ok(run.resentShare < 0.15, `${run.resentShare}`)
    assert.ok(run.duration < 32_000, `${run.duration}`)
  })

  it('is the same for the same seed', () => {
    const run = () => update('cat1', { loss: 0.05, jitter: 20 }, 100_000)
    assert.deepEqual(run(), run())
  })
})
