/**
 * The benchmarks (docs/benchmarks.md): every figure per CPU second of the cloud's process, or per device, beside its
 * limit, which bare code reaches on the same machine in the same run.
 */
import { parseArgs } from 'node:util'
import { measureConnect } from './connect.ts'
import { measureEvents } from './events.ts'
import { measureFanOut } from './fan-out.ts'
import { measureHealing } from './healing.ts'
import type { ProfileFolder } from './measured-process.ts'
import { measureMemory } from './memory.ts'
import { networkFigures, networkTable } from './network.ts'
import { measureOta } from './ota.ts'
import { type Figure, machineLine, notes, table, thisMachine } from './report.ts'
import { measureRest } from './rest.ts'
import { measureRollout } from './rollout.ts'
import { measureTokenCheck } from './token-check.ts'
import { measureUdpEvents } from './udp-events.ts'
import { measureUdpHandshakes } from './udp-handshakes.ts'
import { measureUdpSessions } from './udp-sessions.ts'
import { measureWebhooks } from './webhooks.ts'

const usage = `npm run bench -- [--only connect,events,fan-out,rest,token-check,webhooks,ota,memory,udp-handshakes,udp-events,udp-sessions,healing] [--quick] [--json] [--network] [--profile FOLDER]

--only     some of the benchmarks
--quick    small counts: sooner done, with figures that say less
--json     the figures as JSON on standard output
--network  updates over bad networks too, in simulated time
--profile  each load once more under the profiler; the profiles go into FOLDER, a summary to standard error`

const { values: options } = parseArgs({
  options: {
    only: {
      type: 'string',
      default:
        'connect,events,fan-out,rest,token-check,webhooks,ota,memory,udp-handshakes,udp-events,udp-sessions,healing',
    },
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    network: { type: 'boolean', default: false },
    profile: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})
const profile: ProfileFolder = { folder: options.profile }
const { quick } = options

const benchmarks: Readonly<Record<string, () => Promise<Figure[]>>> = {
  connect: () => measureConnect(quick ? 200 : 1_000, profile),
  events: () => measureEvents(quick ? 40_000 : 400_000, profile),
  'fan-out': () => measureFanOut(quick ? { events: 2_000, clients: 50 } : { events: 10_000, clients: 200 }, profile),
  rest: () => measureRest(quick ? 2_000 : 20_000, profile),
  'token-check': async () => measureTokenCheck(quick ? 100_000 : 1_000_000),
  ota: () => measureOta(quick ? { devices: 2, bytes: 300_000 } : { devices: 8, bytes: 2_000_000 }, profile),
  webhooks: () => measureWebhooks(quick ? 2_000 : 20_000, profile),
  memory: () => measureMemory(quick ? [500] : [1_000, 10_000]),
  'udp-handshakes': () => measureUdpHandshakes(quick ? 400 : 2_000, profile),
  'udp-events': () => measureUdpEvents(quick ? 20_000 : 200_000, profile),
  'udp-sessions': () => measureUdpSessions(quick ? 500 : 10_000),
  rollout: () => measureRollout(quick ? 5_000 : 100_000),
  healing: () => measureHealing(quick ? { devices: 50, factor: 6 } : { devices: 1_000, factor: 60 }),
}

async function main(): Promise<void> {
  if (options.help) {
    console.log(usage)
    return
  }
  const names = options.only.split(',').map((name) => name.trim())
  const unknown = names.find((name) => !(name in benchmarks))
  if (unknown !== undefined) throw new Error(`there is no benchmark "${unknown}"\n\n${usage}`)

  const figures: Figure[] = []
  for (const name of names) {
    console.error(`${name} …`)
    figures.push(...((await benchmarks[name]?.()) ?? []))
  }
  const network = options.network ? networkFigures(quick ? { size: 100_000, seeds: 1 } : {}) : undefined
  const machine = thisMachine()
  if (options.json) console.log(JSON.stringify({ machine, figures, ...(network && { network }) }, undefined, 2))
  else {
    if (network) console.log(`\n${networkTable(network)}`)
    console.log(`\n${table(figures)}\n\n${notes(figures)}\n\n${machineLine(machine)}`)
  }
}

await main()
process.exit()
