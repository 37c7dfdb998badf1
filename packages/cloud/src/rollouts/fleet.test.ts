/** A release to a fleet: slow, offline and broken devices, and a cloud that ends in the middle of it. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { application, type Fleet, type FleetDevice, numbers, startFleet } from './fleet-fixture.ts'

const size = Number(process.env.ALOE_FLEET_SIZE ?? 1_000)
const failing = size / 50
const offline = size / 10
const disabled = size / 40

describe('a release to a fleet', () => {
  it('reaches every device once, through restarts and kills of the cloud', { timeout: 300_000 }, async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'aloe-rollout-'))
    const fleet = await startFleet({ dataDir, updates: { slots: 300 } })
    try {
      await run(fleet)
    } finally {
      await fleet.close()
      await rm(dataDir, { recursive: true, force: true })
    }
  })
})

async function run(fleet: Fleet): Promise<void> {
  const random = numbers(1)
  const { gateway, clock, product, releases } = fleet
  const app1 = application(1)
  const app2 = application(2, 2_000)
  // A third has the Device OS that the release needs.
  const newer = await fleet.addDevices(size / 4, gateway.stateOf([...releases.current, app1]))
  const older = await fleet.addDevices((3 * size) / 4, gateway.stateOf([...releases.old, app1]))
  const all = [...newer, ...older]
  const broken = new Set(older.slice(0, failing))
  for (const device of broken) device.onUpdate = () => ({ code: -1334, message: 'the flash is broken' })
  const late = new Set(older.slice(failing, failing + offline))
  const refusing = new Set(newer.slice(0, disabled))
  for (const device of refusing) device.updatesEnabled = false
  await fleet.upload(1, app1)
  await fleet.upload(2, app2)
  for (const device of all) if (!late.has(device)) gateway.connect(device)

  await fleet.rollouts.putSettings(product.id, { concurrent: 300, perMinute: 1_000, retryAfter: 60 })
  await fleet.products.firmware.put(product.id, {
    version: 2,
    productDefault: true,
    intelligent: true,
    untested: true,
    by: 'ann',
  })
  await fleet.rollouts.settled()
  const view = async () => {
    const [rollout] = await fleet.rollouts.list(product.id)
    assert.ok(rollout)
    return rollout
  }

  // Restarts in the middle, in good order and not; connections break.
  for (const killed of [false, true, true]) {
    await clock.pass(30_000, { grain: 1_000 })
    for (let i = 0; i < 20; i++) {
      const device = all[Math.floor(random() * all.length)]
      if (!device?.online) continue
      gateway.drop(device)
      gateway.connect(device)
    }
    const { counts } = await view()
    assert.ok(counts.done < size, 'it is not over when the cloud ends')
    await fleet.restart(killed)
    const after = await view()
    assert.equal(after.version, 2)
    assert.equal(sum(after.counts), size, 'no device is forgotten')
  }
  assert.ok(gateway.most <= 300 + disabled, `${gateway.most} at a time`)

  await finished(fleet, async () => (await view()).counts.done >= size - failing - offline - disabled)
  let { counts } = await view()
  assert.deepEqual(
    { waiting: counts.waiting, held: counts.held, failed: counts.failed + counts.retrying, done: counts.done },
    { waiting: offline, held: disabled, failed: failing, done: size - failing - offline - disabled },
  )
  for (const device of late) gateway.connect(device)
  for (const device of refusing) gateway.enableUpdates(device, true)
  await finished(fleet, async () => (await view()).counts.done >= size - failing)
  await clock.pass(3_600_000, { grain: 10_000 })
  counts = (await view()).counts
  assert.deepEqual({ failed: counts.failed, done: counts.done }, { failed: failing, done: size - failing })

  const ran = (device: FleetDevice) => fleet.registry.get(device.id)?.applicationVersion
  for (const device of all) {
    const isBroken = broken.has(device)
    assert.equal(ran(device), isBroken ? 1 : 2)
    assert.equal(device.applications, isBroken ? 0 : 1, 'the application is sent once')
    assert.equal(device.state.safeMode, false)
  }
  const { total, devices } = await fleet.rollouts.devices(product.id, (await view()).id, {
    state: 'failed',
    page: 1,
    size: 100,
  })
  assert.equal(total, failing)
  for (const { reason } of devices) assert.match(reason ?? '', /the flash is broken/)
}

async function finished(fleet: Fleet, done: () => Promise<boolean>): Promise<void> {
  for (let minute = 0; minute < 240; minute++) {
    if (await done()) return
    await fleet.clock.pass(60_000, { grain: 2_000 })
  }
  const [rollout] = await fleet.rollouts.list(fleet.product.id)
  assert.fail(`it does not come to its end: ${JSON.stringify(rollout?.counts)}`)
}

function sum(counts: object): number {
  return Object.values(counts).reduce((total: number, count) => total + Number(count), 0)
}
