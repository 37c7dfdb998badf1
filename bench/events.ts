/** What an event costs on its way from a device to a client's stream. */

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { BenchDevice } from './bench-device.ts'
import { startCloudUnderTest } from './cloud-under-test.ts'
import { EventClient } from './event-client.ts'
import { connectFleet, stopFleet } from './fleet.ts'
import { MeasuredProcess, type ProfileFolder } from './measured-process.ts'
import type { Figure } from './report.ts'

const name = 'sensor/temperature'
const data = Buffer.from('{"celsius":21.5,"humidity":48}')
/** Events under way at most: enough to keep the cloud busy, and little enough that every queue holds them. */
const underWay = 8_000

/** How the load arrives. */
interface Load {
  readonly title: string
  readonly devices: number
  /** Events that a device sends at a time. */
  readonly burst: number
}

/** Where a device's events leave the generator: a device's session, or bare frames. */
interface Source {
  readonly socket: Socket
  publish(): void
}

const loads: readonly Load[] = [
  { title: 'event to SSE, 4 devices at full speed', devices: 4, burst: 64 },
  { title: 'event to SSE, 500 devices one by one', devices: 500, burst: 1 },
]

export async function measureEvents(count: number, profile: ProfileFolder): Promise<Figure[]> {
  const cloud = await startCloudUnderTest()
  const bare = await MeasuredProcess.start<{ tcpPort: number; httpUrl: string }>('bare-events.ts')
  const figures: Figure[] = []
  try {
    const devices = await connectFleet(cloud.deviceKind, {
      series: 1,
      count: Math.max(...loads.map((load) => load.devices)),
    })
    for (const device of devices) await cloud.claim(device.id)
    const client = await EventClient.open(`${cloud.httpUrl}/v1/events/sensor`, cloud.authorization)
    const sources = devices.map(sourceOf)

    await pump(loads[0], sources, client, Math.ceil(count / 10))
    const frame = await oneFrame(sources, client)
    await bare.ask('frame', frame)
    const bareClient = await EventClient.open(bare.ready.httpUrl, '')
    const bareSources = await Promise.all(devices.map(() => bareSource(bare.ready.tcpPort)))
    await pump(loads[0], bareSources, bareClient, Math.ceil(count / 10))

    for (const load of loads) {
      const total = load.burst > 1 ? count : Math.ceil(count / 4)
      const half = Math.ceil(total / 2)
      const bareBefore = await bare.cpuDuring(() => pump(load, bareSources, bareClient, half))
      const seconds = await cloud.process.cpuDuring(() => pump(load, sources, client, total))
      const bareAfter = await bare.cpuDuring(() => pump(load, bareSources, bareClient, half))
      await cloud.process.profile(profile, `events-${load.devices}`, () => pump(load, sources, client, total))
      figures.push({
        name: load.title,
        unit: 'events / CPU s',
        better: 'more',
        value: total / seconds,
        limit: (2 * half) / (bareBefore + bareAfter),
        limitIs: 'a bare loop that receives, splits, decrypts and writes the same bytes',
        before: 18_000,
        goal: 40_000,
        count: total,
        details: { 'bytes of an event on the stream': frame.length },
      })
    }
    for (const { socket } of bareSources) socket.destroy()
    bareClient.close()
    client.close()
    stopFleet(devices)
  } finally {
    await cloud.stop()
    await bare.stop()
  }
  return figures
}

function sourceOf(device: BenchDevice): Source {
  return { socket: device.socket, publish: () => device.publish(name, data) }
}

/** Sends frames of the size that the device's have; to the bare loop one ciphertext is as good as another. */
async function bareSource(port: number): Promise<Source> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  // 4 bytes of header, 21 of path, 1 of marker, then the data and its padding.
  const size = (26 + data.length + 16) & ~15
  const frame = Buffer.alloc(2 + size, 7)
  frame.writeUInt16BE(size)
  return { socket, publish: () => socket.write(frame) }
}

/** The text of one event on the stream, as long as every other is. */
async function oneFrame(sources: readonly Source[], client: EventClient): Promise<string> {
  const { bytes, received } = client
  sources[0]?.publish()
  await client.reached(received + 1)
  const size = client.bytes - bytes
  const head = `event: ${name}\ndata: {`
  return `${head}${'x'.repeat(size - head.length - 3)}}\n\n`
}

/** Publishes `count` events and waits until the client has them all. */
async function pump(
  load: Load | undefined,
  sources: readonly Source[],
  client: EventClient,
  count: number,
): Promise<void> {
  if (!load) return
  const target = client.received + count
  const chosen = sources.slice(0, load.devices)
  let sent = client.received
  for (let turn = 0; sent < target; turn++) {
    const source = chosen[turn % chosen.length]
    if (!source) return
    source.socket.cork()
    for (let i = 0; i < load.burst && sent < target; i++, sent++) source.publish()
    source.socket.uncork()
    // Only what the client has got makes room: nothing piles up anywhere, and nothing is lost.
    if (sent - client.received > underWay) await client.reached(sent - underWay / 2)
  }
  await client.reached(target)
}
