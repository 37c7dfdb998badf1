/**
 * Real processes of a real device are killed with SIGKILL at random moments of an update over real TCP: an application
 * for Device OS 2.0.0 on a device with 1.0.0, healed by bootloader, system part 1 and system part 2. After each kill
 * every slot holds its old or its new module; the device boots and comes to the end of the update.
 *
 * `ALOE_KILLS` says how often (200 for the proof), `ALOE_SEED` repeats a run's moments:
 *
 *     ALOE_KILLS=200 node --test packages/device-os/src/host/sigkill.test.ts
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { moduleLabel } from '@aloe/firmware'
import { buildReleases } from '../release/build-release.ts'
import { releaseModules } from '../release/release-folder.ts'
import { needsSystemPart, testModule, testPlatform } from '../test-modules.ts'
import { createDevice, openFlash } from './device-folder.ts'
import { HealingCloud } from './test-healing-cloud.ts'

const kills = Number(process.env.ALOE_KILLS ?? 6)
const seed = Number(process.env.ALOE_SEED ?? Date.now() % 1_000_000)
/** Devices that are updated and killed side by side. */
const lanes = Math.min(kills, 2)
/** An update that is not through by then, kills or not, has failed, ms. */
const patience = 60_000

const body = `exports.setup = () => {}\nexports.loop = () => {}\n/* ${'an application of some size '.repeat(2_000)} */\n`
const application = (version: number, needs: number) =>
  testModule('user_part', 1, version, needsSystemPart(2, needs), { body: `/* ${version} */ ${body}` })
const oldApplication = application(1, 1000)
const newApplication = application(2, 2000)

const folder = mkdtempSync(join(tmpdir(), 'aloe-sigkill-'))
const romFile = fileURLToPath(new URL('./test-rom.ts', import.meta.url))
const random = generator(seed)
const victims = ['rom', 'bootloader', 'system', 'all'] as const
const started = new Set<ChildProcess>()

let cloud: HealingCloud
/** Modules that a slot may hold, to the byte. */
let known: readonly Uint8Array[]
let target: readonly Uint8Array[]

before(async () => {
  const releases = await buildReleases(join(folder, 'releases'))
  const [first, newest] = [releases[0], releases.at(-1)]
  assert.ok(first && newest)
  const modules = (release: typeof first) => releaseModules(release).map(({ bytes }) => bytes)
  target = [...modules(newest), newApplication]
  known = [...modules(first), oldApplication, ...target]
  cloud = await HealingCloud.start(testPlatform, { application: newApplication, releases: [newest] })
  createDevice({
    dir: join(folder, 'new'),
    name: 'new',
    release: first,
    application: oldApplication,
    serverKey: cloud.serverKeyDer,
    serverAddress: { type: 'ipv4', address: '127.0.0.1', port: cloud.port },
  })
})

after(async () => {
  for (const process of started) process.kill('SIGKILL')
  await cloud?.close()
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
})

interface Status {
  readonly phase: string
  readonly bootloaderPid?: number
  readonly systemPid?: number
  readonly reason?: string
}

/** A device whose ROM is a process of its own. */
class Device {
  readonly dir: string
  readonly id: string
  status: Status = { phase: 'off' }
  #rom: ChildProcess | undefined
  #ended: Promise<void> = Promise.resolve()

