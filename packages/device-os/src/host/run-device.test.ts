/** Real processes with a real bootloader, and a system made for the test. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { buildModule, sha256Hex } from '@aloe/firmware'
import { bundle } from '../release/bundle.ts'
import type { ReleaseFolder } from '../release/release-folder.ts'
import { isAlive, processMark } from '../storage/process-mark.ts'
import { needsBootloader, needsSystemPart, testApplication, testModule, testPlatform } from '../test-modules.ts'
import { createDevice, openFlash } from './device-folder.ts'
import { DeviceBusyError } from './device-processes.ts'
import { type DeviceStatus, type RunningDevice, runDevice } from './run-device.ts'

const folder = mkdtempSync(join(tmpdir(), 'aloe-host-'))
const sources = join(dirname(fileURLToPath(import.meta.url)), '..')
const devices: RunningDevice[] = []

/** Does at each boot what the next word of its script says, and tells how it was booted. */
const system = `
exports.startApplication = () => {}
exports.startSystem = ({ hal, flash, decision, reset }) => {
  const script = JSON.parse(Buffer.from(flash.readData('script') ?? '[]').toString())
  const word = script.shift()
  flash.writeData('script', Buffer.from(JSON.stringify(script)))
  const { mode, resetReason, resetData } = decision
  const feeding = setInterval(() => hal.feedWatchdog(), 50)
  hal.log({ level: 'info', category: 'test', message: [mode, resetReason, resetData].join(' '), time: 0 })
  if (word === 'reset') reset('user', 5)
  else if (word === 'exit') process.exit(3)
  else if (word === 'kill') process.kill(process.pid, 'SIGKILL')
  else if (word === 'throw') setTimeout(() => { throw new Error('boom') }, 10)
  else if (word === 'hang') setTimeout(() => { for (;;); }, 10)
  else if (word === 'update') {
    flash.addPending(Buffer.from(flash.readData('module')))
    reset('update')
  }
  else console.log('running')
  return { stop: async () => clearInterval(feeding), led: () => undefined }
}`

let release: ReleaseFolder

before(async () => {
  const body = await bundle({
    entry: join(sources, 'boot/main.ts'),
    apiVersion: '1.0.0',
    version: '1.0.0',
    wiringFolder: join(sources, 'wiring'),
  })
  release = writeRelease('release', [
    bootloader(100, body),
    testModule('system_part', 1, 1000, needsBootloader(100), { body: 'exports.communication = {}' }),
    testModule('system_part', 2, 1000, needsSystemPart(1, 1000), { body: system }),
  ])
})

after(async () => {
  await Promise.all(devices.map((device) => device.stop()))
  rmSync(folder, { recursive: true })
})

function bootloader(version: number, body: Uint8Array): Uint8Array {
  return buildModule({ platformId: testPlatform.id, function: 'bootloader', index: 0, version, body })
}

function writeRelease(name: string, modules: readonly Uint8Array[]): ReleaseFolder {
  const dir = join(folder, name)
  mkdirSync(dir)
  return {
    dir,
    manifest: {
      version: '1.0.0',
      platform: 'linux',
      platformId: testPlatform.id,
      systemVersion: 1000,
      bootloaderVersion: 100,
      prerelease: false,
      state: 'ga',
      types: '',
      api: [],
      modules: modules.map((bytes, place) => {
        const filename = `${place}.bin`
        writeFileSync(join(dir, filename), bytes)
        const part = { function: 'system_part', index: 1, version: 1 } as const
        return { filename, ...part, size: bytes.length, sha256: sha256Hex(bytes) }
      }),
    },
  }
}

function newDevice(name: string, script: readonly string[] = []): string {
  const dir = join(folder, name)
  createDevice({ dir, name, release, application: testApplication(1000), deviceKey: testKey })
  openFlash(dir).writeData('script', Buffer.from(JSON.stringify(script)))
  return dir
}

// A key takes a while to find; these tests need none that works.
const testKey = new Uint8Array(
  Buffer.from(
    'MIIBOgIBAAJBAKj34GkxFhD90vcNLYLInFEX6Ppy1tPf9Cnzj4p4WGeKLs1Pt8QuKUpRKfFLfRYC9AIKjbJTWit+CqvjWYzvQwECAwEAAQJAIJLixBy2qpFoS4DSmoEmo3qGy0t6z09AIJtH+5OeRV1be+N4cDYJKffGzDa88vQENZiRm0GRq6a+HPGQMd2kTQIhAKMSvzIBnni7ot/OSie2TmJLY4SwTQAevXysE2RbFDYdAiEBCUEaRQnMnbp79mxDXDf6AU0cN/RPBjb9qSHDcWZHGzUCIG2Es59z8ugGrDY+pxLQnwfotadxd+Uyv/Ow5T0q5gIJAiEAyS4RaI9YG8EWx/2w0T67ZUVAw8eOMB6BIUg0Xcu+3okCIBOs/5OiPgoTdSy7bcF9IGpSE8ZgGKzgYQVZeN97YE00',
    'base64',
  ),
)

interface Watched {
  readonly device: RunningDevice
  readonly lines: string[]
  /** What the system told of its boots. */
  boots(): string[]
  until(condition: (status: DeviceStatus) => boolean): Promise<DeviceStatus>
}

function watch(dir: string, watchdog = 1_000): Watched {
  const lines: string[] = []
  const waiting = new Set<() => void>()
  const check = () => {
    for (const one of waiting) one()
  }
  const device = runDevice({
    dir,
    watchdog,
    onStatus: check,
    onLog: (line) => {
      lines.push(`${line.from}: ${line.message}`)
      check()
    },
  })
  devices.push(device)
  const boots = () => lines.filter((line) => line.startsWith('system: ')).map((line) => line.slice(8))
  const until = (condition: (status: DeviceStatus) => boolean) =>
    new Promise<DeviceStatus>((resolve) => {
      const one = () => {
        if (!condition(device.status)) return
        waiting.delete(one)
        resolve(device.status)
      }
      waiting.add(one)
      one()
    })
  return { device, lines, boots, until }
}

