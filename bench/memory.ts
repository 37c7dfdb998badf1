/** What a connected device costs the cloud in memory. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { BenchDevice } from './bench-device.ts'
import type { Memory } from './children/answers.ts'
import { startCloudUnderTest } from './cloud-under-test.ts'
import { connectFleet, spread, stopFleet } from './fleet.ts'
import { MeasuredProcess } from './measured-process.ts'
import type { Figure } from './report.ts'

/** What devices told has been written, and what was young has grown old. */
const settling = 8_000
const enoughForSparePages = 5_000

export async function measureMemory(counts: readonly number[]): Promise<Figure[]> {
  const bare = await measureBareSockets(counts)
  const cloud = await startCloudUnderTest()
  try {
    // The code is loaded and compiled before the baseline is taken; few devices, for what they leave is used again.
    for (let round = 0; round < 10; round++) {
      const devices = await connectFleet(cloud.deviceKind, { series: 1, count: 20 })
      stopFleet(devices)
      await cloud.online(0)
    }
    await sleep(settling)
    const baseline = await cloud.process.memory()

    const figures: Figure[] = []
    const devices: BenchDevice[] = []
    for (const count of counts) {
      const from = devices.length
      devices.push(...(await connectFleet(cloud.deviceKind, { series: 2, from, count: count - from })))
      await cloud.online(count)
      await sleep(settling)
      const memory = await cloud.process.memory()
      await cloud.online(count)
      const { rss, rssKept, heap, committed, external } = perDevice(memory, baseline, count)
      const limit = bare.get(count)
      const figure = { unit: 'KB / device', better: 'less', before: 66, goal: 12, count } as const
      const name = `memory, ${count.toLocaleString('en-US')} devices`
      figures.push({
        ...figure,
        name,
        // Pages that were free already at the baseline hide what they hold now: the heap tells then.
        value: Math.max(rss, heap + external),
        ...(limit && { limit: Math.max(limit.rss, limit.heap + limit.external) }),
        limitIs: 'a bare socket of node:net; the larger of resident memory and heap with external, each',
        details: { resident: rss, heap, 'heap committed': committed, external, 'bare resident': limit?.rss ?? 0 },
      })
      // With few devices this says only how much happened to be spare at the baseline.
      if (count < enoughForSparePages) continue
      figures.push({
        ...figure,
        name: `${name}, spare pages too`,
        value: rssKept,
        ...(limit && { limit: limit.rssKept }),
        limitIs: 'the same; resident after an ordinary collection, with the free pages that V8 keeps for later',
      })
    }
    stopFleet(devices)
    return figures
  } finally {
    await cloud.stop()
  }
}

async function measureBareSockets(counts: readonly number[]): Promise<Map<number, Memory>> {
  const bare = await MeasuredProcess.start<{ tcpPort: number }>('bare-sockets.ts')
  const port = bare.ready.tcpPort
  const sockets: Socket[] = []
  const add = async (count: number): Promise<void> => {
    await spread(count, async () => {
      const socket = connect({ port, host: '127.0.0.1' })
      await once(socket, 'connect')
      socket.write('hello')
      sockets.push(socket)
    })
    while ((await bare.ask<number>('connected')) !== sockets.length) await sleep(20)
  }
  try {
    for (let round = 0; round < 10; round++) {
      await add(20)
      for (const socket of sockets.splice(0)) socket.destroy()
      await add(0)
    }
    const baseline = await bare.memory()
    const found = new Map<number, Memory>()
    for (const count of counts) {
      await add(count - sockets.length)
      await sleep(1_000)
      found.set(count, perDevice(await bare.memory(), baseline, count))
    }
    return found
  } finally {
    for (const socket of sockets) socket.destroy()
    await bare.stop()
  }
}

/** KB, of 1024 bytes, above the baseline for each device. */
function perDevice(memory: Memory, baseline: Memory, count: number): Memory {
  const each = (key: keyof Memory): number => (memory[key] - baseline[key]) / 1_024 / count
  return {
    heap: each('heap'),
    committed: each('committed'),
    external: each('external'),
    rss: each('rss'),
    rssKept: each('rssKept'),
  }
}
