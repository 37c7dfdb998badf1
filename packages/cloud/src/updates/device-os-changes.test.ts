import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { addAssetDependencies, assetRef, buildBundle, parseModule } from '@aloe/firmware'
import { linuxApplication, linuxModule } from '../gateway/fake-device.ts'
import { fixtureRelease, releaseOf, SimulatedDevice, startWorld, type UpdatesWorld } from './updates-fixture.ts'

const id = '422b00000000000000000001'
const second = 1_000
const minute = 60 * second

const first = fixtureRelease('1.0.0', 1_000, 100)
const last = fixtureRelease('2.0.0', 2_000, 200)
/** Only its second part is new. */
const small = releaseOf('1.1.0', [
  linuxModule('system_part', 2, 1_100, [{ function: 'system_part', index: 1, version: 1_000 }]),
])
const releases = [first.release, small.release, last.release]

describe('updates of Device OS by an owner’s word', () => {
  let world: UpdatesWorld
  let device: SimulatedDevice
  beforeEach(async () => {
    world = await startWorld(releases)
    device = new SimulatedDevice(id, [...first.files, linuxApplication(1_000)])
    world.gateway.add(device)
    world.gateway.connect(device)
  })
  afterEach(() => world.close())

  const job = async () => (await world.updates.jobs(id))[0]
  const took = () => device.log.filter((line) => line.startsWith('took')).map((line) => line.slice(5))

  it('can be asked for without doing anything', async () => {
    const { plan, cost, held } = world.updates.preview(id, { target: '2.0.0' })
    assert.ok(plan.ok)
    assert.deepEqual(
      plan.steps.map(({ label }) => label),
      ['bootloader 0@200', 'system_part 1@2000', 'system_part 2@2000'],
    )
    assert.deepEqual([cost?.modules, cost?.resets], [3, 3])
    assert.equal(held, null)
    await world.clock.pass(minute)
    assert.deepEqual(device.log, [])
  })

  it('go step by step, over a restart of the cloud', async () => {
    const queued = await world.updates.update(id, { target: 'latest', by: 'ann' })
    assert.equal(queued.detail.estimate?.modules, 3)
    await world.clock.pass(7 * second)
    await world.restart()
    await world.clock.pass(2 * minute)
    assert.deepEqual(took(), ['bootloader 0@200', 'system_part 1@2000', 'system_part 2@2000'])
    const done = await job()
    assert.deepEqual([done?.kind, done?.state, done?.detail.resets], ['update', 'done', 3])
    assert.deepEqual(world.told('spark/safe-mode-updater/updating'), [])
    await assert.rejects(world.updates.update(id, { target: '2.0.0', by: 'ann' }), { status: 409 })
    await assert.rejects(world.updates.update(id, { target: '9.0.0', by: 'ann' }), { status: 404 })
  })

  it('wait for a device that is away', async () => {
    world.gateway.drop(device)
    await world.updates.update(id, { target: '1.1.0', by: 'ann' })
    await world.clock.pass(minute)
    assert.equal((await job())?.detail.wait?.cause, 'offline')
    world.gateway.connect(device)
    await world.clock.pass(minute)
    assert.equal((await job())?.state, 'done')
  })

  it('go back in one action: the application, then the parts in reverse', async () => {
    for (const bytes of [...last.files, linuxApplication(2_000)]) device.install(bytes)
    world.gateway.drop(device)
    world.gateway.connect(device)
    device.log.length = 0
    // Without an application for it the device would stay in safe mode.
    await assert.rejects(world.updates.downgrade(id, { target: '1.0.0', by: 'ann' }), {
      status: 409,
      message: /the application needs system_part 2@2000/,
    })
    const file = linuxApplication(1_000)
    await world.updates.downgrade(id, { target: '1.0.0', by: 'ann', file })
    await world.clock.pass(20 * second)
    await world.restart()
    await world.clock.pass(5 * minute)
    assert.deepEqual(took(), ['user_part 1@1', 'system_part 2@1000', 'system_part 1@1000'])
    assert.match(device.versions, /bootloader 0@200/)
    assert.equal(device.boot.mode, 'normal')
    assert.deepEqual(
      (await world.updates.jobs(id)).map(({ kind, state }) => [kind, state]),
      [['downgrade', 'done']],
    )
  })

  it('come with the application in one file where nothing else is missing', async () => {
    const application = linuxApplication(1_100)
    const answer = world.updates.flash(id, application, 'ann')
    await world.clock.pass(minute)
    assert.deepEqual(await answer, { ok: true })
    assert.equal(device.log.filter((line) => line.startsWith('begin')).length, 1)
    assert.deepEqual(took(), ['system_part 2@1100', 'user_part 1@1'])
    assert.equal((await job())?.state, 'done')
    assert.equal(device.boot.mode, 'normal')
    assert.deepEqual(world.told('spark/status/safe-mode'), [])
  })

  for (const resumed of [false, true]) {
    it(`do not come again to a device that has just installed them and ${resumed ? 'resumes' : 'is yet to say so'}`, async () => {
      device.install(linuxApplication(1_100))
      world.gateway.drop(device)
      world.gateway.connect(device)
      device.describeTime = resumed ? 0 : 3 * second
      device.resetTime = resumed ? minute : second
      for (let step = 0; step < 1_000 && !device.log.includes('took system_part 2@1100'); step++)
        await world.clock.pass(50)
      if (resumed) {
        await world.clock.pass(second)
        world.gateway.connect(device, true)
      } else {
        while (!device.online || device.serial < 3) await world.clock.pass(50)
        assert.equal(world.gateway.connection(id)?.describe, undefined)
      }
      assert.equal(
        world.gateway.records.get(id)?.describe?.modules.some(({ version }) => version === 1_100),
        false,
      )
      device.resetTime = second
      const answer = world.updates.flash(id, linuxApplication(1_100), 'ann')
      await world.clock.pass(minute)
      assert.deepEqual(await answer, { ok: true })
      assert.deepEqual(took().slice(-2), ['system_part 2@1100', 'user_part 1@1'])
      assert.equal(took().filter((module) => module === 'system_part 2@1100').length, 1)
      assert.equal(device.boot.mode, 'normal')
    })
  }

  describe('with assets', () => {
    const logo = { name: 'logo.txt', data: Buffer.alloc(5_000, 'aloe ') }
    const sound = { name: 'sound.txt', data: Buffer.alloc(3_000, 'vera ') }
    const bare = linuxApplication(1_000)
    const bundle = buildBundle({ application: { name: 'app.bin', data: bare }, assets: [logo, sound] })

    it('send the application of a bundle, then what it needs, one by one', async () => {
      const answer = world.updates.flash(id, bundle, 'ann')
      await world.clock.pass(5 * minute)
      assert.deepEqual(await answer, { ok: true })
      assert.deepEqual(
        device.log.filter((line) => !line.startsWith('begin')),
        ['took user_part 1@1', 'asset logo.txt', 'asset sound.txt'],
      )
      // Assets go compressed.
      assert.ok(device.log.filter((line) => line.startsWith('begin')).every((line) => Number(line.slice(6)) < 2_000))
      assert.equal(device.boot.mode, 'normal')
      assert.deepEqual((await world.updates.jobs(id)).map(({ kind, state }) => `${kind} ${state}`).sort(), [
        'flash done',
        'heal done',
      ])
    })

    it('send them to a device that lost them, also after a restart', async () => {
      const answer = world.updates.flash(id, bundle, 'ann')
      await world.clock.pass(5 * minute)
      await answer
      await world.restart()
      device.assets.length = 0
      world.gateway.drop(device)
      world.gateway.connect(device)
      await world.clock.pass(5 * minute)
      assert.deepEqual(device.assets.map(({ name }) => name).sort(), ['logo.txt', 'sound.txt'])
    })

    it('say what is missing that this cloud does not have', async () => {
      const stranger = addAssetDependencies(bare, [assetRef({ name: 'other', data: Buffer.from('other') })])
      assert.equal(parseModule(stranger).assetDependencies.length, 1)
      device.install(stranger)
      world.gateway.drop(device)
      world.gateway.connect(device)
      await world.clock.pass(minute)
      const { state, detail } = (await job()) ?? {}
      assert.equal(state, 'failed')
      assert.match(detail?.reason ?? '', /needs the assets other, which this cloud does not have/)
      assert.match(detail?.next ?? '', /bundle/)
    })

    it('refuse a bundle that is damaged', async () => {
      const damaged = Uint8Array.from(bundle)
      damaged[60] = (damaged[60] ?? 0) ^ 0xff
      const answer = await world.updates.flash(id, damaged, 'ann')
      assert.ok(!answer.ok)
      assert.equal(answer.status, 400)
    })
  })
})