describe('a device as processes', { concurrency: 2 }, () => {
  it('boots, runs the code of its modules, and stops', async () => {
    const { device, lines, boots, until } = watch(newDevice('plain'))
    const status = await until(({ phase }) => phase === 'system' && lines.includes('output: running'))
    assert.equal(status.decision?.mode, 'normal')
    assert.deepEqual(boots(), ['normal power_down 0'])
    const pids = [status.bootloaderPid, status.systemPid].map((pid) => processMark(pid ?? 0))
    assert.ok(pids.every(isAlive))
    await device.stop()
    assert.equal(device.status.phase, 'off')
    assert.ok(!pids.some(isAlive))
  })

  it('boots again after every end of the system, and knows why', async () => {
    const { device, boots, until } = watch(newDevice('ends', ['reset', 'exit', 'reset', 'throw', 'kill', 'hang']))
    await until(() => boots().length === 7)
    assert.deepEqual(boots(), [
      'normal power_down 0',
      'normal user 5',
      'normal panic 7',
      'normal user 5',
      'normal panic 10',
      'normal pin_reset 0',
      'normal watchdog 0',
    ])
    await device.stop()
  })

  it('installs what is pending, and goes on in a new bootloader', async () => {
    const dir = newDevice('update', ['update'])
    const flash = openFlash(dir)
    const module = flash.parsed('bootloader', 0)
    assert.ok(module)
    flash.writeData('module', bootloader(101, module.body))
    const { device, boots, until } = watch(dir)
    const status = await until(() => boots().length === 2)
    assert.equal(boots()[1], 'normal update 0')
    assert.equal(status.decision?.modules[0]?.version, 101)
    assert.equal(status.boots, 3)
    await device.stop()
  })

  it('survives the death of any of its processes', async () => {
    const { device, boots, until } = watch(newDevice('deaths'))
    const first = await until((status) => status.phase === 'system')
    const firstSystem = processMark(first.systemPid ?? 0)
    process.kill(first.bootloaderPid ?? 0, 'SIGKILL')
    const second = await until((status) => status.phase === 'system' && status.bootloaderPid !== first.bootloaderPid)
    assert.ok(!isAlive(firstSystem))
    process.kill(second.systemPid ?? 0, 'SIGKILL')
    await until(() => boots().length === 3)
    device.reset()
    await until(() => boots().length === 4)
    assert.deepEqual(boots().slice(1), ['normal unknown 0', 'normal pin_reset 0', 'normal pin_reset 0'])
    await device.stop()
  })

  it('leaves no process behind when the one that runs it dies, even when its system hangs', async () => {
    const dir = newDevice('orphans', ['hang'])
    const rom = spawn(process.execPath, [fileURLToPath(new URL('./test-rom.ts', import.meta.url)), dir])
    const pids = await new Promise<number[]>((resolve) => {
      let text = ''
      rom.stdout.on('data', (chunk: Buffer) => {
        text += chunk
        const [, bootloaderPid, systemPid] = /"system","bootloaderPid":(\d+),"systemPid":(\d+)/.exec(text) ?? []
        if (systemPid !== undefined) resolve([Number(bootloaderPid), Number(systemPid)])
      })
    })
    const marks = pids.map(processMark)
    assert.ok(marks.every(isAlive))
    // By now the system is in its endless loop.
    await new Promise((resolve) => setTimeout(resolve, 300))
    rom.kill('SIGKILL')
    while (marks.some(isAlive)) await new Promise((resolve) => setTimeout(resolve, 20))
  })

  it('is run once at a time', async () => {
    const dir = newDevice('locked')
    const { device, until } = watch(dir)
    await until((status) => status.phase === 'system')
    assert.throws(() => runDevice({ dir }), DeviceBusyError)
    await device.stop()
    assert.ok(!existsSync(join(dir, 'device.lock')))
    // The lock of a process that is gone is stale.
    writeFileSync(join(dir, 'device.lock'), JSON.stringify({ pid: process.pid, started: '1' }))
    const again = watch(dir)
    await again.until((status) => status.phase === 'system')
    await again.device.stop()
  })

  it('stays in the bootloader when the system cannot be started, and says so', async () => {
    const dir = newDevice('broken')
    openFlash(dir).install(testModule('system_part', 2, 1000, needsSystemPart(1, 1000), { body: 'this is not code' }))
    const { device, lines, until } = watch(dir)
    const status = await until(({ phase }) => phase === 'dfu')
    assert.match(status.reason ?? '', /do not run.*system_part-2@1000/)
    assert.equal(status.led?.words, 'blinking yellow')
    assert.ok(lines.some((line) => line.startsWith('bootloader: ') && line.includes('stays in the bootloader')))
    await device.stop()
  })

  it('says so when the bootloader cannot run', async () => {
    const dir = newDevice('brick')
    openFlash(dir).storage.write('slot-bootloader-0.bin', Buffer.from('x'))
    const { device, until } = watch(dir)
    const status = await until(({ phase }) => phase === 'unusable')
    assert.match(status.reason ?? '', /no bootloader/)
    await device.stop()
  })

  it('slows down when it fails again and again', async () => {
    const { device, until, boots } = watch(newDevice('loop', Array(20).fill('exit')))
    await until(({ phase }) => phase === 'waiting')
    assert.equal(boots().length, 4)
    await device.stop()
  })
})
