import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { linuxSystem } from '../gateway/fake-device.ts'
import { application, type Fleet, type FleetDevice, startFleet } from './fleet-fixture.ts'
import { Pacer } from './pacer.ts'
import type { RolloutView } from './rollouts.ts'

const minutes = (count: number) => count * 60_000

describe('a release', () => {
  let fleet: Fleet
  let devices: FleetDevice[]
  const app1 = application(1)
  const app2 = application(2)
  const app3 = application(3, 2_000)
  const release = async (version: number, options: { groups?: string[]; intelligent?: boolean } = {}) => {
    const { groups } = options
    await fleet.products.firmware.put(fleet.product.id, {
      version,
      ...(groups ? { groups } : { productDefault: true }),
      intelligent: options.intelligent === true,
      untested: true,
      by: 'ann',
    })
    await fleet.rollouts.settled()
  }
  const rolloutOf = async (version: number): Promise<RolloutView> => {
    const found = (await fleet.rollouts.list(fleet.product.id)).find((rollout) => rollout.version === version)
    assert.ok(found)
    return found
  }
  const countsOf = async (version: number) => {
    const { counts } = await rolloutOf(version)
    return Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0))
  }
  const versionsOf = (some: readonly FleetDevice[]) =>
    some.map(({ id }) => fleet.registry.get(id)?.applicationVersion ?? null)
  const connect = (some: readonly FleetDevice[]) => {
    for (const device of some) fleet.gateway.connect(device)
  }
  const reconnect = (some: readonly FleetDevice[]) => {
    for (const device of some) fleet.gateway.drop(device)
    connect(some)
  }

  beforeEach(async () => {
    fleet = await startFleet()
    const state = fleet.gateway.stateOf([...fleet.releases.old, app1])
    devices = await fleet.addDevices(6, state)
    await fleet.upload(1, app1)
    await fleet.upload(2, app2)
    await fleet.upload(3, app3)
  })
  afterEach(() => fleet.close())

  it('waits for the next connection, and goes to nobody who runs it', async () => {
    connect(devices)
    await release(1)
    await fleet.clock.pass(minutes(5))
    assert.deepEqual(await countsOf(1), {})
    await release(2)
    await fleet.clock.pass(minutes(5))
    assert.equal(fleet.gateway.sent, 0)
    assert.deepEqual(await countsOf(2), { waiting: 6 })
    reconnect(devices.slice(0, 2))
    await fleet.clock.pass(minutes(5))
    assert.deepEqual(versionsOf(devices), [2, 2, 1, 1, 1, 1])
    assert.deepEqual(await countsOf(2), { waiting: 4, done: 2 })
    const [job] = await fleet.updates.jobs(devices[0]?.id ?? '')
    const steps = (await fleet.updates.timeline(job?.id ?? '')).map(({ what }) => what)
    assert.equal(steps.at(-1), 'running')
    assert.equal(job?.detail.why, 'release')
    assert.equal(job?.detail.productVersion, 2)
  })

  it('goes to online devices at once when it is intelligent, and to the others when they come', async () => {
    connect(devices.slice(0, 4))
    const [disabled] = devices
    assert.ok(disabled)
    fleet.gateway.enableUpdates(disabled, false)
    await release(2, { intelligent: true })
    await fleet.clock.pass(minutes(5))
    assert.deepEqual(versionsOf(devices), [1, 2, 2, 2, null, null])
    assert.deepEqual(await countsOf(2), { waiting: 2, held: 1, done: 3 })
    assert.ok(fleet.gateway.told.includes(`${disabled.id} particle/device/updates/pending true`))
    fleet.gateway.enableUpdates(disabled, true)
    connect(devices.slice(4))
    await fleet.clock.pass(minutes(5))
    assert.deepEqual(await countsOf(2), { done: 6 })
    assert.equal((await rolloutOf(2)).complete, true)
    assert.deepEqual(
      devices.map(({ taken }) => taken),
      [1, 1, 1, 1, 1, 1],
    )
  })

  it('is done only when the application runs, with the Device OS that it needs', async () => {
    connect(devices.slice(0, 1))
    await release(3, { intelligent: true })
    await fleet.clock.pass(2_000)
    assert.deepEqual(await countsOf(3), { waiting: 5, updating: 1 })
    const seen = new Set<string>()
    for (let i = 0; i < 100; i++) {
      await fleet.clock.pass(2_000)
      for (const state of Object.keys(await countsOf(3))) seen.add(state)
    }
    assert.ok(seen.has('healing'), [...seen].join())
    assert.deepEqual(await countsOf(3), { waiting: 5, done: 1 })
    assert.equal(devices[0]?.state.safeMode, false)
  })

  it('follows locks, groups, development marks and imports', async () => {
    const { products, product, rollouts } = fleet
    const [locked, grouped, developing, plain] = devices.map(({ id }) => id)
    assert.ok(locked && grouped && developing && plain)
    connect(devices)
    await products.groups.create(product.id, { name: 'lab' })
    await products.devices.changeGroups(product.id, [grouped, locked], { add: ['lab'] })
    await products.devices.change(product.id, developing, { development: true })
    await products.devices.change(product.id, locked, { desiredVersion: 1 })
    await release(2, { groups: ['lab'], intelligent: true })
    await fleet.clock.pass(minutes(5))
    assert.deepEqual(versionsOf(devices), [1, 2, 1, 1, 1, 1])
    await release(3, { intelligent: true })
    await fleet.clock.pass(minutes(10))
    assert.deepEqual(versionsOf(devices), [1, 2, 1, 3, 3, 3])
    // Out of development: at once. Another lock: at the next connection.
    await products.devices.change(product.id, developing, { development: false })
    await products.devices.change(product.id, plain, { desiredVersion: 2 })
    await fleet.clock.pass(minutes(5))
    assert.deepEqual(versionsOf(devices), [1, 2, 3, 3, 3, 3])
    reconnect(devices)
    await fleet.clock.pass(minutes(5))
    assert.deepEqual(versionsOf(devices), [1, 2, 3, 2, 3, 3])
    const [job] = await fleet.updates.jobs(plain)
    assert.equal(job?.detail.why, 'lock')
    // Imported while it is online.
    const [added] = await fleet.addDevices(1, fleet.gateway.stateOf([...fleet.releases.old, app1]))
    assert.ok(added)
    await products.devices.remove(product.id, added.id)
    connect([added])
    await fleet.clock.pass(minutes(5))
    assert.deepEqual(versionsOf([added]), [null])
    await products.devices.import(product.id, [added.id])
    await fleet.clock.pass(minutes(10))
    assert.deepEqual(versionsOf([added]), [3])
    assert.equal(rollouts.active, 0)
  })

  it('is listed with the reason where it fails, and goes on with the others', async () => {
    const { rollouts, product } = fleet
    await rollouts.putSettings(product.id, { retryAfter: 60 })
    const [bad] = devices
    assert.ok(bad)
    let tries = 0
    bad.onUpdate = () => {
      tries++
      return { code: -1334, message: 'the flash is broken' }
    }
    connect(devices)
    await release(2, { intelligent: true })
    await fleet.clock.pass(minutes(120))
    assert.deepEqual(await countsOf(2), { failed: 1, done: 5 })
    const { id } = await rolloutOf(2)
    const { devices: failed, total } = await rollouts.devices(product.id, id, { state: 'failed', page: 1, size: 10 })
    assert.equal(total, 1)
    assert.equal(failed[0]?.deviceId, bad.id)
    assert.match(failed[0]?.reason ?? '', /the flash is broken/)
    assert.equal(failed[0]?.attempts, 2)
    const before = tries
    await fleet.clock.pass(minutes(24 * 60))
    reconnect([bad])
    await fleet.clock.pass(minutes(60))
    assert.equal(tries, before)
    delete bad.onUpdate
    assert.equal((await rollouts.retry(product.id, id)).retried, 1)
    await fleet.clock.pass(minutes(5))
    assert.deepEqual(await countsOf(2), { done: 6 })
  })

  it('halts where too many fail, and goes on with a release that supersedes it', async () => {
    const { rollouts, product } = fleet
    await rollouts.putSettings(product.id, { concurrent: 1, attempts: 1, haltAfter: 2 })
    for (const device of devices) {
      device.onUpdate = (file) => (file.length < 20_500 ? { code: -1334, message: 'no' } : undefined)
    }
    connect(devices)
    await release(2, { intelligent: true })
    await fleet.clock.pass(minutes(120))
    const halted = await rolloutOf(2)
    assert.equal(halted.state, 'halted')
    assert.match(halted.reason ?? '', /2 devices failed, 100 %/)
    assert.equal(halted.counts.failed, 2)
    assert.equal(halted.counts.waiting, 4)
    await fleet.upload(4, application(4, 1_000, 30_000))
    await release(4, { intelligent: true })
    await fleet.clock.pass(minutes(30))
    assert.deepEqual(await countsOf(4), { done: 6 })
    assert.equal((await rolloutOf(2)).state, 'superseded')
    assert.deepEqual(await countsOf(2), { failed: 2 })
  })

  it('can be paused, resumed and stopped', async () => {
    const { rollouts, product } = fleet
    await rollouts.putSettings(product.id, { concurrent: 2 })
    connect(devices)
    await release(2, { intelligent: true })
    await fleet.clock.pass(100)
    const { id } = await rolloutOf(2)
    const paused = await rollouts.pause(product.id, id)
    assert.equal(paused.state, 'paused')
    await fleet.clock.pass(minutes(30))
    assert.ok((await rolloutOf(2)).counts.waiting >= 4)
    await assert.rejects(rollouts.pause(product.id, id), { code: 'wrong-state' })
    await rollouts.putSettings(product.id, { concurrent: 1 })
    await rollouts.resume(product.id, id)
    await fleet.clock.pass(5_000)
    await rollouts.stop(product.id, id)
    await fleet.clock.pass(minutes(30))
    const stopped = await rolloutOf(2)
    assert.equal(stopped.state, 'stopped')
    const { done } = stopped.counts
    assert.ok(done > 0 && done < 6, String(done))
    reconnect(devices)
    await fleet.clock.pass(minutes(30))
    assert.equal(versionsOf(devices).filter((version) => version === 2).length, done)
    await release(2, { intelligent: true })
    await fleet.clock.pass(minutes(30))
    assert.deepEqual(await countsOf(2), { done: 6 - done })
    assert.deepEqual(
      devices.map(({ applications }) => applications),
      [1, 1, 1, 1, 1, 1],
    )
  })

  it('sends nothing to a device that could not run it, nor to one in quarantine, nor where the policy says no', async () => {
    const { products, product, registry, rollouts } = fleet
    const [stranger, locked, ...others] = devices
    assert.ok(stranger && locked)
    await products.devices.remove(product.id, stranger.id)
    connect(devices)
    registry.recordConnection(stranger.id, { platformId: 43, productId: product.id, productVersion: 1 })
    await fleet.updates.policies.put(`device:${locked.id}`, { application: false }, null)
    // No release has that system part.
    await fleet.upload(4, application(4, 9_000))
    await release(4, { intelligent: true })
    await fleet.clock.pass(minutes(10))
    assert.deepEqual(await countsOf(4), { failed: 5 })
    assert.equal(fleet.gateway.sent, 0)
    const { id } = await rolloutOf(4)
    const { devices: failed } = await rollouts.devices(product.id, id, { page: 1, size: 10 })
    assert.match(failed[0]?.reason ?? '', /it was not sent: .*system_part 2/)
    assert.match(failed[0]?.next ?? '', /device-os import/)
    fleet.importRelease('3.0.0', linuxSystem(9_000, 300, 3_000))
    await fleet.clock.pass(minutes(10))
    assert.deepEqual(await countsOf(4), { held: 1, done: 4 })
    await release(2, { intelligent: true })
    await fleet.clock.pass(minutes(10))
    assert.deepEqual(await countsOf(2), { held: 1, done: 4 })
    const { devices: held } = await rollouts.devices(product.id, (await rolloutOf(2)).id, {
      state: 'held',
      page: 1,
      size: 10,
    })
    assert.match(held[0]?.reason ?? '', /locked by the update policy/)
    assert.equal(stranger.taken, 0)
    assert.deepEqual(versionsOf(others), [2, 2, 2, 2])
    assert.equal((await rolloutOf(4)).state, 'superseded')
  })
})

describe('the pace', () => {
  it('is so many at a time, and so many a minute with pauses that vary', () => {
    const pace = { concurrent: 3, perMinute: 60 }
    const pacer = new Pacer()
    assert.equal(pacer.wait(10_000, pace), 0)
    pacer.begin(10_000, pace, 0.5)
    assert.equal(pacer.wait(10_000, pace), 0, 'a second of starts may be made up for')
    pacer.begin(10_000, pace, 1)
    assert.equal(pacer.wait(10_000, pace), 1_500)
    assert.equal(pacer.wait(11_500, pace), 0)
    pacer.join()
    assert.equal(pacer.wait(60_000, pace), undefined)
    pacer.end()
    assert.equal(pacer.wait(60_000, pace), 0)
    assert.equal(pacer.active, 2)
  })
})
