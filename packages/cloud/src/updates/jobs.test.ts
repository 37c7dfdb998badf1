import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { linuxApplication, linuxModule } from '../gateway/fake-device.ts'
import { type JobState, openStates } from './job.ts'
import { fixtureRelease, SimulatedDevice, settle, startWorld, type UpdatesWorld } from './updates-fixture.ts'

const id = '422b00000000000000000001'
const second = 1_000
const minute = 60 * second
const hour = 60 * minute

const old = fixtureRelease('1.0.0', 1_000, 100)
const young = fixtureRelease('2.0.0', 2_000, 200, 40_000)
const releases = [old.release, young.release]

describe('jobs of updates', () => {
  let world: UpdatesWorld
  let device: SimulatedDevice
  beforeEach(async () => {
    world = await startWorld(releases)
    device = new SimulatedDevice(id, [...old.files, linuxApplication(1_000)])
    world.gateway.add(device)
  })
  afterEach(() => world.close())

  const job = async (kind = 'flash') => (await world.updates.jobs(id)).find((one) => one.kind === kind)
  const steps = async (kind = 'flash') => {
    const found = await job(kind)
    return (await world.updates.timeline(found?.id ?? '')).map(({ what }) => what).filter((what) => what !== 'progress')
  }
  async function flash(file: Uint8Array, options: { force?: boolean } = {}) {
    const answer = world.updates.flash(id, file, 'ann', options)
    await world.clock.pass(second)
    return await answer
  }

  it('go from planned to done, with a timeline that says what, how many bytes and how long', async () => {
    world.gateway.connect(device)
    const application = linuxApplication(1_000, 20_000)
    assert.deepEqual(await flash(application), { ok: true })
    assert.equal((await job())?.state, 'sending')
    assert.ok((world.updates.active(id)?.progress?.total ?? 0) >= 20_000)
    await world.clock.pass(2 * second)
    assert.equal((await job())?.state, 'resetting')
    await world.clock.pass(10 * second)
    assert.equal((await job())?.state, 'done')
    assert.deepEqual(await steps(), ['queued', 'started', 'finished', 'reset', 'verified', 'done'])
    const entries = await world.updates.timeline((await job())?.id ?? '')
    const finished = entries.find(({ what }) => what === 'finished')?.detail
    assert.equal(finished?.bytes, application.length)
    assert.ok(Number(finished?.seconds) > 1.9 && Number(finished?.seconds) < 2.2, `${finished?.seconds}`)
    const detail = (await job())?.detail
    assert.deepEqual([detail?.resets, detail?.bytes], [1, application.length])
    assert.deepEqual(world.told('spark/flash/status'), ['started ', 'success '])
    assert.equal(JSON.parse(world.told('aloe/update/verified')[0] ?? '').modules[0].label, 'user_part 1@1')
    assert.deepEqual(world.told('particle/device/updates/pending'), ['false'])
  })

  it('leave no memory behind', async () => {
    world.gateway.connect(device)
    await flash(linuxApplication(1_000))
    await world.clock.pass(5 * minute)
    assert.equal((await job())?.state, 'done')
    assert.equal(world.updates.active(id), undefined)
    assert.equal(world.updates.reachable(id), true)
    world.gateway.drop(device)
    await settle()
    assert.equal(world.updates.reachable(id), false)
  })

  it('notice that the device lost what it had taken, and send it again', async () => {
    world.gateway.connect(device)
    let losses = 1
    device.installs = () => losses-- <= 0
    const file = linuxApplication(1_000)
    const size = file.length
    await flash(file)
    await world.clock.pass(minute)
    assert.deepEqual(device.log, [`begin ${size}`, 'lost user_part 1@1', `begin ${size}`, 'took user_part 1@1'])
    assert.equal((await job())?.state, 'done')
    const failed = JSON.parse(world.told('aloe/update/failed')[0] ?? '')
    assert.match(failed.reason, /taken by the device, but is not installed/)
    assert.equal(failed.final, false)
  })

  it('fail with the cause when the device loses it each time', async () => {
    world.gateway.connect(device)
    device.installs = () => false
    await flash(linuxApplication(1_000))
    await world.clock.pass(5 * minute)
    assert.equal(device.log.filter((line) => line.startsWith('lost')).length, 3)
    const { state, detail } = (await job()) ?? {}
    assert.equal(state, 'failed')
    assert.match(detail?.reason ?? '', /was tried 3 times: user_part 1@1 was taken by the device, but is not installed/)
    assert.ok(detail?.next)
  })

  it('are sent again to a device that lost its power before the restart, and does not show it', async () => {
    world.gateway.connect(device)
    device.forgetful = true
    await flash(linuxApplication(1_000))
    await world.clock.pass(minute)
    assert.equal((await job())?.state, 'resetting')
    await world.clock.pass(3 * minute)
    assert.deepEqual(
      device.log.filter((line) => !line.startsWith('begin')),
      ['forgot', 'took user_part 1@1'],
    )
    assert.equal((await job())?.state, 'done')
  })

  it('end when the device does not take a flash in time, and are not sent behind its owner’s back', async () => {
    world.gateway.connect(device)
    device.unreachable = true
    const answer = world.updates.flash(id, linuxApplication(1_000), 'ann')
    await world.clock.pass(2 * minute)
    assert.equal((await answer).ok, false)
    device.unreachable = false
    await world.clock.pass(5 * minute)
    assert.equal((await job())?.state, 'failed')
    assert.deepEqual(
      device.log.filter((line) => line !== 'cancelled'),
      [],
    )
  })

  it('take a flash while the device comes back from a refusal', async () => {
    world.gateway.connect(device)
    let refusals = 1
    device.onUpdate = (stage) => (stage === 'finish' && refusals-- > 0 ? -1340 : undefined)
    await flash(linuxApplication(1_000))
    assert.equal((await job())?.state, 'failed')
    assert.equal(device.online, false)
    const answer = world.updates.flash(id, linuxApplication(1_000), 'ann')
    await world.clock.pass(10 * second)
    assert.deepEqual(await answer, { ok: true })
    assert.equal((await job())?.state, 'done')
  })

  it('time out for a device that does not come back from a refusal', async () => {
    world.gateway.connect(device)
    device.onUpdate = (stage) => (stage === 'finish' ? -1340 : undefined)
    await flash(linuxApplication(1_000))
    device.serial++
    const answer = world.updates.flash(id, linuxApplication(1_000), 'ann')
    await world.clock.pass(20 * second)
    assert.deepEqual(await answer, { ok: false, status: 408, error: 'Timed out.' })
  })

  for (const state of openStates) {
    it(`survive a restart of the cloud while ${state}`, async () => {
      const needing = linuxApplication(2_000, 20_000)
      const seen: JobState[] = []
      let restarted = false
      const watch = () =>
        world.updates.onJob((changed) => {
          seen.push(changed.state)
        })
      watch()
      device.resetTime = 4 * second
      device.describeTime = 2 * second
      if (state === 'waiting') device.updatesEnabled = false
      device.install(needing)
      world.gateway.connect(device)
      for (let step = 0; step < 4_000 && !restarted; step++) {
        await world.clock.pass(state === 'verifying' || state === 'planned' ? 5 : 100)
        if (!seen.includes(state)) continue
        restarted = true
        await world.restart()
        watch()
        if (state === 'waiting') world.gateway.enableUpdates(device, true)
      }
      assert.ok(restarted, `never ${state}: ${[...new Set(seen)]}`)
      await world.clock.pass(10 * minute)
      assert.match(device.versions, /bootloader 0@200, system_part 1@2000, system_part 2@2000/)
      assert.equal((await job('heal'))?.state, 'done')
      assert.equal((await world.updates.jobs(id)).length, 1)
    })
  }

  it('say why they wait, and what until', async () => {
    device.install(linuxApplication(2_000))
    device.updatesEnabled = false
    world.gateway.connect(device)
    await world.clock.pass(second)
    assert.equal((await job('heal'))?.detail.wait?.cause, 'updates-disabled')
    assert.deepEqual(device.told, ['particle/device/updates/pending true'])
    world.gateway.drop(device)
    await world.clock.pass(minute)
    assert.equal((await job('heal'))?.detail.wait?.cause, 'offline')
    assert.deepEqual(await steps('heal'), ['queued', 'planned', 'waiting', 'waiting'])
  })

  it('pause after failures, longer each time', async () => {
    device.install(linuxApplication(2_000))
    const begun: number[] = []
    device.onUpdate = (stage) => {
      if (stage === 'start') begun.push(world.clock.now())
      return stage === 'finish' ? -219 : undefined
    }
    world.gateway.connect(device)
    await world.clock.pass(hour)
    const [a = 0, b = 0, c = 0] = begun
    assert.equal(begun.length, 3)
    assert.ok(b - a > 5 * second && c - b > b - a, `${begun}`)
    const { state, detail } = (await job('heal')) ?? {}
    assert.equal(state, 'failed')
    assert.match(detail?.reason ?? '', /bootloader 0@200 was tried 3 times/)
    assert.match(detail?.next ?? '', /flash memory/)
    assert.deepEqual((await steps('heal')).filter((what) => what === 'waiting').length, 2)
  })

  it('end by their owner’s word, and are not begun again', async () => {
    device.install(linuxApplication(2_000))
    device.rate = 100
    world.gateway.connect(device)
    await world.clock.pass(5 * second)
    const running = await job('heal')
    assert.equal(running?.state, 'sending')
    assert.equal((await world.updates.cancel(running?.id ?? ''))?.state, 'cancelled')
    await world.clock.pass(hour)
    assert.equal(device.log.at(-1), 'cancelled')
    assert.equal(world.updates.active(id), undefined)
    assert.equal(await world.updates.cancel(running?.id ?? ''), undefined)
    await world.restart()
    await world.clock.pass(hour)
    assert.equal((await world.updates.jobs(id)).length, 1)
    // It is about this state of the device alone.
    device.install(linuxApplication(2_000))
    device.install(linuxModule('bootloader', 0, 150))
    world.gateway.drop(device)
    world.gateway.connect(device)
    await world.clock.pass(second)
    assert.equal((await world.updates.jobs(id)).length, 2)
  })

  describe('of product firmware', () => {
    it('wait for a device that is offline, and the newest one counts', async () => {
      const first = linuxApplication(1_000, 5_000)
      const next = linuxApplication(1_000, 6_000)
      await world.updates.deliver(id, { file: first, reason: 'release', productVersion: 1 })
      const queued = await world.updates.deliver(id, { file: next, reason: 'release', productVersion: 2 })
      await settle()
      const shown = await world.updates.job(queued.id)
      assert.deepEqual([shown?.state, shown?.detail.wait?.cause], ['waiting', 'offline'])
      await world.restart()
      world.gateway.connect(device)
      await world.clock.pass(minute)
      assert.deepEqual(device.log, [`begin ${next.length}`, 'took user_part 1@1'])
      assert.deepEqual(
        (await world.updates.jobs(id)).map(({ state, detail }) => [detail.productVersion, state]).sort(),
        [
          [1, 'superseded'],
          [2, 'done'],
        ],
      )
      assert.deepEqual(world.told('spark/status'), ['auto-update'])
    })

    it('come in their turn, and heal what they need', async () => {
      world.gateway.connect(device)
      const notBefore = world.clock.now() + 10 * minute
      await world.updates.deliver(id, { file: linuxApplication(2_000), reason: 'release', notBefore })
      await world.clock.pass(9 * minute)
      assert.equal((await job('release'))?.detail.wait?.cause, 'paced')
      await world.clock.pass(20 * minute)
      assert.equal((await job('release'))?.state, 'done')
      assert.equal((await job('heal'))?.state, 'done')
      assert.equal(device.boot.mode, 'normal')
    })

    it('are refused for another platform', async () => {
      await assert.rejects(
        world.updates.deliver('0'.repeat(24), { file: old.files[0] ?? new Uint8Array(), reason: 'x' }),
        {
          status: 404,
        },
      )
      await assert.rejects(world.updates.deliver(id, { file: Buffer.from('nothing'), reason: 'x' }), { status: 400 })
    })

    it('go to a fleet one slot at a time', async () => {
      await world.close()
      world = await startWorld(releases, {}, 2)
      const fleet = Array.from({ length: 6 }, (_, n) => {
        const one = new SimulatedDevice(`${n}`.padStart(24, '0'), [...old.files, linuxApplication(1_000)])
        world.gateway.add(one)
        world.gateway.connect(one)
        return one
      })
      const causes = new Set<string>()
      let most = 0
      world.updates.onJob(({ detail, state }) => {
        if (state === 'waiting' && detail.wait) causes.add(detail.wait.cause)
      })
      const file = linuxApplication(1_000, 50_000)
      for (const one of fleet) await world.updates.deliver(one.id, { file, reason: 'release' })
      for (let step = 0; step < 600; step++) {
        await world.clock.pass(100)
        const sending = fleet.filter(({ id: one }) => world.updates.active(one)?.state === 'sending')
        most = Math.max(most, sending.length)
      }
      assert.equal(most, 2)
      assert.ok(causes.has('slots'))
      for (const one of fleet) assert.equal((await world.updates.jobs(one.id))[0]?.state, 'done')
    })
  })
})
