/**
 * `aloe demo`: the main job, end to end. A cloud and a device of its own; an application that needs a newer Device OS;
 * safe mode; the cloud heals the device module by module; the application runs. Everything goes through the public
 * doors: `aloe up`, `aloe device create`, particle-api-js, the event stream.
 */

import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { type RunningDevice, runDevice } from '@aloe/device-os'
import Particle from 'particle-api-js'
import { CliError, messageOf } from '../cli-error.ts'
import type { CloudClient } from '../cloud-client.ts'
import { type EventQueue, openEvents, type StreamEvent } from '../event-stream.ts'
import { bytes, type Output, printable, table } from '../output.ts'
import { collectSources } from '../source-files.ts'
import { type CloudProcess, startCloudProcess } from './cloud-process.ts'
import { Stage } from './stage.ts'

const account = { username: 'demo@aloe', password: randomBytes(12).toString('base64url') }
const oldRelease = '1.0.0'
const newRelease = '2.0.0'
/** Each step has this long; all of them together take seconds. */
const patience = 30_000

const main = fileURLToPath(new URL('../main.ts', import.meta.url))
const application = fileURLToPath(new URL('../../../../examples/thermostat', import.meta.url))

interface Sent {
  readonly label: string
  readonly size: number
  readonly seconds: number
}

/** With `--json` only the summary is printed. */
const silent = { write: () => true }

/**
 * Plays the demo; it cleans up behind itself however it ends.
 *
 * @throws CliError naming the step that failed
 */
export async function runDemo(output: Output): Promise<void> {
  const stage = new Stage({
    stream: output.json ? silent : process.stdout,
    colors: output.colors,
    interactive: output.interactive,
  })
  const folder = await mkdtemp(join(tmpdir(), 'aloe-demo-'))
  const demo = new Demo(stage, output, folder)
  const interrupted = new Promise<never>((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => reject(new CliError('The demo was interrupted.')))
    }
  })
  try {
    await Promise.race([demo.play(), interrupted])
  } finally {
    await demo.cleanUp()
    await rm(folder, { recursive: true, force: true })
  }
}

class Demo {
  readonly #stage: Stage
  readonly #output: Output
  readonly #folder: string
  readonly #started = performance.now()
  readonly #deviceLog: string[] = []
  /** What the LED has shown since the device was last sent something. */
  readonly #shown = new Set<string>()
  #cloud: CloudProcess | undefined
  #device: RunningDevice | undefined
  #events: EventQueue | undefined
  #step = 'start'

  constructor(stage: Stage, output: Output, folder: string) {
    this.#stage = stage
    this.#output = output
    this.#folder = folder
  }

  async play(): Promise<void> {
    const stage = this.#stage
    const { colors } = this.#output
    stage.line(colors.bold('Aloe: a device that heals itself'))
    try {
      const client = await this.#startCloud()
      const deviceId = await this.#startDevice(client)
      const sent = await this.#flash(client, deviceId)
      await this.#use(client, deviceId)
      this.#summary(sent)
    } catch (error) {
      stage.close()
      const log = this.#deviceLog.slice(-12).join('\n')
      throw new CliError(`The demo failed at: ${this.#step}. ${messageOf(error)}`, {
        ...(log !== '' && { hint: `The device said last:\n${log}` }),
        cause: error,
      })
    }
  }

  async cleanUp(): Promise<void> {
    this.#events?.close()
    this.#stage.close()
    await this.#device?.stop()
    await this.#cloud?.stop()
  }

