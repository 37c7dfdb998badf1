/** `npm run simulate`: many worlds, or one again. */
import { parseArgs } from 'node:util'
import { runWorld } from './world.ts'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string' },
    from: { type: 'string' },
    seed: { type: 'string' },
    devices: { type: 'string' },
    trace: { type: 'boolean' },
  },
})
const devices = Number(values.devices ?? 20)
const first = Number(values.seed ?? values.from ?? 1)
const count = values.seed === undefined ? Number(values.seeds ?? 100) : 1
const started = performance.now()
let failures = 0
for (let seed = first; seed < first + count; seed++) {
  const t = performance.now()
  const result = await runWorld(seed, { devices, ...(values.trace && { trace: (line) => console.log(line) }) })
  if (result.violation) {
    failures++
    console.log(result.violation.message)
  }
  if (count < 30)
    console.log(seed, JSON.stringify({ ...result, violation: undefined, wall: Math.round(performance.now() - t) }))
}
console.log(`${count} worlds, ${failures} with violations, ${((performance.now() - started) / 1000).toFixed(1)} s`)
process.exitCode = failures > 0 ? 1 : 0
