/** A release to a fleet, in simulated time: what it costs the cloud. */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { RolloutMeasure } from './children/rollout.ts'
import type { Figure } from './report.ts'

export async function measureRollout(devices: number): Promise<Figure[]> {
  const found = await inProcess(devices)
  const details = {
    'wall seconds': found.seconds,
    'CPU seconds': found.cpu,
    'simulated hours': found.hours,
    'files sent': found.files,
    'transfers at a time': found.most,
    'MiB before': found.before,
    'MiB at most': found.peak,
    failed: found.failed,
    'seconds until all are decided': found.decided,
    'seconds of the preview': found.preview,
    'µs at a connection': found.connect,
  }
  return [
    {
      name: `release to ${devices.toLocaleString('en-US')} devices`,
      unit: 'ms CPU / device',
      better: 'less',
      value: (1_000 * found.cpu) / devices,
      count: devices,
      details,
    },
    { name: 'memory of the release', unit: 'MiB', better: 'less', value: found.peak, count: devices },
  ]
}

async function inProcess(devices: number): Promise<RolloutMeasure> {
  const child = fork(fileURLToPath(new URL('./children/rollout.ts', import.meta.url)), [String(devices)], {
    execArgv: ['--expose-gc'],
    stdio: ['ignore', 'ignore', process.env.ALOE_BENCH_LOG ? 'inherit' : 'ignore', 'ipc'],
  })
  return await new Promise((resolve, reject) => {
    child.once('message', (message) => resolve(message as RolloutMeasure))
    child.once('exit', (code) => reject(new Error(`the rollout ended with ${code}; ALOE_BENCH_LOG=1 shows why`)))
  })
}
