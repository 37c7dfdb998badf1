import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { linuxApplication } from '../gateway/fake-device.ts'
import { scopes } from './policies.ts'
import type { UpdatePolicy } from './policy.ts'
import { fixtureRelease, SimulatedDevice, startWorld, type UpdatesWorld } from './updates-fixture.ts'

const id = '422b00000000000000000001'
const second = 1_000
const minute = 60 * second
const hour = 60 * minute

const old = fixtureRelease('1.0.0', 1_000, 100)
const young = fixtureRelease('2.0.0', 2_000, 200)

describe('updates that are held back', () => {
  let world: UpdatesWorld
  let device: SimulatedDevice
  beforeEach(async () => {
    world = await startWorld([old.release, young.release])
    device = new SimulatedDevice(id, [...old.files, linuxApplication(1_000)])
    world.gateway.add(device)
    world.gateway.connect(device)
  })
  afterEach(() => world.close())

  const set = (policy: UpdatePolicy, scope = scopes.device(id)) => world.updates.policies.put(scope, policy, 'ann')
  const deliver = (file = linuxApplication(1_000)) => world.updates.deliver(id, { file, reason: 'release' })
  const wait = async () => {
    const [job] = await world.updates.jobs(id)
    return job?.state === 'waiting' ? job.detail.wait : undefined
  }
  const state = async () => (await world.updates.jobs(id))[0]?.state

  it('by a lock of Device OS, also where an application would need another one', async () => {
    await set({ deviceOs: false })
    await deliver(linuxApplication(2_000))
    await world.clock.pass(minute)
    assert.equal((await wait())?.cause, 'locked')
    assert.match((await wait())?.reason ?? '', /Device OS/)
    await deliver(linuxApplication(1_000))
    await world.clock.pass(minute)
    assert.equal(await state(), 'done')
    await world.updates.update(id, { target: '2.0.0', by: 'ann' })
    await world.clock.pass(minute)
    assert.equal((await wait())?.cause, 'locked')
    await set({})
    await world.clock.pass(10 * minute)
    assert.equal(await state(), 'done')
    assert.match(device.versions, /system_part 2@2000/)
  })

  it('by a lock of the application', async () => {
    await set({ application: false })
    await deliver()
    await world.clock.pass(minute)
    assert.equal((await wait())?.cause, 'locked')
  })

  it('outside the hours, until they come', async () => {
    // It is Saturday noon in UTC, 13:00 in Berlin.
    await set({ windows: [{ from: '22:00', to: '06:00', zone: 'Europe/Berlin' }] })
    await deliver()
    await world.clock.pass(minute)
    const held = await wait()
    assert.equal(held?.cause, 'window')
    assert.equal(new Date(held?.until ?? 0).toISOString(), '2026-11-21T21:00:00.000Z')
    await world.clock.pass(8 * hour)
    assert.equal(await state(), 'waiting')
    await world.clock.pass(hour + minute)
    assert.equal(await state(), 'done')
  })

  it('refuse an owner’s flash at such a time, unless it is forced', async () => {
    await set({ windows: [{ from: '22:00', to: '06:00', zone: 'Europe/Berlin' }] })
    const refused = world.updates.flash(id, linuxApplication(1_000), 'ann')
    await world.clock.pass(second)
    const answer = await refused
    assert.ok(!answer.ok)
    assert.equal(answer.status, 409)
    assert.match(answer.error, /outside the hours.*force/)
    const forced = world.updates.flash(id, linuxApplication(1_000), 'ann', { force: true })
    await world.clock.pass(minute)
    assert.deepEqual(await forced, { ok: true })
  })

  it('while the battery is low', async () => {
    device.battery = 20
    await set({ minimumBattery: 50 })
    await deliver()
    await world.clock.pass(minute)
    assert.equal((await wait())?.cause, 'battery')
    assert.match((await wait())?.reason ?? '', /20 %, and 50 %/)
    device.battery = 80
    await world.clock.pass(20 * minute)
    assert.equal(await state(), 'done')
  })

  it('not by a battery that is not there', async () => {
    await set({ minimumBattery: 50 })
    await deliver()
    await world.clock.pass(minute)
    assert.equal(await state(), 'done')
  })

  it('until the application consents', async () => {
    const asked: string[] = []
    let answer = -300
    device.functions = ['mayUpdate']
    device.onCall = (name, argument) => {
      asked.push(`${name} ${argument}`)
      return answer
    }
    world.gateway.drop(device)
    world.gateway.connect(device)
    await set({ consent: true })
    await deliver()
    await world.clock.pass(4 * minute)
    assert.equal((await wait())?.cause, 'consent')
    assert.deepEqual(asked, ['mayUpdate user_part 1@1'])
    assert.ok(device.told.includes('particle/device/updates/pending true'))
    answer = 1
    await world.clock.pass(2 * minute)
    assert.equal(await state(), 'done')
    assert.equal(asked.length, 2)
  })

  it('until the application can be asked; in safe mode there is nobody to ask', async () => {
    await set({ consent: true })
    await deliver()
    await world.clock.pass(minute)
    assert.match((await wait())?.reason ?? '', /has no function mayUpdate/)
    device.install(linuxApplication(2_000))
    world.gateway.drop(device)
    world.gateway.connect(device)
    await world.clock.pass(10 * minute)
    assert.equal(device.boot.mode, 'normal')
  })

  describe('by the cost of their data', () => {
    it('where it is metered, and say so', async () => {
      await set({ deviceDataBudget: 100 })
      await deliver()
      await world.clock.pass(minute)
      assert.equal(await state(), 'done', 'Linux devices are not metered unless somebody says so')
      await set({ deviceDataBudget: 1_200, metered: true })
      await deliver()
      await world.clock.pass(minute)
      assert.equal((await wait())?.cause, 'data-budget')
      assert.match((await wait())?.reason ?? '', /\d+ of the 1200 bytes that the device may take/)
      // A new month, a new budget.
      await world.clock.pass(10 * 24 * hour)
      assert.equal(await state(), 'done')
      const months = await world.updates.data.months({ deviceId: id })
      assert.deepEqual(
        months.map(({ month }) => month),
        ['2026-12', '2026-11'],
      )
      assert.ok(months.every(({ otaSent, otaEstimated }) => otaSent > 600 && otaEstimated > 600))
    })

    it('not exceeded by many devices at once', async () => {
      const fleet = Array.from({ length: 8 }, (_, n) => {
        const one = new SimulatedDevice(`${n}`.padStart(24, 'a'), [...old.files, linuxApplication(1_000)])
        world.gateway.add(one)
        world.gateway.connect(one)
        world.membership.set(one.id, { productId: 10_000, groups: [] })
        return one
      })
      await set({ dataBudget: 20_000, metered: true }, scopes.product(10_000))
      const file = linuxApplication(1_000, 5_000)
      await Promise.all(fleet.map(({ id: one }) => world.updates.deliver(one, { file, reason: 'release' })))
      await world.clock.pass(hour)
      const states = await Promise.all(fleet.map(async ({ id: one }) => (await world.updates.jobs(one))[0]?.state))
      assert.equal(states.filter((one) => one === 'done').length, 3)
      assert.equal(states.filter((one) => one === 'waiting').length, 5)
    })

    it('also of a product as a whole', async () => {
      const other = new SimulatedDevice('422b00000000000000000002', [...old.files, linuxApplication(1_000)])
      world.gateway.add(other)
      world.gateway.connect(other)
      for (const one of [id, other.id]) world.membership.set(one, { productId: 10_000, groups: ['a'] })
      await set({ dataBudget: 1_500, metered: true }, scopes.product(10_000))
      await deliver()
      await world.clock.pass(minute)
      assert.equal(await state(), 'done')
      await world.updates.deliver(other.id, { file: linuxApplication(1_000, 1_000), reason: 'release' })
      await world.clock.pass(minute)
      const [held] = await world.updates.jobs(other.id)
      assert.match(held?.detail.wait?.reason ?? '', /that its product may take/)
      await set({ dataBudget: 100_000, metered: true }, scopes.product(10_000))
      await world.clock.pass(minute)
      assert.equal((await world.updates.jobs(other.id))[0]?.state, 'done')
      const [month] = await world.updates.data.months({ productId: 10_000 })
      assert.equal(month?.devices, 2)
    })
  })
})
