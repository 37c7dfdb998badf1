/**
 * How long healing takes and what it costs, in simulated time with the real cloud, channels and transfers: one device
 * against its floor (the bytes over the rate of its link, plus its resets), plans a second, and 1,000 devices at once.
 */
import {
  bootCheck,
  type DescribedModule,
  installedModule,
  type Platform,
  parseModule,
  planHealing,
  type SystemDescribe,
} from '@aloe/firmware'
import {
  applicationFor,
  type Conditions,
  type DeviceScenario,
  networkOf,
  platformNamed,
  type Release,
  runWorld,
  scaledReleases,
  streamNetworkOf,
} from '@aloe/testing'
import type { Figure } from './report.ts'

export interface HealingBenchOptions {
  /** How many heal at once. */
  readonly devices: number
  /** Module sizes against those of the simulator: 60 is as in life. */
  readonly factor: number
}

interface Journey {
  readonly platform: string
  readonly from: string
  readonly to: string
  readonly system: number
  readonly network: 'lteM' | 'cat1' | 'lan'
}

const journeys: readonly Journey[] = [
  { platform: 'boron', from: '5.8.2', to: '6.2.0', system: 6_200, network: 'lteM' },
  { platform: 'tracker', from: '2.0.0', to: '6.2.0', system: 6_200, network: 'lteM' },
  { platform: 'p2', from: '5.3.1', to: '6.3.4', system: 6_305, network: 'lan' },
  { platform: 'photon', from: '0.6.3', to: '1.5.2', system: 1_512, network: 'cat1' },
]

/** From the reset to the first word to the network, and what a bootloader copies in a millisecond: as a twin's. */
const bootTime = 1_500
const copySpeed = 40
/** From the last acknowledgement to the reset; an ESP32 takes longer. */
const resetDelay = 1_000
const coprocessorTime = 20_000

export async function measureHealing({ devices, factor }: HealingBenchOptions): Promise<Figure[]> {
  const figures: Figure[] = []
  for (const journey of journeys) figures.push(await healOne(journey, factor))
  figures.push(plans())
  figures.push(...(await healMany(devices, Math.max(1, Math.round(factor / 6)))))
  return figures
}

function conditionsOf(network: Journey['network']): Conditions {
  return { datagrams: networkOf(network), streams: streamNetworkOf(network) }
}

/** A device with a release and an application that needs another one. */
function scenario(journey: Journey, releases: readonly Release[], index: number): DeviceScenario {
  const platform = platformNamed(journey.platform)
  const state = new Map<string, Uint8Array>()
  for (const { version, modules } of releases) {
    for (const { module, bytes } of modules) state.set(`${module.function}:${module.index}`, bytes)
    if (version === journey.from) break
  }
  return {
    id: `${platform.id.toString(16).padStart(4, '0')}${(index + 1).toString(16).padStart(20, '0')}`,
    platform,
    modules: [...state.values(), applicationFor(platform, journey.system, 1_000 + index)],
    wish: undefined,
    troubles: {},
    network: conditionsOf(journey.network),
    refusesFor: undefined,
    poweredAt: 0,
  }
}

function planOf(platform: Platform, device: DeviceScenario, releases: readonly Release[]) {
  const plan = planHealing(
    platform,
    describeOf(platform, device),
    releases.flatMap(({ modules }) => modules.map(({ module }) => module)),
  )
  if (!plan.ok) throw new Error(plan.reason)
  return plan.steps
}

function describeOf(platform: Platform, device: DeviceScenario): SystemDescribe {
  const installed = device.modules.map((bytes) => installedModule(parseModule(bytes)))
  return { platformId: platform.id, modules: bootCheck(platform, installed).modules }
}