  async #startCloud(): Promise<CloudClient> {
    const { colors } = this.#output
    this.#begin('The cloud', 'start the cloud')
    const began = performance.now()
    this.#cloud = await startCloudProcess(join(this.#folder, 'cloud'), account)
    const { url, tcpPort, udpPort } = this.#cloud
    const ports = `${udpPort === undefined ? '' : `UDP port ${udpPort} or `}TCP port ${tcpPort}`
    this.#stage.done(`up at ${colors.cyan(url)}; devices connect to ${ports} ${this.#since(began)}`)
    const guest = new Particle({ baseUrl: url })
    const { body } = await guest.login({ ...account, tokenDuration: 3600 })
    const token = body.access_token
    this.#stage.done(`logged in as ${account.username}, through particle-api-js`)
    return { url, token, particle: new Particle({ baseUrl: url, auth: token }) }
  }

  async #startDevice(client: CloudClient): Promise<string> {
    this.#begin(`A device on Device OS ${oldRelease}`, 'make the device')
    const dir = join(this.#folder, 'device')
    const release = join(this.#folder, 'cloud', 'device-os', oldRelease)
    const made = await aloe(client, ['device', 'create', '--dir', dir, '--name', 'thermostat', '--release', release])
    const deviceId = String(made.id)
    const protocol = String(made.protocol).toUpperCase()
    this.#stage.done(`aloe device create: ${deviceId}, its key is registered and the device is claimed`)
    this.#events = await openEvents(client, { deviceId: 'mine' })
    this.#step = 'connect the device'
    const online = this.#until('spark/status', (data) => data === 'online')
    this.#device = runDevice({
      dir,
      onLed: (led) => {
        this.#shown.add(led.words)
        this.#stage.led(led)
      },
      onLog: ({ from, category, message }) => this.#deviceLog.push(`${category ?? from}  ${printable(message)}`),
    })
    await online
    await this.#led('breathing cyan')
    this.#stage.done(`connected over ${protocol}: key and identity proven, everything encrypted`)
    return deviceId
  }

  async #flash(client: CloudClient, deviceId: string): Promise<Sent[]> {
    const { colors } = this.#output
    const { particle } = client
    this.#begin(`An application for Device OS ${newRelease}`, 'compile the application')
    const files = await collectSources([application])
    const began = performance.now()
    const built: Readonly<Record<string, unknown>> = {
      ...(await particle.compileCode({ files, platformId: 43, targetVersion: newRelease })).body,
    }
    const binaryId = String(built.binary_id)
    const module: unknown = await particle.downloadFirmwareBinary({ binaryId })
    if (!Buffer.isBuffer(module)) throw new Error('the cloud did not answer with a module')
    this.#stage.done(
      `examples/thermostat: type-checked against ${newRelease}, ${bytes(module.length)} ${this.#since(began)}`,
    )
    this.#step = 'flash the application'
    const sent = this.#watchUpdate(deviceId)
    sent.catch(() => {})
    await particle.flashDevice({ deviceId, files: { 'thermostat.bin': module } })
    this.#stage.note(`flashed over the air; the device runs ${colors.bold(oldRelease)}`)
    return await sent
  }

  /** Follows the update by what the cloud publishes, until the device is healed. */
  async #watchUpdate(deviceId: string): Promise<Sent[]> {
    const { colors } = this.#output
    const sent: Sent[] = []
    let label = ''
    let size = 0
    let began = performance.now()
    for (;;) {
      const event = await this.#next()
      const data = fields(event)
      switch (event.name) {
        case 'aloe/update/progress':
          label = labelOf(data.module)
          size = Number(data.total)
          this.#stage.progress(label.padEnd(19), Number(data.bytes), size)
          break
        case 'spark/flash/status':
          if (event.data?.startsWith('started')) began = performance.now()
          if (event.data?.startsWith('failed')) throw new Error(`${deviceId} did not take ${label}`)
          if (event.data?.startsWith('success')) {
            this.#shown.clear()
            sent.push({ label, size, seconds: (performance.now() - began) / 1000 })
            this.#stage.note(`${label} is in its staging area; the device resets and its bootloader applies it`)
            label = ''
          }
          break
        case 'spark/status/safe-mode':
          this.#step = 'heal the device'
          break
        case 'aloe/healer/planned': {
          const plan = labelsOf(data.plan)
          if (sent.length === 1) {
            this.#stage.chapter('Safe mode')
            await this.#led('breathing magenta')
            this.#stage.note(`the application does not run: ${labelsOf(data.missing).join(', ')} is missing`)
          }
          this.#stage.note(`plan: ${colors.magenta(plan.join(' → '))}`)
          break
        }
        case 'aloe/healer/healed':
          this.#stage.done('nothing is missing any more')
          return sent
        case 'aloe/healer/stopped':
          throw new Error(`the healer stopped: ${String(data.reason)}`)
        case 'aloe/update/failed':
          if (data.final === true) throw new Error(String(data.reason))
          break
        default:
          break
      }
    }
  }

  async #use({ particle }: CloudClient, deviceId: string): Promise<void> {
    this.#begin('The application runs', 'use the application')
    const event = await this.#until('climate', () => true)
    this.#stage.done(`event    climate ${event.data} ${this.#output.colors.dim('over server-sent events')}`)
    const called = await particle.callFunction({ deviceId, name: 'setTarget', argument: '23' })
    if (called.body.return_value !== 23) throw new Error(`setTarget returned ${called.body.return_value}`)
    this.#stage.done(`function setTarget("23") = ${called.body.return_value}`)
    const read = await particle.getVariable({ deviceId, name: 'target' })
    if (read.body.result !== 23) throw new Error(`the variable target is ${read.body.result}`)
    this.#stage.done(`variable target = ${read.body.result}`)
    const { body } = await particle.getDevice({ deviceId })
    const version = fields({ data: JSON.stringify(body) }).system_firmware_version
    if (version !== newRelease) throw new Error(`the device runs ${version}`)
    this.#stage.done(`the device runs Device OS ${version}`)
  }

  #summary(sent: readonly Sent[]): void {
    const { colors } = this.#output
    this.#stage.close()
    const total = sent.reduce((sum, { size }) => sum + size, 0)
    const seconds = (performance.now() - this.#started) / 1000
    if (this.#output.json) {
      this.#output.result({ ok: true, sent, bytes: total, seconds }, () => '')
      return
    }
    const rows = sent.map(({ label, size, seconds }) => [`   ${label}`, bytes(size), `${seconds.toFixed(2)} s`])
    this.#stage.line('')
    this.#stage.line(table([['   sent', 'size', 'transfer'], ...rows], colors))
    this.#stage.line('')
    this.#stage.line(
      colors.bold(
        `${sent.length} modules, ${bytes(total)}, ${sent.length} resets, ${seconds.toFixed(1)} s. No hands needed.`,
      ),
    )
  }

  #begin(title: string, step: string): void {
    this.#step = step
    this.#stage.chapter(title)
  }

  #since(began: number): string {
    return this.#output.colors.dim(`(${((performance.now() - began) / 1000).toFixed(1)} s)`)
  }

  async #next(): Promise<StreamEvent> {
    const event = await this.#events?.next(patience)
    if (event === undefined) throw new Error(`nothing was heard for ${patience / 1000} seconds`)
    return event
  }

  async #until(name: string, test: (data: string) => boolean): Promise<StreamEvent> {
    for (;;) {
      const event = await this.#next()
      if (event.name === name && test((event.data ?? '').trim())) return event
    }
  }

  /** Waits until the device's LED has shown it. */
  async #led(words: string): Promise<void> {
    const deadline = performance.now() + patience
    while (!this.#shown.has(words)) {
      if (performance.now() > deadline) throw new Error(`the LED shows ${this.#device?.status.led?.words}`)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}

/** Runs a command of `aloe` as a process, as a user would; its `--json` result. */
async function aloe(client: CloudClient, args: readonly string[]): Promise<Readonly<Record<string, unknown>>> {
  const { stdout } = await promisify(execFile)(process.execPath, [main, ...args, '--cloud', client.url, '--json'], {
    env: { ...process.env, ALOE_TOKEN: client.token },
  })
  return JSON.parse(stdout)
}

function fields({ data }: Pick<StreamEvent, 'data'>): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(data ?? '')
    return typeof value === 'object' && value !== null ? { ...value } : {}
  } catch {
    // Events of the device itself are text.
    return {}
  }
}

function labelOf(module: unknown): string {
  return typeof module === 'object' && module !== null && 'label' in module ? String(module.label) : 'module'
}

function labelsOf(modules: unknown): string[] {
  return Array.isArray(modules) ? modules.map(labelOf) : []
}
