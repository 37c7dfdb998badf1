/**
 * Resume across everything: a device that is reset every 15 seconds, loses its power or its connection, or whose cloud
 * is killed, gets updates over a link that needs minutes for them. In simulated time, by both transports.
 */
import assert from 'node:assert/strict'
import { createPublicKey, type KeyObject } from 'node:crypto'
import { before, describe, it } from 'node:test'
import { Flash } from '@aloe/device-os'
import {
  buildModule,
  type CatalogueModule,
  type ModuleDependency,
  type ModuleFunction,
  moduleLabel,
  type Platform,
  planHealing,
  platformByName,
  type SystemDescribe,
} from '@aloe/firmware'
import { devicePrivateKeyDer, generateDeviceKey, generateEcKey, generateServerKey } from '@aloe/protocol'
import { FaultyStorage, PowerCut } from '../faulty-storage.ts'
import { networkOf, streamNetworkOf } from '../network/conditions.ts'
import { SimulatedDatagrams } from '../network/simulated-datagrams.ts'
import { SimulatedStreams } from '../network/simulated-streams.ts'
import { Simulation } from '../network/simulation.ts'
import { type Transport, UpdateCloud } from './update-cloud.ts'
import { UpdateDevice } from './update-device.ts'

const linux = platformByName('linux')
assert.ok(linux)
const platform: Platform = linux
const deviceId = '422b00000000000000000042'
const minute = 60_000

/** Bytes that do not compress and are not alike. */
function body(size: number, seed: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, index) => Math.imul(index + seed * 7919, 2_654_435_761) >>> 24)
}

function module(name: ModuleFunction, index: number, version: number, size: number, needs?: ModuleDependency) {
  const dependencies = needs ? [needs] : []
  return buildModule({
    platformId: platform.id,
    function: name,
    index,
    version,
    dependencies,
    body: body(size, version),
  })
}

const bootloader = (version: number) => module('bootloader', 0, version, 8_000)
const part1 = (version: number, needs: number, size = 60_000) =>
  module('system_part', 1, version, size, { function: 'bootloader', index: 0, version: needs })
const part2 = (version: number, size = 60_000) =>
  module('system_part', 2, version, size, { function: 'system_part', index: 1, version })
const application = (version: number, needs: number, size: number) =>
  module('user_part', 1, version, size, { function: 'system_part', index: 2, version: needs })

const oldSystem = [bootloader(100), part1(1000, 100, 8_000), part2(1000, 8_000)]
const newSystem: readonly [CatalogueModule, Uint8Array][] = (
  [
    ['bootloader', 0, 200, [], bootloader(200)],
    ['system_part', 1, 2000, [{ function: 'bootloader', index: 0, version: 200 }], part1(2000, 200)],
    ['system_part', 2, 2000, [{ function: 'system_part', index: 1, version: 2000 }], part2(2000)],
  ] as const
).map(([name, index, version, dependencies, bytes]) => [
  {
    function: name,
    index,
    version,
    dependencies,
    platformId: platform.id,
    release: '2.0.0',
    prerelease: false,
    state: 'ga',
    size: bytes.length,
  },
  bytes,
])

const newApplication = application(7, 1000, 150_000)

/** An owner's flash: the application, until the device shows it. */
const flashing = (describe: SystemDescribe): Uint8Array | undefined =>
  describe.modules.some((m) => m.function === 'user_part' && m.version === 7) ? undefined : newApplication

/** The healer: what the planner says for this describe. */
function healing(describe: SystemDescribe): Uint8Array | undefined {
  const plan = planHealing(
    platform,
    describe,
    newSystem.map(([entry]) => entry),
  )
  assert.ok(plan.ok)
  const [step] = plan.steps
  return step && newSystem.find(([entry]) => moduleLabel(entry) === moduleLabel(step))?.[1]
}

interface Keys {
  readonly device: KeyObject
  readonly server: KeyObject
}

const keys = {} as Record<Transport, Keys>