async function healOne(journey: Journey, factor: number): Promise<Figure> {
  const releases = scaledReleases(journey.platform, factor)
  const device = scenario(journey, releases, 0)
  const { platform } = device
  const steps = planOf(platform, device, releases)
  const bytes = steps.reduce((sum, step) => sum + (step.size ?? 0), 0)
  const rate = device.network.datagrams.down.rate ?? 1
  let began = Number.NaN
  let ended = Number.NaN
  const result = await runWorld(1, {
    devices: 1,
    troubleTime: 3 * 60 * 60_000,
    changes: { devices: () => [device], modules: releases.flatMap(({ modules }) => modules) },
    trace: (line) => {
      const at = Number.parseFloat(line) * 1_000
      if (line.includes('boots: running safe') && Number.isNaN(began)) began = at
      if (line.includes('boots: running normal')) ended = at
    },
  })
  if (result.violation) throw result.violation
  const took = (ended - began) / 1_000
  const slow = steps.filter((step) => step.function === 'ncp_firmware').length * coprocessorTime
  const copied = steps.filter((step) => step.function !== 'ncp_firmware').reduce((sum, s) => sum + (s.size ?? 0), 0)
  const resets = steps.length * (bootTime + resetDelay) + copied / copySpeed + slow
  const floor = ((bytes * 1_000) / rate + resets) / 1_000
  return {
    name: `heal ${journey.platform} ${journey.from} to ${journey.to}, ${journey.network}`,
    unit: 's',
    better: 'less',
    value: took,
    limit: floor,
    limitIs: `${(bytes / 1_000).toFixed(0)} KB at ${(rate / 1_000).toFixed(0)} KB/s, and ${steps.length} resets`,
    count: 1,
    details: { modules: steps.length, 'bytes sent per byte needed': result.counts.bytes / bytes },
  }
}

/** Plans for devices that are all different: of the same ones the planner remembers the plan. */
function plans(): Figure {
  const perJourney = 380
  const cases = journeys.flatMap((journey) => {
    const releases = scaledReleases(journey.platform, 1)
    const { platform, ...device } = scenario(journey, releases, 0)
    const modules = releases.flatMap((release) => release.modules.map(({ module }) => module))
    const described = describeOf(platform, { platform, ...device })
    return Array.from({ length: perJourney }, (_, more) => ({
      platform,
      modules,
      describe: { ...described, modules: described.modules.map((m) => withNewerBootloader(m, more)) },
    }))
  })
  const began = process.cpuUsage()
  for (const { platform, describe, modules } of cases) planHealing(platform, describe, modules)
  const first = seconds(process.cpuUsage(began))
  const repeated = process.cpuUsage()
  for (const { platform, describe, modules } of cases) planHealing(platform, describe, modules)
  return {
    name: 'plans for healing',
    unit: 'plans / CPU s',
    better: 'more',
    value: cases.length / first,
    count: cases.length,
    details: { 'of devices that are alike': cases.length / seconds(process.cpuUsage(repeated)) },
  }
}

function withNewerBootloader(module: DescribedModule, more: number): DescribedModule {
  const own = module.function === 'bootloader' && module.index === 0
  return own ? { ...module, version: module.version + more } : module
}

function seconds({ user, system }: NodeJS.CpuUsage): number {
  return (user + system) / 1e6
}

async function healMany(count: number, factor: number): Promise<Figure[]> {
  const [journey] = journeys
  if (!journey) return []
  const releases = scaledReleases(journey.platform, factor)
  const devices = Array.from({ length: count }, (_, index) => scenario(journey, releases, index))
  const [first] = devices
  const steps = first ? planOf(first.platform, first, releases) : []
  const needed = count * steps.reduce((sum, step) => sum + (step.size ?? 0), 0)
  const memory = { first: 0, most: 0 }
  const sampler = setInterval(() => {
    const { heapUsed, external, arrayBuffers } = process.memoryUsage()
    memory.first ||= heapUsed + external + arrayBuffers
    memory.most = Math.max(memory.most, heapUsed + external + arrayBuffers)
  }, 100)
  const began = performance.now()
  const cpu = process.cpuUsage()
  let lastHealed = 0
  const result = await runWorld(1, {
    devices: count,
    troubleTime: 1_000,
    calmTime: 6 * 60 * 60_000,
    changes: { devices: () => devices, modules: releases.flatMap(({ modules }) => modules) },
    trace: (line) => {
      if (line.includes('boots: running normal')) lastHealed = Number.parseFloat(line)
    },
  })
  clearInterval(sampler)
  if (result.violation) throw result.violation
  const spent = seconds(process.cpuUsage(cpu))
  const name = `${count.toLocaleString('en-US')} devices healing at once`
  return [
    {
      name: `${name}, until the last is healed`,
      unit: 's simulated',
      better: 'less',
      value: lastHealed,
      count,
      details: {
        'seconds by the wall': (performance.now() - began) / 1_000,
        'CPU seconds, devices included': spent,
        'MB in memory at most, devices included': memory.most / 1e6,
        'MB at the beginning': memory.first / 1e6,
        'MB sent': result.counts.bytes / 1e6,
      },
    },
    {
      name: `${name}, bytes sent per byte needed`,
      unit: 'ratio',
      better: 'less',
      value: result.counts.bytes / needed,
      limit: 1,
      limitIs: 'each module once, uncompressed',
      count,
    },
  ]
}
