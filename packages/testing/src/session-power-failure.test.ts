/**
 * A device over UDP loses power at any moment of its life, again and again. Whatever its flash has kept or lost, no record
 * number and no message id comes twice with something else in it, and most lives go on in the session of the one before.
 */
import assert from 'node:assert/strict'
import { createPublicKey, type KeyObject, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { buildRelease, MemoryDevice, newDeviceKey, type ReleaseFolder } from '@aloe/device-os'
import { buildModule } from '@aloe/firmware'
import { CloudSession, DtlsListener, type DtlsSession, ecPublicKeyDer, generateEcKey } from '@aloe/protocol'
import { FaultyStorage } from './faulty-storage.ts'
import {
  type BothWays,
  type DatagramConditions,
  Poller,
  SimulatedDatagrams,
  Simulation,
  seeded,
} from './network/index.ts'

const lives = Number(process.env.ALOE_SESSION_LIVES ?? 60)
const seconds = 1_000
/** A cloud answers a message id that comes again within this time with the old answer. */
const idMemory = 247 * seconds

const application = buildModule({
  platformId: 43,
  function: 'user_part',
  index: 1,
  version: 1,
  dependencies: [{ function: 'system_part', index: 2, version: 2000 }],
  body: Buffer.from(`
    const { Particle, delay } = require('device-os')
    exports.loop = async () => {
      await Particle.publish('tick', String(Math.random()))
      await delay(300)
    }
  `),
})

const folder = mkdtempSync(join(tmpdir(), 'aloe-session-'))
let release: ReleaseFolder
let serverKey: KeyObject
let deviceKey: Uint8Array
before(async () => {
  release = await buildRelease({ version: '2.0.0', outDir: folder })
  serverKey = await generateEcKey()
  deviceKey = newDeviceKey()
})
after(() => rmSync(folder, { recursive: true, force: true }))

/** A cloud that never forgets, and what it sees that must not be. */
class World {
  readonly simulation: Simulation
  readonly repeatedNumbers: string[] = []
  readonly repeatedIds: string[] = []
  handshakes = 0
  events = 0
  readonly #datagrams: SimulatedDatagrams
  readonly #numbers = new Set<string>()
  readonly #ids = new Map<string, { readonly message: string; readonly at: number }>()
  readonly #sessions = new Map<DtlsSession, CloudSession>()

  constructor(seed: number) {
    this.simulation = new Simulation(seed, 1_000)
    this.#datagrams = new SimulatedDatagrams(this.simulation)
    const server = this.#datagrams.listen((bytes, from) => {
      listener.receive(bytes, from, this.simulation.now())
      poller.changed()
    })
    const listener: DtlsListener = new DtlsListener({
      serverKey,
      random: (size) => randomBytes(size),
      needCookie: () => false,
      handlers: {
        send: (bytes, to) => server.send(bytes, to),
        established: (session) => {
          this.handshakes += 1
          this.#sessions.set(session, this.#session(listener, session))
        },
        message: (session, message, now) => {
          this.#checkId(session, message, now)
          this.#sessions.get(session)?.receive(message, now)
        },
        closed: (session) => this.#sessions.delete(session),
      },
    })
    const poller = new Poller(
      this.simulation,
      () => Math.min(...[listener, ...this.#sessions.values()].map((one) => one.nextDeadline() ?? Infinity)),
      (now) => {
        listener.poll(now)
        for (const session of this.#sessions.values()) session.poll(now)
      },
    )
  }

  device(storage: FaultyStorage, made: boolean): MemoryDevice {
    return new MemoryDevice({
      storage,
      clock: this.simulation,
      unixTime: 1_600_000_000,
      connectUdp: (_host, _port, handlers) => {
        const conditions: DatagramConditions = { delay: 40, jitter: 20, loss: 0.05 }
        const ways: BothWays<DatagramConditions> = { up: conditions, down: conditions }
        const client = this.#datagrams.connect(ways, (bytes) => handlers.datagram(bytes))
        this.simulation.setTimer(0, () => handlers.open())
        return {
          send: (bytes) => {
            this.#checkNumber(bytes)
            client.send(bytes)
          },
          close: () => client.close(),
        }
      },
      ...(!made && {
        release,
        application,
        deviceKey,
        transport: 'udp',
        udpServerKey: ecPublicKeyDer(createPublicKey(serverKey)),
        udpServerAddress: { type: 'ipv4', address: '192.0.2.10', port: 5684 },
      }),
    })
  }

  /** The number of a protected record, which is the nonce of its cipher, together with its session. */
  #checkNumber(datagram: Uint8Array): void {
    if (datagram[0] !== 25 && datagram[0] !== 253) return
    const number = Buffer.from(datagram.subarray(3, 19)).toString('hex')
    if (this.#numbers.has(number)) this.repeatedNumbers.push(number)
    this.#numbers.add(number)
  }

  #checkId(session: DtlsSession, bytes: Uint8Array, now: number): void {
    const type = ((bytes[0] ?? 0) >> 4) & 3
    if (type > 1) return
    const message = Buffer.from(bytes).toString('hex')
    const id = `${Buffer.from(session.cid ?? []).toString('hex')} ${message.slice(4, 8)}`
    const earlier = this.#ids.get(id)
    if (earlier && earlier.message !== message && now - earlier.at < idMemory) this.repeatedIds.push(id)
    this.#ids.set(id, { message, at: now })
  }

  #session(listener: DtlsListener, session: DtlsSession): CloudSession {
    return new CloudSession({
      transport: 'udp',
      random: (size) => randomBytes(size),
      unixTime: () => 1_600_000_000,
      firstMessageId: randomBytes(2).readUInt16BE(),
      handlers: {
        send: (message) => listener.send(session, message),
        hello: (hello) => listener.bind(session, hello.deviceId ?? ''),
        describe: () => {},
        event: ({ name }) => {
          if (name === 'tick') this.events += 1
        },
        closed: () => listener.close(session, false),
      },
    })
  }
}

