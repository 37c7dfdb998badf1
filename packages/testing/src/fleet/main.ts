/**
 * `npm run simulate`: many worlds on all cores, or one of them again.
 *
 *     npm run simulate -- --seeds 10000 [--from 1] [--jobs 2] [--devices 20]
 *     npm run simulate -- --seed 1234 [--trace]
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { runWorld, type WorldResult } from './world.ts'

/** What a worker tells of a world; errors do not cross threads with all of their fields. */
interface Report extends Omit<WorldResult, 'violation'> {
  readonly failure: string | undefined
}

interface Share {
  readonly first: number
  readonly last: number
  readonly step: number
  readonly devices: number
}

async function report(seed: number, devices: number, trace?: (line: string) => void): Promise<Report> {
  try {
    const { violation, ...rest } = await runWorld(seed, { devices, ...(trace && { trace }) })
    return { ...rest, failure: violation?.message }
  } catch (error) {
    const words = error instanceof Error ? error.stack : String(error)
    const counts = { transfers: 0, bytes: 0, finished: 0, needed: 0 }
    const none = {
      duration: 0,
      settledAt: 0,
      boots: 0,
      powerCuts: 0,
      cloudRestarts: 0,
      counts,
      converged: 0,
      explained: 0,
    }
    return { seed, ...none, failure: `world ${seed} broke: ${words}` }
  }
}

async function work({ first, last, step, devices }: Share): Promise<void> {
  for (let seed = first; seed <= last; seed += step) parentPort?.postMessage(await report(seed, devices))
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string', default: '100' },
      from: { type: 'string', default: '1' },
      jobs: { type: 'string', default: String(availableParallelism()) },
      devices: { type: 'string', default: '20' },
      seed: { type: 'string' },
      trace: { type: 'boolean', default: false },
    },
  })
  const devices = Number(values.devices)
  const started = performance.now()
  const seconds = () => ((performance.now() - started) / 1_000).toFixed(1)
  if (values.seed !== undefined) {
    const told = await report(Number(values.seed), devices, values.trace ? print : undefined)
    print(told.failure ?? `world ${told.seed} is sound`)
    print(JSON.stringify({ ...told, failure: undefined, wallSeconds: Number(seconds()) }))
    process.exitCode = told.failure === undefined ? 0 : 1
    return
  }
  const first = Number(values.from)
  const last = first + Number(values.seeds) - 1
  const step = Math.max(1, Number(values.jobs))
  const sums = {
    worlds: 0,
    failures: 0,
    hours: 0,
    boots: 0,
    powerCuts: 0,
    cloudRestarts: 0,
    transfers: 0,
    explained: 0,
  }
  const take = (told: Report) => {
    sums.worlds++
    sums.hours += told.duration / 3_600_000
    sums.boots += told.boots
    sums.powerCuts += told.powerCuts
    sums.cloudRestarts += told.cloudRestarts
    sums.transfers += told.counts.transfers
    sums.explained += told.explained
    if (told.failure !== undefined) {
      sums.failures++
      print(told.failure)
    }
    if (sums.worlds % 100 === 0) print(`${sums.worlds} worlds, ${sums.failures} not sound, ${seconds()} s`)
  }
  await Promise.all(
    Array.from({ length: step }, async (_, index) => {
      const share: Share = { first: first + index, last, step, devices }
      const worker = new Worker(new URL(import.meta.url), { workerData: share })
      worker.on('message', take)
      await new Promise<void>((resolve, reject) => {
        worker.once('error', reject)
        worker.once('exit', () => resolve())
      })
    }),
  )
  const { worlds, failures, hours, ...counts } = sums
  print(`${worlds} worlds of ${devices} devices, ${failures} not sound, ${seconds()} s on ${step} threads`)
  print(`${hours.toFixed(0)} h passed in them; ${JSON.stringify(counts)}`)
  process.exitCode = failures === 0 ? 0 : 1
}

if (isMainThread) await main()
else await work(workerData as Share)
