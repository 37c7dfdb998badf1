/** What the official clients are pointed at: a cloud, two devices that run an application, and somebody else. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Cloud, type CloudOptions, startCloud } from '@aloe/cloud'
import { buildReleases, devicePublicKeyPem, MemoryDevice } from '@aloe/device-os'
import Particle from 'particle-api-js'

/** A function, variables of each type, events in both directions, and a memory that shows what came. */
export const application = `
import { Particle } from 'device-os'
let led = 'off'
let heard = ''
export function setup(): void {
  Particle.variable('count', () => 42)
  Particle.variable('temp', () => 21.5)
  Particle.variable('on', () => led === 'on')
  Particle.variable('led', () => led)
  Particle.variable('heard', () => heard)
  Particle.function('led', (argument) => {
    led = argument
    void Particle.publish('judge/led', argument)
    return argument === 'on' ? 1 : 0
  })
  Particle.subscribe('judge/hear', (name, data) => {
    heard = name + '=' + data
  })
}
`

/** The same, grown by one function: to see that a flash took. */
export const newerApplication = application.replace(
  "Particle.function('led'",
  "Particle.function('newer', () => 7)\n  Particle.function('led'",
)

export interface World {
  readonly folder: string
  readonly cloud: Cloud
  readonly url: string
  readonly owner: { readonly username: string; readonly password: string; readonly particle: Particle }
  readonly token: string
  /** Online, claimed by the owner, running `application`. */
  readonly alpha: MemoryDevice
  readonly beta: MemoryDevice
  /** `application` as a module file. */
  readonly module: Uint8Array
  /** A device that runs nothing yet: its key is not registered. */
  newDevice(): MemoryDevice
  /** Registers the device's key, claims and names it, for the owner unless told otherwise. */
  adopt(device: MemoryDevice, name: string, by?: Particle): Promise<void>
  /** Somebody else: makes the user at the first call. */
  stranger(): Promise<Particle>
  /** Ends everything. */
  close(): Promise<void>
}

const patience = 30_000

/** Waits until `look` gives something; the last refusal is in the error. */
export async function eventually<T>(what: string, look: () => Promise<T | undefined | false>): Promise<T> {
  const until = performance.now() + patience
  let last: unknown
  while (performance.now() < until) {
    try {
      const found = await look()
      if (found !== undefined && found !== false) return found
    } catch (error) {
      last = error
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`in ${patience / 1_000} s it did not happen that ${what}`, { cause: last })
}

export async function createWorld(options: Partial<CloudOptions> = {}): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), 'aloe-conformance-'))
  const releases = await buildReleases(join(folder, 'releases'))
  const account = { username: 'owner@aloe.test', password: 'correct horse battery' }
  const cloud = await startCloud({
    dataDir: join(folder, 'data'),
    httpPort: 0,
    tcpPort: 0,
    udpPort: 0,
    admin: account,
    releases: releases.map(({ dir }) => dir),
    logLevel: process.env.ALOE_LOG_LEVEL ?? 'silent',
    ...options,
  })
  const url = cloud.httpUrl
  const { body } = await new Particle({ baseUrl: url }).login(account)
  const token = body.access_token
  const particle = new Particle({ baseUrl: url, auth: token })
  const keys = await serverKey(url)
  const devices: MemoryDevice[] = []
  const newDevice = (application?: Uint8Array): MemoryDevice => {
    const device = new MemoryDevice({
      release: releases.find(({ manifest }) => manifest.version === '1.1.0') ?? failed('there is no release 1.1.0'),
      udpServerKey: keys,
      udpServerAddress: { type: 'ipv4', address: '127.0.0.1', port: cloud.udpPort },
      ...(application && { application }),
      loopInterval: 20,
    })
    devices.push(device)
    return device
  }
  const adopt = async (device: MemoryDevice, name: string, by = particle): Promise<void> => {
    const { udpDeviceKey } = device.flash.config
    const key = devicePublicKeyPem(udpDeviceKey ?? failed('the device has no key'), 'udp')
    await by.sendPublicKey({ deviceId: device.id, key, algorithm: 'ecc' })
    await by.claimDevice({ deviceId: device.id })
    await by.renameDevice({ deviceId: device.id, name })
  }

  let other: Promise<Particle> | undefined
  const makeStranger = async (): Promise<Particle> => {
    const user = { username: 'stranger@aloe.test', password: 'not the owner of it' }
    await particle.post({ uri: '/v1/users', auth: token, data: user })
    const { access_token } = (await new Particle({ baseUrl: url }).login(user)).body
    return new Particle({ baseUrl: url, auth: access_token })
  }

  const compiled = await particle.compileCode({
    files: { 'src/index.ts': Buffer.from(application) },
    platformId: 43,
    targetVersion: '1.1.0',
  })
  const binary: unknown = await particle.downloadFirmwareBinary({ binaryId: (compiled.body as Binary).binary_id })
  const module = Buffer.isBuffer(binary) ? binary : failed('the cloud did not answer with a module')
  const running = async (name: string): Promise<MemoryDevice> => {
    const device = newDevice(module)
    await adopt(device, name)
    device.start()
    await eventually(`${name} says what it has`, async () => {
      const answer = (await particle.getDevice({ deviceId: name })).body
      return answer.connected === true && (answer.functions ?? []).includes('led')
    })
    return device
  }
  const [alpha, beta] = await Promise.all([running('alpha'), running('beta')])
  return {
    folder,
    cloud,
    url,
    token,
    owner: { ...account, particle },
    alpha,
    beta,
    module,
    newDevice,
    adopt,
    stranger() {
      other ??= makeStranger()
      return other
    },
    async close() {
      await Promise.all(devices.map((device) => device.stop(false)))
      await cloud.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

interface Binary {
  readonly binary_id: string
}

async function serverKey(url: string): Promise<Uint8Array> {
  const found = (await (await fetch(`${url}/.well-known/aloe`)).json()) as { keys: { udp: { publicKey: string } } }
  const { createPublicKey } = await import('node:crypto')
  return createPublicKey(found.keys.udp.publicKey).export({ type: 'spki', format: 'der' })
}

function failed(why: string): never {
  throw new Error(why)
}

/** A file with this text in the world's folder. */
export function file(world: World, name: string, content: string | Uint8Array): string {
  const path = join(world.folder, name)
  writeFileSync(path, content)
  return path
}
