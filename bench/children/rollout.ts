/**
 * A release to a fleet, in a process of its own: the real store (on disk), registry, products, planner, updates, healer
 * and rollouts in simulated time; only transfers and devices are modelled (packages/cloud/src/rollouts/fleet-fixture.ts).
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { installedModule, parseModule } from '@aloe/firmware'
import { application, type FleetDevice, startFleet } from '../../packages/cloud/src/rollouts/fleet-fixture.ts'
import { previewRelease } from '../../packages/cloud/src/rollouts/preview.ts'

export interface RolloutMeasure {
  readonly devices: number
  /** Wall and CPU seconds from the release until the last device has ended. */
  readonly seconds: number
  readonly cpu: number
  /** Until every device was decided about. */
  readonly decided: number
  /** Seconds of the preview for all devices. */
  readonly preview: number
  /** Microseconds for the decision at a connection of a device that has what it should. */
  readonly connect: number
  /** Simulated. */
  readonly hours: number
  readonly files: number
  readonly most: number
  readonly done: number
  readonly failed: number
  /** Mebibytes. */
  readonly before: number
  readonly peak: number
}

async function measure(count: number): Promise<RolloutMeasure> {
  const dataDir = await mkdtemp(join(tmpdir(), 'aloe-bench-rollout-'))
  const fleet = await startFleet({ dataDir, updates: { slots: 2_000 }, limits: { concurrent: 4_000 } })
  const { clock, gateway, product, releases, products, registry } = fleet
  const app1 = application(1)
  const app2 = application(2, 2_000)
  const newer = await fleet.addDevices(Math.round(count * 0.8), gateway.stateOf([...releases.current, app1]))
  const older = await fleet.addDevices(count - newer.length, gateway.stateOf([...releases.old, app1]))
  const all: FleetDevice[] = [...newer, ...older]
  const isBroken = (at: number) => at % 1_000 === 1
  const isLate = (at: number) => at % 10 === 3
  await fleet.upload(1, app1)
  await fleet.upload(2, app2)
  for (const [at, device] of all.entries()) {
    if (isBroken(at)) device.onUpdate = () => ({ code: -1334, message: 'the flash is broken' })
    if (!isLate(at)) gateway.connect(device)
    if (at % 5_000 === 0) await clock.pass(10)
  }
  await clock.pass(10_000, { grain: 1_000 })
  await fleet.rollouts.putSettings(product.id, { concurrent: 2_000, perMinute: 60_000, attempts: 2, retryAfter: 600 })

  const firmware = products.firmware.get(product.id, 2)
  if (!firmware) throw new Error('the firmware is not there')
  const asked = performance.now()
  const preview = previewRelease(
    {
      ...{ products, registry, gateway, now: clock.now() },
      catalogue: fleet.catalogue,
      policies: fleet.updates.policies,
      settings: fleet.rollouts.settings(product.id),
    },
    product,
    {
      firmware,
      application: { ...installedModule(parseModule(app2)), function: 'user_part', size: app2.length },
      released: { default: 2, groups: new Map() },
      intelligent: true,
    },
  )
  const previewed = (performance.now() - asked) / 1_000
  if (preview.devices !== count) throw new Error(`the preview counts ${preview.devices} devices`)

  globalThis.gc?.()
  const before = process.memoryUsage().rss
  const cpuBefore = process.cpuUsage()
  const began = performance.now()
  const simulated = clock.now()
  const release = { version: 2, productDefault: true, intelligent: true, untested: true, by: 'ann' }
  await products.firmware.put(product.id, release)
  await fleet.rollouts.settled()
  const decided = (performance.now() - began) / 1_000
  const counts = async () => (await fleet.rollouts.list(product.id))[0]?.counts
  let late = all.filter((_, at) => isLate(at))
  let peak = 0
  for (;;) {
    await clock.pass(60_000, { grain: 500 })
    peak = Math.max(peak, process.memoryUsage().rss)
    // Devices that come back by and by.
    for (const device of late.splice(0, Math.ceil(count / 100))) gateway.connect(device)
    const now = await counts()
    if (process.env.ALOE_BENCH_LOG) console.error(clock.now(), JSON.stringify(now), Math.round(peak / 2 ** 20))
    if (now && now.done + now.failed === count) break
  }
  late = []
  const seconds = (performance.now() - began) / 1_000
  const { user, system } = process.cpuUsage(cpuBefore)
  const hours = (clock.now() - simulated) / 3_600_000
  const after = await counts()

  const sample = all.slice(0, Math.min(count, 10_000))
  const reconnecting = performance.now()
  for (const { id } of sample) gateway.tellDescribed(id)
  const connect = ((performance.now() - reconnecting) * 1_000) / sample.length
  const files = all.reduce((sum, { taken }) => sum + taken, 0)
  await fleet.close()
  await rm(dataDir, { recursive: true, force: true })
  return {
    devices: count,
    seconds,
    cpu: (user + system) / 1e6,
    decided,
    preview: previewed,
    connect,
    hours,
    files,
    most: gateway.most,
    done: after?.done ?? 0,
    failed: after?.failed ?? 0,
    before: before / 2 ** 20,
    peak: Math.max(peak, process.resourceUsage().maxRSS * 1_024) / 2 ** 20,
  }
}

const answer = await measure(Number(process.argv[2] ?? 1_000))
if (process.send) process.send(answer, () => process.exit())
else console.log(JSON.stringify(answer))
