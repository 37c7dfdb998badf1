import assert from 'node:assert/strict'
import { createPublicKey, type KeyObject } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { moduleLabel, parseModule } from '@aloe/firmware'
import { devicePublicKeyDer, generateDeviceKey, generateServerKey } from '@aloe/protocol'
import { pino } from 'pino'
import { createLocalBus } from '../bus/bus.ts'
import { DeviceRegistry } from '../devices/registry.ts'
import type { CloudEvent } from '../events/event.ts'
import { createGateway, type DeviceGateway } from '../gateway/device-gateway.ts'
import {
  FakeDevice,
  type FakeDeviceOptions,
  linuxApplication,
  linuxModule,
  linuxSystem,
} from '../gateway/fake-device.ts'
import { until } from '../gateway/until.ts'
import { openStore, type Store } from '../store/store.ts'
import { type CatalogueRelease, createCatalogue } from './catalogue.ts'
import { startUpdates, type UpdateLimits, type Updates } from './updates.ts'

const log = pino({ level: process.env.ALOE_LOG_LEVEL ?? 'silent' })
const id = '422b00000000000000000001'

function fail(error: unknown): never {
  assert.fail(String(error))
}

/** A release with modules of a few kilobytes. */
function release(version: string, systemVersion: number, bootloaderVersion: number, size: number): CatalogueRelease {
  const files = linuxSystem(systemVersion, bootloaderVersion, size).map((bytes) => {
    const module = parseModule(bytes)
    return {
      filename: `${moduleLabel(module)}.bin`,
      function: module.function,
      index: module.index,
      version: module.version,
      dependencies: module.dependencies,
      size: bytes.length,
      sha256: module.sha256,
      bytes,
      module,
    }
  })
  return {
    version,
    platform: 'linux',
    platformId: 43,
    systemVersion,
    bootloaderVersion,
    prerelease: false,
    state: 'ga',
    files,
    types: '',
    api: [],
  }
}

const releases = [release('1.0.0', 1_000, 100, 3_000), release('2.0.0', 2_000, 200, 40_000)]
const system1 = releases[0]?.files.map(({ bytes }) => bytes) ?? []
const system2 = releases[1]?.files.map(({ bytes }) => bytes) ?? []

