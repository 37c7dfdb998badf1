/** What an event costs on its way from a device's datagram to a client's stream. */
import { createCipheriv, createSecretKey } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { setTimeout as sleep } from 'node:timers/promises'
import { startCloudUnderTest } from './cloud-under-test.ts'
import { EventClient } from './event-client.ts'
import { MeasuredProcess, type ProfileFolder } from './measured-process.ts'
import type { Figure } from './report.ts'
import type { UdpBenchDevice } from './udp-device.ts'
import { connectUdpFleet } from './udp-handshakes.ts'

const name = 'sensor/temperature'
const data = Buffer.from('{"celsius":21.5,"humidity":48}')
/** Events under way at most, and sent at a time by one device: no buffer of the system has to drop any. */
const underWay = 1_000
const burst = 8
/** Without progress for so long, what is under way is lost. */
const patience = 1_000

interface Load {
  readonly title: string
  readonly devices: number
}

/** With long-lived ciphers for each, and with more devices than may have them. */
const loads: readonly Load[] = [
  { title: 'UDP event to SSE, 16 devices', devices: 16 },
  { title: 'UDP event to SSE, 1,000 devices', devices: 1_000 },
]

interface Source {
  publish(): void
}

export async function measureUdpEvents(count: number, profile: ProfileFolder): Promise<Figure[]> {
  const cloud = await startCloudUnderTest()
  const bare = await MeasuredProcess.start<{ udpPort: number }>('bare-datagrams.ts')
  const figures: Figure[] = []
  try {
    const devices = await connectUdpFleet(cloud.udpDeviceKind, {
      series: 1,
      count: Math.max(...loads.map((load) => load.devices)),
    })
    for (const device of devices) await cloud.claim(device.id)
    const client = await EventClient.open(`${cloud.httpUrl}/v1/events/sensor`, cloud.authorization)
    const bareLoad = openBareLoad(bare.ready.udpPort)
    const acknowledged = () => devices.reduce((sum, device) => sum + device.acknowledged, 0)
    const pumpCloud = (load: Load, total: number) =>
      pump(sourcesOf(devices.slice(0, load.devices)), total, () => client.received)
    const pumpBare = (load: Load, total: number) => pump(bareLoad.sources(load.devices), total, bareLoad.answered)

    for (const load of loads) {
      await pumpCloud(load, Math.ceil(count / 5))
      await pumpBare(load, Math.ceil(count / 5))
      const half = Math.ceil(count / 2)
      let arrived = 0
      let seconds = 0
      let bareArrived = 0
      let bareSeconds = 0
      const before = acknowledged()
      for (let turn = 0; turn < 2; turn++) {
        bareSeconds += await bare.cpuDuring(async () => {
          bareArrived += await pumpBare(load, half)
        })
        seconds += await cloud.process.cpuDuring(async () => {
          arrived += await pumpCloud(load, half)
        })
      }
      await sleep(200)
      const limit = bareArrived / bareSeconds
      figures.push({
        name: load.title,
        unit: 'events / CPU s',
        better: 'more',
        value: arrived / seconds,
        limit,
        limitIs: 'a bare loop: receive, open the record with node:crypto, seal and send the acknowledgement',
        goal: limit / 2,
        count: arrived,
        details: { lost: 2 * half - arrived, acknowledged: acknowledged() - before },
      })
      await cloud.process.profile(profile, `udp-events-${load.devices}`, () => pumpCloud(load, count))
    }
    const failed = await bare.ask<number>('failed')
    if (failed > 0) throw new Error(`the bare loop could not open ${failed} records`)
    bareLoad.close()
    client.close()
    for (const device of devices) device.stop()
  } finally {
    await cloud.stop()
    await bare.stop()
  }
  return figures
}

function sourcesOf(devices: readonly UdpBenchDevice[]): Source[] {
  return devices.map((device) => ({ publish: () => device.publish(name, data) }))
}

/** Records of the size that the devices' have, from as many sockets. */
function openBareLoad(port: number) {
  let answered = 0
  const datagram = bareDatagram()
  const sockets = Array.from({ length: Math.max(...loads.map((load) => load.devices)) }, () => {
    const socket = createSocket({ type: 'udp4', lookup: (address, _options, found) => found(null, address, 4) })
    socket.on('message', () => answered++)
    return socket
  })
  return {
    answered: () => answered,
    sources: (devices: number): Source[] =>
      sockets.slice(0, devices).map((socket) => ({ publish: () => socket.send(datagram, port, '127.0.0.1') })),
    close: () => {
      for (const socket of sockets) socket.close()
    },
  }
}

/** Head with connection id, nonce, and the event's CoAP message with its type padded to 16 bytes. */
function bareDatagram(): Buffer {
  const message = Buffer.alloc((4 + 2 + 1 + name.length + 2 + 1 + data.length + 1 + 15) & ~15, 7)
  const head = Buffer.alloc(21, 1)
  const explicit = Buffer.alloc(8, 4)
  const nonce = Buffer.concat([Buffer.alloc(4, 3), explicit])
  const cipher = createCipheriv('aes-128-ccm', createSecretKey(Buffer.alloc(16, 1)), nonce, { authTagLength: 8 })
  cipher.setAAD(head, { plaintextLength: message.length })
  const sealed = cipher.update(message)
  cipher.final()
  return Buffer.concat([head, explicit, sealed, cipher.getAuthTag()])
}

/** Publishes `count` events. @returns how many of them arrived */
async function pump(sources: readonly Source[], count: number, arrived: () => number): Promise<number> {
  const start = arrived()
  let sent = 0
  let lost = 0
  let progress = { at: performance.now(), arrived: start }
  for (let turn = 0; ; ) {
    const done = arrived() - start
    if (done + lost >= count) return done
    const now = performance.now()
    if (arrived() !== progress.arrived) progress = { at: now, arrived: arrived() }
    else if (now - progress.at > patience) lost = sent - done
    if (sent < count && sent - done - lost <= underWay - burst) {
      const source = sources[turn++ % sources.length]
      for (let n = 0; n < burst && sent < count; n++, sent++) source?.publish()
      // Answers must be read, or the sockets' buffers overflow.
      if (turn % 4 !== 0) continue
    }
    await new Promise((resolve) => setImmediate(resolve))
  }
}