before(async () => {
  keys.tcp = { device: await generateDeviceKey(), server: await generateServerKey() }
  keys.udp = { device: await generateEcKey(), server: await generateEcKey() }
})

interface Trouble {
  /** The external watchdog. */
  readonly watchdog?: number
  /** Power goes and comes every so often; what is not synced is lost in part. */
  readonly powerCuts?: number
  /** The power goes in the middle of an operation of the storage, so many after each boot. */
  readonly cutAt?: () => number
  /** The connection breaks; over UDP the NAT forgets. */
  readonly connectionCuts?: number
  /** The cloud is killed, and is back 2 s later. */
  readonly restarts?: number
  readonly loss?: number
}

interface Outcome {
  readonly cloud: UpdateCloud
  readonly device: UpdateDevice
  readonly storage: FaultyStorage
  readonly took: number
  readonly safeBoots: number
}

async function converge(
  transport: Transport,
  safeMode: boolean,
  trouble: Trouble,
  limit = 60 * minute,
  seed = 11,
): Promise<Outcome> {
  const simulation = new Simulation(seed)
  const datagrams = new SimulatedDatagrams(simulation)
  const streams = new SimulatedStreams(simulation)
  const storage = new FaultyStorage()
  const flash = new Flash(storage, platform)
  const first = safeMode ? application(1, 2000, 4_000) : application(1, 1000, 4_000)
  for (const bytes of [...oldSystem, first]) flash.install(bytes)
  flash.initialize({
    deviceId,
    deviceKey: devicePrivateKeyDer(await rsaForConfig()),
    startupMode: 'normal',
    flags: {},
  })
  storage.reboot(1)
  const { device: deviceKey, server: serverKey } = keys[transport]
  const cloud = new UpdateCloud({
    simulation,
    transport,
    datagrams,
    streams,
    serverKey,
    next: safeMode ? healing : flashing,
  })
  cloud.start()
  const worse = trouble.loss === undefined ? {} : { loss: trouble.loss }
  const device = new UpdateDevice(storage, {
    simulation,
    platform,
    transport,
    datagrams,
    streams,
    // 20 kbit/s with a round trip of a second: the 150 KB need more than a minute without any trouble.
    network: { datagrams: networkOf('gprs', worse), streams: streamNetworkOf('gprs', { segment: 536 }) },
    deviceKey,
    serverKey: createPublicKey(serverKey),
    deviceId,
  })

  let safeBoots = 0
  let failure: unknown
  const wanted = (): boolean => {
    if (failure) throw failure
    const { decision } = device
    if (!decision || decision.mode === 'safe') return false
    return safeMode || decision.modules.some((m) => m.function === 'user_part' && m.version === 7)
  }
  const power = (): void => {
    if (trouble.cutAt) storage.cutAt(trouble.cutAt())
    device.run().catch((error: unknown) => {
      if (!(error instanceof PowerCut)) failure = error
      else simulation.setTimer(500, powerCut)
    })
  }
  let cuts = 0
  const powerCut = (): void => {
    device.stop({ kind: 'off' })
    storage.reboot(2 + cuts++)
    power()
  }
  /** An operation that lost its power throws wherever it was called: in a timer of the simulation. */
  const advance = async (): Promise<boolean> => {
    for (;;) {
      try {
        return await simulation.advanceUntil(wanted, Math.max(0, limit - simulation.now()))
      } catch (error) {
        if (!(error instanceof PowerCut)) throw error
        powerCut()
      }
    }
  }
  power()
  if (trouble.watchdog !== undefined) {
    simulation.every(trouble.watchdog, () => {
      if (device.decision?.mode === 'safe') safeBoots++
      device.stop({ kind: 'reset', reason: 'pin_reset' })
    })
  }
  if (trouble.powerCuts !== undefined) simulation.every(trouble.powerCuts, powerCut)
  if (trouble.connectionCuts !== undefined) {
    simulation.every(trouble.connectionCuts, () => {
      device.connection?.cut()
      device.socket?.rebind()
    })
  }
  if (trouble.restarts !== undefined) {
    simulation.every(trouble.restarts, () => {
      cloud.kill()
      simulation.setTimer(2_000, () => cloud.start())
    })
  }
  const done = await advance()
  assert.ok(
    done,
    `not there after ${limit / minute} minutes: ${device.boots} boots, offsets ${cloud.attempts.map(({ offset }) => offset)}`,
  )
  return { cloud, device, storage, took: simulation.now(), safeBoots }
}