describe('updates', () => {
  let folder: string
  let serverKey: KeyObject
  let deviceKey: KeyObject
  let store: Store
  let registry: DeviceRegistry
  let gateway: DeviceGateway
  let updates: Updates
  let events: CloudEvent[]
  let device: FakeDevice | undefined
  let port = 0

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'aloe-updates-'))
    serverKey = await generateServerKey()
    deviceKey = await generateDeviceKey()
  })
  after(() => rm(folder, { recursive: true }))

  let run = 0
  beforeEach(async () => {
    run++
    port = 0
    events = []
    await startCloud()
    await store.db
      .insertInto('users')
      .values({
        id: 'ann',
        username: 'ann',
        password_hash: '',
        account_info: '{}',
        is_administrator: 0,
        created_at: 0,
        updated_at: 0,
      })
      .execute()
    await registry.provision(id, devicePublicKeyDer(deviceKey), { id: 'ann', administrator: true })
    await registry.claim(id, 'ann')
  })
  afterEach(async () => {
    device?.stop()
    await stopCloud()
  })

  async function startCloud(limits: Partial<UpdateLimits> = {}, known = releases): Promise<void> {
    store = await openStore(join(folder, String(run)))
    registry = await DeviceRegistry.open({ store, now: Date.now, onError: fail })
    const bus = createLocalBus(fail)
    bus.subscribe((event) => events.push(event))
    gateway = createGateway({ tcp: { serverKey }, registry, bus, log })
    updates = await startUpdates({
      store,
      registry,
      gateway,
      catalogue: createCatalogue(known),
      bus,
      log,
      limits: { settle: 10, restart: 1, backOff: { first: 1, longest: 1 }, ...limits },
    })
    await gateway.listen({ host: '127.0.0.1', tcpPort: port })
    port = gateway.tcpPort
  }

  async function stopCloud(): Promise<void> {
    const ended = updates.close()
    await gateway.close()
    await ended
    await registry.close()
    await store.close()
  }

  async function restartCloud(limits?: Partial<UpdateLimits>, known?: CatalogueRelease[]): Promise<void> {
    await stopCloud()
    await startCloud(limits, known)
  }

  async function start(options: Partial<FakeDeviceOptions> = {}): Promise<FakeDevice> {
    device = new FakeDevice({
      id,
      port,
      deviceKey,
      serverKey: createPublicKey(serverKey),
      modules: [...system1, linuxApplication(1_000)],
      reconnect: 20,
      ...options,
    })
    device.start()
    await until(() => gateway.connection(id)?.describe)
    return device
  }

  const named = (name: string) => events.filter((event) => event.name === name)
  const told = (name: string) => named(name).map((event) => event.data)
  // biome-ignore lint/suspicious/noExplicitAny: tests look into events freely
  const json = (name: string): any[] => named(name).map((event) => JSON.parse(event.data ?? ''))
  const state = async (kind: string) => (await updates.jobs(id)).find((job) => job.kind === kind)?.state

  describe('of an owner', () => {
    it('are taken by the device, which then runs them', async () => {
      const made = await start()
      const application = linuxApplication(1_000, 20_000)
      assert.deepEqual(await updates.flash(id, application, 'ann'), { ok: true })
      await until(() => made.log.includes('took user_part 1@1') && made.reports === 2)
      assert.deepEqual(told('spark/flash/status'), ['started ', 'success '])
      await until(() => named('aloe/update/done').length)
      const [job] = await updates.jobs(id)
      assert.deepEqual([job?.kind, job?.state, job?.requestedBy], ['flash', 'done', 'ann'])
      const progress = json('aloe/update/progress')
      assert.equal(progress.at(-1).bytes, application.length)
      assert.equal(progress.at(-1).module.label, 'user_part 1@1')
      assert.equal(named('aloe/update/progress')[0]?.owner, 'ann')
    })

    it('go by the chunked transfer where the device knows no other', async () => {
      const made = await start({ otaV3: false })
      assert.deepEqual(await updates.flash(id, linuxApplication(1_000, 20_000), 'ann'), { ok: true })
      await until(() => made.log.includes('took user_part 1@1') && made.reports === 2)
      assert.deepEqual(told('spark/flash/status'), ['started ', 'success '])
    })

    it('may be single system parts', async () => {
      const made = await start()
      for (const [index, part] of system2.entries()) {
        assert.deepEqual(await updates.flash(id, part, 'ann'), { ok: true })
        await until(() => made.reports === index + 2)
        await until(() => gateway.connection(id)?.describe)
      }
      assert.match(made.versions, /bootloader 0@200, system_part 1@2000, system_part 2@2000/)
    })

    it('are refused with the reason before they are sent', async () => {
      await start()
      const damaged = Uint8Array.from(linuxApplication(1_000))
      damaged[100] = (damaged[100] ?? 0) ^ 1
      const cases: [Uint8Array, RegExp][] = [
        [damaged, /Integrity check failed/],
        [Buffer.from('not a module'), /cannot be used/],
        [new Uint8Array(), /cannot be used/],
      ]
      for (const [file, reason] of cases) {
        const result = await updates.flash(id, file, 'ann')
        assert.ok(!result.ok)
        assert.equal(result.status, 400)
        assert.match(result.error, reason)
      }
      assert.deepEqual(await updates.jobs(id), [])
    })

    it('time out at once for a device that is offline', async () => {
      const result = await updates.flash(id, linuxApplication(1_000), 'ann')
      assert.deepEqual(result, { ok: false, status: 408, error: 'Timed out.' })
    })

    it('are refused while the application disabled them, unless they are forced', async () => {
      const made = await start({ updatesEnabled: false })
      await until(() => registry.get(id)?.updatesEnabled === false)
      const result = await updates.flash(id, linuxApplication(1_000), 'ann')
      assert.ok(!result.ok)
      assert.equal(result.status, 400)
      assert.match(result.error, /disabled/)
      await registry.setUpdatesForced(id, 'ann', true)
      gateway.setUpdatesForced(id, true)
      await until(() => made.updatesForced)
      assert.deepEqual(await updates.flash(id, linuxApplication(1_000), 'ann'), { ok: true })
    })

    it('fail with what the device says, at the start and at the end', async () => {
      let stage: 'begin' | 'finish' = 'begin'
      await start({ onUpdate: (at) => (at === stage ? -219 : undefined) })
      const refused = await updates.flash(id, linuxApplication(1_000), 'ann')
      assert.ok(!refused.ok)
      assert.match(refused.error, /-219/)
      stage = 'finish'
      await until(() => gateway.connection(id)?.describe)
      assert.deepEqual(await updates.flash(id, linuxApplication(1_000), 'ann'), { ok: true })
      await until(() => named('aloe/update/failed').length === 2)
      assert.deepEqual(told('spark/flash/status'), ['started ', 'failed '])
      assert.equal((await updates.jobs(id))[0]?.detail.code, -219)
    })

    it('go on where they were when the connection was lost', async () => {
      const made = await start()
      made.breakAfter = 30_000
      assert.deepEqual(await updates.flash(id, linuxApplication(1_000, 60_000), 'ann'), { ok: true })
      await until(() => made.log.includes('took user_part 1@1'))
      assert.ok(made.log.some((line) => /^resume at \d+/.test(line)))
      assert.equal(told('spark/flash/status').at(-1), 'success ')
    })

    it('come one after the other', async () => {
      const made = await start()
      const both = await Promise.all([
        updates.flash(id, linuxApplication(1_000, 30_000), 'ann'),
        updates.flash(id, linuxApplication(1_000, 30_000), 'ann'),
      ])
      assert.deepEqual(both.map((result) => result.ok || result.status).sort(), [409, true])
      await until(() => made.reports === 2)
    })

    it('survive a restart of the cloud once they were accepted', async () => {
      const made = await start()
      made.breakAfter = 30_000
      const application = linuxApplication(1_000, 60_000)
      assert.deepEqual(await updates.flash(id, application, 'ann'), { ok: true })
      await stopCloud()
      await startCloud()
      await until(() => made.log.includes('took user_part 1@1'), 20_000)
      await until(() => named('aloe/update/done').length)
      assert.equal(await state('flash'), 'done')
    })
  })

  describe('that an application needs', () => {
    const needing = (version: number) => [...system1, linuxApplication(version)]

    it('are sent module by module, each after a restart, until it runs', async () => {
      const made = await start({ modules: needing(2_000) })
      await until(() => named('aloe/healer/healed').length)
      assert.deepEqual(made.log, [
        'safe mode',
        'begin',
        'took bootloader 0@200',
        'safe mode',
        'begin',
        'took system_part 1@2000',
        'safe mode',
        'begin',
        'took system_part 2@2000',
        'normal',
      ])
      assert.deepEqual(told('spark/safe-mode-updater/updating'), ['0', '1', '2'])
      assert.equal(named('spark/safe-mode-updater/updating')[0]?.coreid, 'particle-internal')
      assert.deepEqual(told('spark/flash/status'), Array(3).fill(['started ', 'success ']).flat())
      assert.equal(named('spark/status/safe-mode').length, 3)
      const [planned] = json('aloe/healer/planned')
      assert.deepEqual(
        planned.plan.map((module: { label: string; release: string }) => `${module.label} of ${module.release}`),
        ['bootloader 0@200 of 2.0.0', 'system_part 1@2000 of 2.0.0', 'system_part 2@2000 of 2.0.0'],
      )
      assert.equal(await state('heal'), 'done')
      await until(() => registry.get(id)?.status === 'normal')
      assert.equal(registry.get(id)?.systemVersion, 2_000)
    })

    it('are not sent when nothing needs them', async () => {
      const made = await start({ modules: [...system1] })
      await until(() => registry.get(id)?.status === 'safe_mode')
      await new Promise((resolve) => setTimeout(resolve, 60))
      assert.deepEqual(made.log, ['safe mode'])
      assert.deepEqual(await updates.jobs(id), [])
    })

    it('are planned and sent on after a restart of the cloud in the middle', async () => {
      const made = await start({ modules: needing(2_000) })
      await until(() => made.log.includes('took system_part 1@2000'))
      await restartCloud()
      await until(() => named('aloe/healer/healed').length, 20_000)
      assert.match(made.versions, /system_part 2@2000/)
      const jobs = await updates.jobs(id)
      assert.deepEqual(
        jobs.map((job) => [job.kind, job.state, job.detail.sent.length]),
        [['heal', 'done', 3]],
      )
    })

    it('wait for what the owner flashes, and are planned anew after it', async () => {
      let held: FakeDevice | undefined
      const made = await start({
        modules: needing(2_000),
        onUpdate: (stage, self) => {
          if (stage === 'begin') held = self
          return undefined
        },
      })
      await until(() => held)
      // An application for what the device has: nothing is to be healed any more.
      assert.deepEqual(await updates.flash(id, linuxApplication(1_000), 'ann'), { ok: true })
      await until(() => made.log.at(-1) === 'normal')
      assert.doesNotMatch(made.versions, /system_part 2@2000/)
      await until(() => named('aloe/update/done').length)
      const jobs = await updates.jobs(id)
      assert.deepEqual(jobs.map((job) => [job.kind, job.state]).sort(), [
        ['flash', 'done'],
        ['heal', 'superseded'],
      ])
    })

    it('stop after repeated refusals, and say why', async () => {
      const made = await start({
        modules: needing(2_000),
        onUpdate: (stage) => (stage === 'finish' ? -1340 : undefined),
      })
      const stopped = await until(() => json('aloe/healer/stopped')[0])
      assert.match(stopped.reason, /bootloader 0@200 was tried 3 times/)
      assert.equal(stopped.code, -1340)
      assert.equal(stopped.missing[0].label, 'system_part 2@2000')
      assert.equal(made.log.filter((line) => line === 'begin').length, 3)
      assert.equal(await state('heal'), 'failed')
      // Not again, though the device comes back in safe mode, nor after a restart of the cloud.
      made.drop()
      await until(() => made.connected && gateway.connection(id)?.describe)
      await restartCloud()
      await until(() => gateway.connection(id)?.describe)
      await new Promise((resolve) => setTimeout(resolve, 60))
      assert.equal(made.log.filter((line) => line === 'begin').length, 3)
      // A new release is a reason to try again.
      await restartCloud({}, [...releases, release('2.1.0', 2_100, 200, 3_000)])
      await until(() => made.log.filter((line) => line === 'begin').length > 3)
    })

    it('stop when the device takes a module and never installs it', async () => {
      const made = await start({ modules: needing(2_000), installs: (module) => module.function !== 'bootloader' })
      const stopped = await until(() => json('aloe/healer/stopped')[0])
      assert.match(stopped.reason, /bootloader 0@200 was taken by the device, but is not installed/)
      assert.equal(made.log.filter((line) => line === 'lost bootloader 0@200').length, 3)
    })

    it('stop at once when the catalogue has no way', async () => {
      const made = await start({ modules: needing(3_000) })
      const stopped = await until(() => json('aloe/healer/stopped')[0])
      assert.match(stopped.reason, /catalogue has no system_part 2@3000/)
      assert.deepEqual(made.log, ['safe mode'])
      assert.equal(await state('heal'), 'failed')
    })

    it('begin again at offset 0 when a resumed one was no good', async () => {
      let spoilt = false
      const made = await start({
        modules: needing(2_000),
        onUpdate: (stage) => {
          if (stage !== 'finish' || spoilt) return undefined
          spoilt = true
          return -1331
        },
      })
      await until(() => named('aloe/healer/healed').length)
      assert.equal(made.log.filter((line) => line === 'begin').length, 4)
      assert.equal(
        made.log.some((line) => line.startsWith('resume')),
        false,
      )
    })

    it('wait while the device refuses updates, and it is told so', async () => {
      let refuses = true
      const made = await start({
        modules: needing(2_000),
        onUpdate: (stage) => (stage === 'begin' && refuses ? -1380 : undefined),
      })
      await until(() => made.events.some((e) => e.name === 'particle/device/updates/pending' && e.data === 'true'))
      assert.equal(await state('heal'), 'waiting')
      refuses = false
      made.publish('particle/device/updates/enabled', 'true')
      await until(() => named('aloe/healer/healed').length)
      assert.deepEqual(told('particle/device/updates/pending'), ['true', 'false'])
    })

    it('reach a device that loses its connection again and again', async () => {
      const made = await start({ modules: needing(2_000) })
      for (const at of [5_000, 20_000, 30_000]) {
        made.breakAfter = at
        await until(() => made.breakAfter === undefined || named('aloe/healer/healed').length)
      }
      await until(() => named('aloe/healer/healed').length, 20_000)
      assert.match(made.versions, /bootloader 0@200, system_part 1@2000, system_part 2@2000/)
    })

    it('never give up a device that keeps more each time, however often it is interrupted', async () => {
      const large = [release('1.0.0', 1_000, 100, 3_000), release('2.0.0', 2_000, 200, 400_000)]
      await restartCloud({ healing: { failures: 3, interruptions: 2, restarts: 2 } }, large)
      let goal = 0
      const made = await start({
        modules: needing(2_000),
        onUpdate: (stage, self) => {
          goal = (goal + 110_000) % 400_000
          if (stage === 'begin') self.breakAfter = goal
          return undefined
        },
      })
      await until(() => named('aloe/healer/healed').length, 20_000)
      const resumes = made.log.filter((line) => line.startsWith('resume'))
      assert.ok(resumes.length > 5, `${made.log}`)
      assert.deepEqual(told('aloe/update/loop'), [])
      assert.equal((await updates.jobs(id))[0]?.detail.interruptions, 0)
    })

    for (const kind of ['heal', 'flash'] as const) {
      it(`notice that a device which cannot resume never gets to the end, and say so (${kind})`, async () => {
        await restartCloud({ healing: { failures: 3, interruptions: 10, restarts: 3 } })
        const modules = kind === 'heal' ? needing(2_000) : [...system1, linuxApplication(1_000)]
        // As if a watchdog reset it in the middle of each transfer.
        const onUpdate = (stage: string, self: FakeDevice) => {
          if (stage === 'begin') self.breakAfter = 9_000
          return undefined
        }
        const made = await start({ modules, otaV3: false, onUpdate })
        if (kind === 'flash') {
          assert.deepEqual(await updates.flash(id, linuxApplication(1_000, 40_000), 'ann'), { ok: true })
        }
        const loop = await until(() => json('aloe/update/loop')[0], 20_000)
        assert.deepEqual([loop.kind, loop.interruptions, loop.resumable], [kind, 3, false])
        assert.ok(loop.bytes > 0 && loop.bytes <= loop.total, `${loop.bytes} of ${loop.total}`)
        assert.match(loop.reason, /interrupted 3 times in a row, at most \d+ % .* cannot resume/)
        assert.equal(named('aloe/update/loop')[0]?.owner, 'ann')
        const [job] = await updates.jobs(id)
        assert.deepEqual([job?.kind, job?.state], [kind, 'failed'])
        assert.equal(job?.detail.reason, loop.reason)
        // And not again when the device comes back.
        made.drop()
        await until(() => made.connected && gateway.connection(id)?.describe)
        await new Promise((resolve) => setTimeout(resolve, 60))
        assert.equal(made.log.filter((line) => line === 'begin').length, 3)
      })
    }

    it('leave alone what is newer than needed: a floor is a floor', async () => {
      const modules = [linuxModule('bootloader', 0, 250), ...system1.slice(1), linuxApplication(2_000)]
      const made = await start({ modules })
      await until(() => named('aloe/healer/healed').length)
      assert.match(made.versions, /bootloader 0@250, system_part 1@2000, system_part 2@2000/)
    })
  })
})
