/** What it costs to take a device in over UDP: the DTLS handshake alone, and all that follows it in the cloud. */
import { createPublicKey } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { startCloudUnderTest } from './cloud-under-test.ts'
import { deviceId, spread } from './fleet.ts'
import { MeasuredProcess, type ProfileFolder } from './measured-process.ts'
import type { Figure } from './report.ts'
import { bareHandshake, benchDeviceKeys, UdpBenchDevice, type UdpDeviceKind } from './udp-device.ts'

/** What a device told is in the database by then; that belongs to the cost. */
const untilWritten = 2_500
const turns = 4
/** More handshakes at a time than usual: more datagrams for each time that the listener wakes up. */
const crowd = 64

export async function connectUdpFleet(
  kind: UdpDeviceKind,
  { series, from = 0, count }: { series: number; from?: number; count: number },
): Promise<UdpBenchDevice[]> {
  const devices: UdpBenchDevice[] = []
  await spread(count, async (n) => {
    devices.push(await UdpBenchDevice.connect(deviceId(series, from + n), kind))
  })
  return devices
}

export interface ListenerReady {
  readonly udpPort: number
  readonly publicKey: string
}

/** Devices that make nothing but handshakes, with the listener alone. */
export async function bareKind({ udpPort, publicKey }: ListenerReady): Promise<UdpDeviceKind> {
  return { port: udpPort, serverKey: createPublicKey(publicKey), deviceKeys: await benchDeviceKeys(), bare: true }
}

export async function measureUdpHandshakes(count: number, profile: ProfileFolder): Promise<Figure[]> {
  const listener = await MeasuredProcess.start<ListenerReady>('dtls-listener.ts')
  const floor = await MeasuredProcess.start<{ readonly udpPort: number }>('bare-handshakes.ts')
  const cloud = await startCloudUnderTest()
  const kind = await bareKind(listener.ready)
  /** Devices `from` and so on: those of one number have the same key, whenever they come. */
  const alone = async (from: number, number: number, together?: number): Promise<void> => {
    await spread(number, async (n) => (await UdpBenchDevice.connect(deviceId(1, from + n), kind)).stop(), together)
  }
  const bare = (number: number): Promise<void> => spread(number, () => bareHandshake(floor.ready.udpPort))
  const whole = async (series: number, number: number): Promise<void> => {
    const devices = await connectUdpFleet(cloud.udpDeviceKind, { series, count: number })
    await cloud.online(number)
    await sleep(untilWritten)
    for (const device of devices) device.stop()
    await cloud.online(0)
  }
  try {
    // Until the compiler has done its work, which is the listener's CPU time too.
    await alone(3_000, 1_000)
    await bare(1_000)
    await whole(1, 300)
    await listener.ask('operations', 500)
    const turn = Math.ceil(count / turns)
    const seconds = { operations: 0, floor: 0, aloneNew: 0, aloneKnown: 0, crowd: 0, known: 0, new: 0 }
    // In turns, for a shared machine changes its speed while it is measured.
    for (let n = 0; n < turns; n++) {
      seconds.operations += await listener.cpuDuring(() => listener.ask('operations', turn))
      seconds.aloneNew += await listener.cpuDuring(() => alone(n * turn, turn))
      seconds.aloneKnown += await listener.cpuDuring(() => alone(n * turn, turn))
      seconds.crowd += await listener.cpuDuring(() => alone(n * turn, turn, crowd))
      seconds.floor += await floor.cpuDuring(() => bare(turn))
      seconds.new += await cloud.process.cpuDuring(() => whole(2 + n, turn))
      seconds.known += await cloud.process.cpuDuring(() => whole(2 + n, turn))
    }
    await listener.profile(profile, 'udp-handshakes', () => alone(0, count))
    await cloud.process.profile(profile, 'udp-connect', () => whole(100, count))
    const limit = (turns * turn) / seconds.operations
    const figure = {
      unit: 'per CPU s',
      better: 'more',
      limit,
      limitIs: 'the bare public key operations: ECDH generate and derive, ECDSA sign and verify',
      goal: limit * 0.6,
      count: turns * turn,
    } as const
    return [
      {
        ...figure,
        name: 'DTLS handshakes alone, known key',
        value: (turns * turn) / seconds.aloneKnown,
        details: { 'bare datagrams and operations, per CPU s': (turns * turn) / seconds.floor },
      },
      {
        ...figure,
        name: `DTLS handshakes alone, known key, ${crowd} at a time`,
        value: (turns * turn) / seconds.crowd,
      },
      {
        ...figure,
        name: 'DTLS handshakes alone, new key',
        value: (turns * turn) / seconds.aloneNew,
        details: { 'with cookie': await listener.ask<number>('cookies') },
      },
      { ...figure, name: 'UDP connects, known device', value: (turns * turn) / seconds.known },
      { ...figure, name: 'UDP connects, new device', value: (turns * turn) / seconds.new },
    ]
  } finally {
    await cloud.stop()
    await floor.stop()
    await listener.stop()
  }
}