/** The plug is pulled: nothing more is written. */
async function pull(device: MemoryDevice, storage: FaultyStorage): Promise<void> {
  storage.cutAt(0)
  await device.stop(false).catch(() => {})
}

describe('a device over UDP that loses power', () => {
  it('never uses a record number or a message id again, and mostly goes on in its session', async (test) => {
    const world = new World(7)
    const random = seeded(11)
    const storage = new FaultyStorage()
    let heard = 0
    for (let life = 0; life < lives; life++) {
      storage.reboot(life === 0 ? 1 : life)
      const device = world.device(storage, life > 0)
      if (life === 0) storage.reboot(1)
      const connects = life === 0 || random() < 0.9
      // Most cuts come by the clock, the others at an operation of the storage.
      const span = (connects ? 3 + 12 * random() : random()) * seconds
      if (life > 1 && random() < 0.4) storage.cutAt(Math.floor(24 * random()))
      const before = world.events
      device.start()
      await world.simulation.advance(life % 20 === 19 ? 200 * seconds : span)
      if (world.events > before) heard += 1
      await pull(device, storage)
    }
    assert.deepEqual(world.repeatedNumbers, [])
    assert.deepEqual(world.repeatedIds, [])
    assert.ok(heard > lives / 2, `${heard} of ${lives} lives were heard`)
    assert.ok(world.handshakes < lives / 4, `${world.handshakes} handshakes in ${lives} lives`)
    test.diagnostic(`${lives} lives, ${world.handshakes} handshakes, ${world.events} events`)
  })

  it('would be found out by this test if its flash forgot what it had promised to keep', async () => {
    const world = new World(3)
    const storage = new FaultyStorage()
    const first = world.device(storage, false)
    storage.reboot(1)
    first.start()
    await world.simulation.advance(10 * seconds)
    await pull(first, storage)
    storage.reboot(1)
    for (const copy of [storage.clone(), storage.clone()]) {
      const device = world.device(copy, true)
      device.start()
      await world.simulation.advance(5 * seconds)
      await pull(device, copy)
    }
    assert.notDeepEqual(world.repeatedNumbers, [])
  })
})
