/** What an event costs on its way to many clients of one stream: framed once, written to each. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { startCloudUnderTest } from './cloud-under-test.ts'
import { EventClient } from './event-client.ts'
import { connectFleet, stopFleet } from './fleet.ts'
import { MeasuredProcess, type ProfileFolder } from './measured-process.ts'
import type { Figure } from './report.ts'

const name = 'sensor/temperature'
const data = Buffer.from('{"celsius":21.5,"humidity":48}')
/** How the events arrive: many in one read of a socket, or each in its own. */
const loads = [
  { title: 'event to clients, in bursts of 64', burst: 64, share: 1 },
  { title: 'event to clients, one by one', burst: 1, share: 0.2 },
] as const

interface Source {
  readonly socket: Socket
  publish(): void
}

export async function measureFanOut(
  { events, clients }: { events: number; clients: number },
  profile: ProfileFolder,
): Promise<Figure[]> {
  const cloud = await startCloudUnderTest()
  const bare = await MeasuredProcess.start<{ tcpPort: number; httpUrl: string }>('bare-events.ts')
  const figures: Figure[] = []
  try {
    const devices = await connectFleet(cloud.deviceKind, { series: 1, count: 1 })
    const [device] = devices
    if (!device) throw new Error('no device')
    await cloud.claim(device.id)
    const source: Source = { socket: device.socket, publish: () => device.publish(name, data) }
    const readers = await openAll(clients, `${cloud.httpUrl}/v1/events/sensor`, cloud.authorization)
    const size = await oneFrame(source, readers)
    await bare.ask('frame', `event: ${name}\ndata: {${'x'.repeat(size - name.length - 18)}}\n\n`)
    const bareReaders = await openAll(clients, bare.ready.httpUrl, '')
    const bareSource = await connectBare(bare.ready.tcpPort)

    for (const { title, burst, share } of loads) {
      const total = Math.ceil(events * share)
      await pump(source, readers, burst, Math.ceil(total / 10))
      await pump(bareSource, bareReaders, burst, Math.ceil(total / 10))
      const half = Math.ceil(total / 2)
      const before = await bare.cpuDuring(() => pump(bareSource, bareReaders, burst, half))
      const seconds = await cloud.process.cpuDuring(() => pump(source, readers, burst, total))
      const after = await bare.cpuDuring(() => pump(bareSource, bareReaders, burst, half))
      await cloud.process.profile(profile, `fan-out-${burst}`, () => pump(source, readers, burst, total))
      figures.push({
        name: `${title}, ${clients} clients`,
        unit: 'delivered / CPU s',
        better: 'more',
        value: (total * clients) / seconds,
        limit: (2 * half * clients) / (before + after),
        limitIs: 'a bare loop that receives and decrypts as much and writes the same bytes to as many sockets',
        count: total * clients,
        details: { 'bytes of an event on the stream': size },
      })
    }
    bareSource.socket.destroy()
    for (const reader of [...readers, ...bareReaders]) reader.close()
    stopFleet(devices)
  } finally {
    await cloud.stop()
    await bare.stop()
  }
  return figures
}

async function openAll(count: number, url: string, authorization: string): Promise<EventClient[]> {
  return Promise.all(Array.from({ length: count }, () => EventClient.open(url, authorization)))
}

/** Sends frames of the size that the device's have; to the bare loop one ciphertext is as good as another. */
async function connectBare(port: number): Promise<Source> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  const size = (26 + data.length + 16) & ~15
  const frame = Buffer.alloc(2 + size, 7)
  frame.writeUInt16BE(size)
  return { socket, publish: () => socket.write(frame) }
}

/** Bytes of one event on the stream. */
async function oneFrame(source: Source, readers: readonly EventClient[]): Promise<number> {
  const [first] = readers
  if (!first) throw new Error('no reader')
  const { bytes, received } = first
  source.publish()
  await Promise.all(readers.map((reader) => reader.reached(received + 1)))
  return first.bytes - bytes
}

/** Publishes `count` events, and waits until every client has all of them. */
async function pump(source: Source, readers: readonly EventClient[], burst: number, count: number): Promise<void> {
  const start = readers[0]?.received ?? 0
  for (let sent = 0; sent < count; ) {
    source.socket.cork()
    for (let i = 0; i < burst && sent < count; i++, sent++) source.publish()
    source.socket.uncork()
    // Nothing piles up: a burst goes when the one before has come to everybody.
    const target = start + sent
    await Promise.all(readers.map((reader) => reader.reached(target)))
  }
}
