/** What a session on UDP costs in memory and at rest, and how fast all come back after a restart. */
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Memory } from './children/answers.ts'
import { type CloudUnderTest, startCloudUnderTest } from './cloud-under-test.ts'
import { deviceId, spread } from './fleet.ts'
import { MeasuredProcess } from './measured-process.ts'
import type { Figure } from './report.ts'
import { UdpBenchDevice } from './udp-device.ts'
import { bareKind, connectUdpFleet, type ListenerReady } from './udp-handshakes.ts'

/** What devices told has been written, and what was young has grown old. */
const settling = 8_000
/** A device that got no acknowledgement says it again. */
const repeatAfter = 2_000
const mostSeconds = 120

export async function measureUdpSessions(count: number): Promise<Figure[]> {
  const dtls = await measureListener(count)
  let cloud = await startCloudUnderTest()
  let devices: UdpBenchDevice[] = []
  try {
    for (let round = 0; round < 10; round++) {
      const some = await connectUdpFleet(cloud.udpDeviceKind, { series: 1, count: 20 })
      for (const device of some) device.stop()
      await cloud.online(0)
    }
    await sleep(settling)
    const baseline = await cloud.process.memory()
    devices = await connectUdpFleet(cloud.udpDeviceKind, { series: 2, count })
    await cloud.online(count)
    await sleep(settling)
    const memory = await cloud.process.memory()
    await cloud.online(count)
    const each = perSession(memory, baseline, count)
    const title = count.toLocaleString('en-US')
    const figures: Figure[] = [
      {
        name: `memory, ${title} UDP sessions`,
        unit: 'KiB / session',
        better: 'less',
        value: Math.max(each.rss, each.heap + each.external),
        limit: Math.max(dtls.rss, dtls.heap + dtls.external),
        limitIs: 'DTLS sessions of the listener alone; the larger of resident memory and heap with external, each',
        goal: 8,
        count,
        details: {
          resident: each.rss,
          'resident with spare pages': each.rssKept,
          heap: each.heap,
          external: each.external,
        },
      },
    ]

    await cloud.close()
    const { row, pages } = bytesAtRest(cloud, count)
    figures.push({
      name: `at rest, ${title} UDP sessions`,
      unit: 'bytes / session',
      better: 'less',
      value: row,
      count,
      details: { 'pages of the database with indices': pages },
    })

    for (const speak of [true, false]) {
      const began = performance.now()
      cloud = await cloud.restart()
      const ready = (performance.now() - began) / 1_000
      const before = await cloud.process.ask<number>('cpu')
      const seconds = await comeBack(cloud, devices, speak)
      const cpu = (await cloud.process.ask<number>('cpu')) - before
      figures.push({
        name: `restart until ${title} are online, ${speak ? 'devices speak at once' : 'devices silent'}`,
        unit: 's',
        better: 'less',
        value: ready + seconds,
        count,
        details: { 'until it serves': ready, 'then to wake all': seconds, 'CPU ms of a session': cpu / 1e3 / count },
      })
      if (speak) await cloud.close()
    }
    return figures
  } finally {
    for (const device of devices) device.stop()
    await cloud.stop()
  }
}

/** @returns seconds until all are online */
async function comeBack(cloud: CloudUnderTest, devices: readonly UdpBenchDevice[], speak: boolean): Promise<number> {
  const began = performance.now()
  const target = new Map(devices.map((device) => [device, device.acknowledged + 1]))
  let spoken = Number.NEGATIVE_INFINITY
  while ((await cloud.process.ask<number>('connected')) < devices.length) {
    if (performance.now() - began > mostSeconds * 1_000) throw new Error('not all sessions came back')
    if (speak && performance.now() - spoken > repeatAfter) {
      spoken = performance.now()
      let sent = 0
      for (const [device, acknowledged] of target) {
        if (device.acknowledged >= acknowledged) continue
        device.publish('back', new Uint8Array())
        // Answers are read between.
        if (++sent % 200 === 0) await sleep(1)
      }
    }
    await sleep(20)
  }
  return (performance.now() - began) / 1_000
}

async function measureListener(count: number): Promise<Memory> {
  const listener = await MeasuredProcess.start<ListenerReady>('dtls-listener.ts')
  try {
    const kind = await bareKind(listener.ready)
    const add = (series: number, number: number): Promise<void> =>
      spread(number, async (n) => (await UdpBenchDevice.connect(deviceId(series, n), kind)).stop())
    await add(1, 200)
    await sleep(1_000)
    const baseline = await listener.memory()
    await add(2, count)
    await sleep(1_000)
    return perSession(await listener.memory(), baseline, count)
  } finally {
    await listener.stop()
  }
}

function bytesAtRest({ dataDir }: CloudUnderTest, count: number): { row: number; pages: number } {
  const database = new DatabaseSync(join(dataDir, 'aloe.db'), { readOnly: true })
  try {
    const columns = database.prepare('select name from pragma_table_info(?)').all('device_sessions')
    const size = columns.map(({ name }) => `coalesce(length(cast("${name}" as blob)), 0)`).join(' + ')
    const row = database.prepare(`select avg(${size}) as size from device_sessions`).get()
    const pages = database
      .prepare(
        `select sum(pgsize) as size from dbstat where name in (select name from sqlite_schema where tbl_name = ?)`,
      )
      .get('device_sessions')
    return { row: Number(row?.size), pages: Number(pages?.size) / count }
  } finally {
    database.close()
  }
}

/** KiB above the baseline for each session. */
function perSession(memory: Memory, baseline: Memory, count: number): Memory {
  const each = (key: keyof Memory): number => (memory[key] - baseline[key]) / 1_024 / count
  return {
    heap: each('heap'),
    committed: each('committed'),
    external: each('external'),
    rss: each('rss'),
    rssKept: each('rssKept'),
  }
}