  constructor(lane: number) {
    this.dir = join(folder, `lane-${lane}`)
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 5 })
    cpSync(join(folder, 'new'), this.dir, { recursive: true })
    // Each lane has an identity of its own.
    const flash = openFlash(this.dir)
    this.id = `422b05${lane.toString(16).padStart(18, '0')}`
    flash.initialize({ ...flash.config, deviceId: this.id })
  }

  start(): void {
    // The compiled code of all devices in one place: they start faster.
    const env = { ...process.env, NODE_COMPILE_CACHE: join(folder, 'code-cache') }
    const rom = spawn(process.execPath, [romFile, this.dir], { stdio: ['ignore', 'pipe', 'inherit'], env })
    started.add(rom)
    this.#rom = rom
    let rest = ''
    rom.stdout.setEncoding('utf8')
    rom.stdout.on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) this.status = JSON.parse(line)
    })
    this.#ended = new Promise((resolve) =>
      rom.on('exit', () => {
        started.delete(rom)
        resolve()
      }),
    )
  }

  /** Kills one process, or all; a ROM that was killed is started again, after a look at the flash. */
  async kill(victim: (typeof victims)[number]): Promise<string> {
    const { bootloaderPid, systemPid, phase } = this.status
    const pids = { rom: this.#rom?.pid, bootloader: bootloaderPid, system: systemPid }
    let whom = victim
    const chosen = whom === 'all' ? Object.values(pids) : [pids[whom]]
    if (chosen.filter(killed).length === 0) {
      // It is not there at this moment: then the ROM is killed, which always is.
      whom = 'rom'
      assert.ok(killed(pids.rom))
    }
    if (whom === 'rom' || whom === 'all') {
      await this.#ended
      checkSlots(this.dir)
      this.start()
    }
    return `${whom} in ${phase}`
  }

  async stop(): Promise<void> {
    this.#rom?.kill('SIGTERM')
    await this.#ended
  }
}

function killed(pid: number | undefined): boolean {
  try {
    return pid !== undefined && process.kill(pid, 'SIGKILL')
  } catch {
    return false
  }
}

const same = (a: Uint8Array | undefined, b: Uint8Array) => a !== undefined && Buffer.from(a).equals(b)

function checkSlots(dir: string): void {
  const flash = openFlash(dir)
  for (const slot of testPlatform.slots) {
    const bytes = flash.module(slot.function, slot.index)
    assert.ok(
      known.some((module) => same(bytes, module)),
      `${moduleLabel(slot)} is neither old nor new`,
    )
  }
}

/** One update, with a kill `delay` ms after its start. @returns how long it took, ms */
async function update(lane: number, kill?: { delay: number; victim: (typeof victims)[number] }) {
  const device = new Device(lane)
  const reached = cloud.reached(device.id)
  const began = performance.now()
  device.start()
  let what = ''
  try {
    const timer = { late: undefined as NodeJS.Timeout | undefined }
    const late = new Promise<never>((_, reject) => {
      timer.late = setTimeout(() => {
        reject(new Error(`not through after ${patience / 1000} s, ${what}: ${JSON.stringify(device.status)}`))
      }, patience)
    })
    if (kill) {
      await Promise.race([reached, sleep(kill.delay)])
      what = `${await device.kill(kill.victim)} after ${Math.round(kill.delay)} ms`
    }
    await Promise.race([reached, late])
    clearTimeout(timer.late)
  } finally {
    await device.stop()
  }
  const took = performance.now() - began
  checkSlots(device.dir)
  const flash = openFlash(device.dir)
  const installed = testPlatform.slots.map((slot) => flash.module(slot.function, slot.index))
  assert.ok(
    target.every((module) => installed.some((bytes) => same(bytes, module))),
    `not everything is installed, ${what}`,
  )
  return { took, what }
}

describe('a device whose processes are killed in an update', () => {
  it(`comes to its end, ${kills} times`, { timeout: (kills / lanes + 2) * patience }, async (test) => {
    const undisturbed = await Promise.all(Array.from({ length: lanes }, (_, lane) => update(lane)))
    const span = Math.max(...undisturbed.map(({ took }) => took))
    const counts = new Map<string, number>()
    let left = kills
    let longest = 0
    const run = async (lane: number) => {
      while (left > 0) {
        left--
        const victim = victims[Math.floor(random() * victims.length)] ?? 'all'
        const { took, what } = await update(lane, { delay: random() * span, victim })
        longest = Math.max(longest, took)
        const key = what.replace(/ after.*/, '')
        counts.set(key, (counts.get(key) ?? 0) + 1)
      }
    }
    await Promise.all(Array.from({ length: lanes }, (_, lane) => run(lane)))
    test.diagnostic(
      `seed ${seed}, an undisturbed update took ${Math.round(span)} ms, the longest ${Math.round(longest)}`,
    )
    test.diagnostic([...counts].map(([what, count]) => `${what}: ${count}`).join(', '))
  })
})

function sleep(delay: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delay))
}

/** Mulberry32: uniform in [0, 1), the same for the same seed. */
function generator(start: number): () => number {
  let state = start
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}