let configKey: KeyObject | undefined
/** The flash of a device holds a key whatever the test speaks with. */
async function rsaForConfig(): Promise<KeyObject> {
  configKey ??= await generateDeviceKey()
  return configKey
}

/** Nothing starts from zero again: the offsets of each file only grow. */
function checkOffsets(cloud: UpdateCloud, lost = 0): void {
  const last = new Map<Uint8Array, number>()
  for (const { file, offset } of cloud.attempts) {
    if (offset === undefined) continue
    assert.ok(offset >= (last.get(file) ?? 0) - lost, `${cloud.attempts.map((attempt) => attempt.offset)}`)
    last.set(file, offset)
  }
}

const sizeOf = (safeMode: boolean) =>
  safeMode ? newSystem.reduce((sum, [, bytes]) => sum + bytes.length, 0) : newApplication.length

for (const transport of ['tcp', 'udp'] as const) {
  describe(`an update over ${transport} and a link that needs minutes for it`, () => {
    for (const safeMode of [false, true]) {
      const mode = safeMode ? 'in safe mode' : 'in normal mode'

      it(`arrives ${mode} although a watchdog resets the device every 15 s`, async (test) => {
        const { cloud, device, took, safeBoots } = await converge(transport, safeMode, { watchdog: 15_000 })
        const size = sizeOf(safeMode)
        checkOffsets(cloud)
        assert.ok(device.boots > 5 && device.boots < 40, `${device.boots} boots`)
        assert.ok(device.received < 1.6 * size, `${device.received} bytes for ${size}`)
        if (safeMode) assert.ok(safeBoots > 5, `${safeBoots} resets in safe mode`)
        if (transport === 'udp') assert.equal(cloud.handshakes, 1)
        const seconds = Math.round(took / 1000)
        test.diagnostic(`${seconds} s, ${device.boots} boots, ${(device.received / size).toFixed(2)} of the image`)
      })
    }

    it('arrives although the power goes every 15 s', async () => {
      const { cloud, device } = await converge(transport, false, { powerCuts: 15_000 })
      checkOffsets(cloud, 4_096)
      assert.ok(device.received < 1.8 * newApplication.length)
    })

    it('arrives although the power goes in the middle of what is stored', async () => {
      let draw = 5
      const cutAt = () => {
        draw = (Math.imul(draw, 1_103_515_245) + 12_345) >>> 0
        return 15 + (draw >>> 24) / 8
      }
      const { storage } = await converge(transport, false, { cutAt: () => Math.floor(cutAt()) })
      assert.ok(new Flash(storage, platform).module('user_part', 1))
    })

    it('arrives although the connection breaks or the NAT forgets every 20 s', async () => {
      const { cloud, device } = await converge(transport, false, { connectionCuts: 20_000 })
      assert.equal(device.boots, 2)
      checkOffsets(cloud)
    })

    it('arrives although the cloud is killed every 25 s', async () => {
      const { cloud, device } = await converge(transport, false, { restarts: 25_000 })
      assert.equal(device.boots, 2)
      checkOffsets(cloud)
      if (transport === 'udp') assert.deepEqual([cloud.handshakes, cloud.hellos], [1, 1])
    })

    it('arrives although everything happens', async () => {
      const everything = { watchdog: 31_000, powerCuts: 47_000, connectionCuts: 23_000, restarts: 67_000, loss: 0.05 }
      const { cloud } = await converge(transport, true, everything)
      assert.ok(cloud.attempts.length > 5)
    })
  })
}
