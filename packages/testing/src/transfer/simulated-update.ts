/**
 * One update over one bad network, in simulated time: both sessions as they are, each message as large as the record
 * that would carry it, and a device that takes everything. For measuring the transfers, not the device.
 */
import { createHash } from 'node:crypto'
import { CloudSession, DeviceSession, helloFlag, type TransferResult, type UpdateTarget } from '@aloe/protocol'
import type { BothWays, DatagramConditions } from '../network/conditions.ts'
import type { DatagramCounts } from '../network/impairment.ts'
import { randomBytesOf } from '../network/random.ts'
import { type DatagramClient, SimulatedDatagrams } from '../network/simulated-datagrams.ts'
import { Poller, Simulation } from '../network/simulation.ts'

/** Header with an id of 8 bytes, nonce and tag of a DTLS record (device-protocol.md 2.4). */
export const recordOverhead = 37
/** Headers of IPv4 and UDP. */
const ipOverhead = 28

export interface SimulatedUpdateOptions {
  readonly network: BothWays<DatagramConditions>
  readonly file: Uint8Array
  /** `windowed`: OTA v3; `chunked`: v1 and v2. */
  readonly transfer?: 'windowed' | 'chunked'
  readonly seed?: number
  /** Simulated time after which it counts as failed: an hour unless given. */
  readonly limit?: number
  /** Called once the update has begun, for networks that change. */
  readonly during?: (simulation: Simulation, device: DatagramClient) => void
}

export interface SimulatedUpdate {
  /** Undefined when the time was up. */
  readonly result: TransferResult | undefined
  /** The device got the file, byte for byte. */
  readonly intact: boolean
  /** From the start to the result, in ms. */
  readonly duration: number
  /** Bytes of the file per second. */
  readonly goodput: number
  /** Bytes of all records to the device against the file; with the headers of IP and UDP. */
  readonly wireShare: number
  readonly ipShare: number
  /** Chunks sent again against chunks. */
  readonly resentShare: number
  readonly down: DatagramCounts
  readonly up: DatagramCounts
}

class Target implements UpdateTarget {
  bytes = new Uint8Array(0)

  begin({ size }: { readonly size: number }): { offset: number } {
    this.bytes = new Uint8Array(size)
    return { offset: 0 }
  }

  write(offset: number, bytes: Uint8Array): void {
    this.bytes.set(bytes, offset)
  }

  finish(): { ok: true } {
    return { ok: true }
  }

  apply(): void {}

  cancel(): void {}
}

const hash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

export function simulateUpdate(options: SimulatedUpdateOptions): SimulatedUpdate {
  const { network, file, transfer = 'windowed', seed = 1, limit = 3_600_000 } = options
  const simulation = new Simulation(seed)
  const datagrams = new SimulatedDatagrams(simulation)
  const target = new Target()
  const sealed = (message: Uint8Array) => Buffer.concat([new Uint8Array(recordOverhead), message])
  const opened = (record: Uint8Array) => record.subarray(recordOverhead)
  const now = () => simulation.now()
  const random = () => randomBytesOf(simulation.fork())
  let result: TransferResult | undefined
  let address = ''

  const server = datagrams.listen((record, from) => {
    address = from
    cloud.receive(opened(record), now())
    atCloud.changed()
  })
  const cloud = new CloudSession({
    transport: 'udp',
    random: random(),
    unixTime: () => 1_700_000_000,
    firstMessageId: 1,
    handlers: {
      send: (message) => server.send(sealed(message), address),
      hello: () => {},
      describe: () => {},
      event: () => {},
      closed: () => {},
    },
  })
  const socket = datagrams.connect(network, (record) => {
    device.receive(opened(record), now())
    atDevice.changed()
  })
  const device: DeviceSession = new DeviceSession({
    transport: 'udp',
    random: random(),
    firstMessageId: 1,
    hello: {
      productId: 0xffff,
      productVersion: 0xffff,
      flags: helloFlag.deviceInitiatedDescribe | (transfer === 'windowed' ? helloFlag.otaV3 : 0),
      platformId: 43,
      system: { version: 1000, maxMessageSize: 1152, maxBinarySize: 0, otaChunkSize: 512 },
    },
    updateTarget: target,
    handlers: {
      send: (message) => socket.send(sealed(message)),
      ready: () => {},
      describe: () => new Uint8Array(0),
      call: () => false,
      variable: () => undefined,
      event: () => {},
      time: () => {},
      signal: () => {},
      closed: () => {},
    },
  })
  const atCloud = new Poller(
    simulation,
    () => cloud.nextDeadline(),
    (at) => cloud.poll(at),
  )
  const atDevice = new Poller(
    simulation,
    () => device.nextDeadline(),
    (at) => device.poll(at),
  )

  device.start(now())
  atDevice.changed()
  simulation.runUntil(() => cloud.hello !== undefined && device.ready, 300_000)
  const before = { bytes: socket.down.counts.bytes, offered: socket.down.counts.offered }
  const began = now()
  cloud.startUpdate(file, {}, began, {
    done: (ended) => {
      result = ended
    },
  })
  atCloud.changed()
  options.during?.(simulation, socket)
  simulation.runUntil(() => result !== undefined, limit)
  const duration = now() - began
  const bytes = socket.down.counts.bytes - before.bytes
  const stats = result?.ok ? result.stats : undefined
  return {
    result,
    intact: hash(target.bytes) === hash(file),
    duration,
    goodput: (file.length * 1000) / duration,
    wireShare: bytes / file.length,
    ipShare: (bytes + (socket.down.counts.offered - before.offered) * ipOverhead) / file.length,
    resentShare: stats ? stats.resentChunks / stats.chunks : Number.NaN,
    down: socket.down.counts,
    up: socket.up.counts,
  }
}
