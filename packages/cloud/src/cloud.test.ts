import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { createPublicKey } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, afterEach, before, describe, it } from 'node:test'
import { generateDeviceKey, generateEcKey } from '@aloe/protocol'
import { pino } from 'pino'
import { type Cloud, type CloudOptions, startCloud } from './cloud.ts'
import type { FakeUdpChannel } from './gateway/fake-channel.ts'
import { FakeDevice, type FakeDeviceOptions, linuxApplication, linuxSystem } from './gateway/fake-device.ts'
import { lastingUdpPort } from './gateway/lasting-port.ts'
import { until } from './gateway/until.ts'
import { writeReleaseFolder } from './updates/catalogue-fixture.ts'

const logger = pino({ level: process.env.ALOE_LOG_LEVEL ?? 'silent' })
const password = 'a password for tests'

/** What a test knows of a cloud: where it is. */
interface Place {
  readonly httpUrl: string
  readonly tcpPort: number
  readonly udpPort: number
}

interface Ports {
  readonly httpPort?: number
  readonly tcpPort?: number
  readonly udpPort?: number
}

function portsOf({ httpUrl, tcpPort, udpPort }: Place): Ports {
  return { httpPort: Number(new URL(httpUrl).port), tcpPort, udpPort }
}

async function login({ httpUrl }: Place, username = 'admin'): Promise<string> {
  const body = new URLSearchParams({
    grant_type: 'password',
    username,
    password,
    client_id: 'particle',
    client_secret: 'particle',
  })
  const response = await fetch(`${httpUrl}/oauth/token`, { method: 'POST', body })
  assert.equal(response.status, 200)
  return ((await response.json()) as { access_token: string }).access_token
}

// biome-ignore lint/suspicious/noExplicitAny: tests look into answers freely
async function ask({ httpUrl }: Place, token: string, method: string, path: string, json?: object): Promise<any> {
  const response = await fetch(httpUrl + path, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(json && { 'content-type': 'application/json' }) },
    ...(json && { body: JSON.stringify(json) }),
  })
  return { status: response.status, body: await response.json() }
}

describe('a cloud', () => {
  let folder: string
  let releases: string
  let cloud: Cloud | undefined
  let device: FakeDevice | undefined
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'aloe-cloud-'))
    releases = join(folder, 'releases')
    await writeReleaseFolder(releases, { version: '1.0.0', systemVersion: 1_000, bootloaderVersion: 100 })
    await writeReleaseFolder(releases, { version: '2.0.0', systemVersion: 2_000, bootloaderVersion: 200 })
  })
  after(() => rm(folder, { recursive: true }))
  afterEach(async () => {
    device?.stop()
    device = undefined
    await cloud?.close()
    cloud = undefined
  })

  function options(name: string): CloudOptions {
    const admin = { username: 'admin', password }
    return { dataDir: join(folder, name), httpPort: 0, tcpPort: 0, udpPort: 0, releases: [releases], admin, logger }
  }

  it('starts with nothing but a folder, on free ports, and says how to come in', async () => {
    const { admin: _, ...rest } = options('first')
    cloud = await startCloud(rest)
    assert.match(cloud.httpUrl, /^http:\/\/127\.0\.0\.1:\d+$/)
    assert.ok(cloud.tcpPort > 0)
    assert.ok(cloud.udpPort > 0)
    assert.match(cloud.adminPassword ?? '', /^.{16,}$/)
    assert.equal((await fetch(`${cloud.httpUrl}/health`)).status, 200)
    // biome-ignore lint/suspicious/noExplicitAny: tests look into answers freely
    const found: any = await (await fetch(`${cloud.httpUrl}/.well-known/aloe`)).json()
    assert.equal(found.tcp.port, cloud.tcpPort)
    assert.equal(found.udp.port, cloud.udpPort)
    assert.match(found.keys.tcp.publicKey, /BEGIN PUBLIC KEY/)
    await cloud.close()
    cloud = await startCloud(rest)
    assert.equal(cloud.adminPassword, undefined)
    // biome-ignore lint/suspicious/noExplicitAny: tests look into answers freely
    const again: any = await (await fetch(`${cloud.httpUrl}/.well-known/aloe`)).json()
    assert.equal(again.keys.tcp.publicKey, found.keys.tcp.publicKey)
  })

  it('leaves nothing open when it cannot start', async () => {
    cloud = await startCloud(options('taken'))
    const other = { ...options('other'), tcpPort: cloud.tcpPort }
    await assert.rejects(startCloud(other), { code: 'EADDRINUSE' })
    await assert.rejects(startCloud({ ...other, tcpPort: 0, udpPort: cloud.udpPort }), { code: 'EADDRINUSE' })
    await assert.rejects(startCloud(options('taken')), { code: 'in-use' })
    const second = await startCloud({ ...other, tcpPort: 0 })
    await second.close()
  })

  it('heals a device for the application that its owner flashed', async () => {
    cloud = await startCloud({ ...options('heal'), openEnrolment: true, limits: { updates: { settle: 10 } } })
    const token = await login(cloud)
    const id = '422b00000000000000000001'
    // biome-ignore lint/suspicious/noExplicitAny: tests look into answers freely
    const found: any = await (await fetch(`${cloud.httpUrl}/.well-known/aloe`)).json()
    device = new FakeDevice({
      id,
      port: cloud.tcpPort,
      deviceKey: await generateDeviceKey(),
      serverKey: createPublicKey(found.keys.tcp.publicKey),
      modules: [...linuxSystem(1_000, 100), linuxApplication(1_000)],
      functions: { double: (argument) => 2 * Number(argument) },
      reconnect: 20,
    }).start()
    await until(() => device?.reports === 1)
    assert.equal((await ask(cloud, token, 'POST', '/v1/devices', { id })).status, 200)
    const form = new FormData()
    form.append('file', new Blob([linuxApplication(2_000)]), 'application.bin')
    const flashed = await fetch(`${cloud.httpUrl}/v1/devices/${id}`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${token}` },
      body: form,
    })
    assert.equal(flashed.status, 200)
    await until(() => device?.versions.includes('system_part 2@2000') && device.log.at(-1) === 'normal')
    const shown = await ask(cloud, token, 'GET', `/v1/devices/${id}`)
    assert.equal(shown.body.system_firmware_version, '2.0.0')
    const called = await ask(cloud, token, 'POST', `/v1/devices/${id}/double`, { arg: '21' })
    assert.equal(called.body.return_value, 42)
  })

  describe('that is killed', () => {
    const program = `
      import { startCloud } from ${JSON.stringify(new URL('./cloud.ts', import.meta.url).href)}
      const { httpUrl, tcpPort, udpPort } = await startCloud(JSON.parse(process.argv[1]))
      console.log(JSON.stringify({ httpUrl, tcpPort, udpPort }))`
    let child: ChildProcess | undefined
    afterEach(() => kill())

    async function spawnCloud(name: string, ports: Ports = {}): Promise<Place> {
      const { logger: _, ...plain } = options(name)
      const limits = { updates: { settle: 10 } }
      const given = { ...plain, ...ports, openEnrolment: true, logLevel: 'error', limits }
      child = spawn(process.execPath, ['--input-type=module', '-e', program, JSON.stringify(given)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const stdout = child.stdout
      assert.ok(stdout)
      for await (const line of createInterface({ input: stdout })) return JSON.parse(line) as Place
      throw new Error('the cloud did not start')
    }

    async function kill(): Promise<void> {
      const killed = child
      if (!killed) return
      killed.kill('SIGKILL')
      if (killed.exitCode === null && killed.signalCode === null) await once(killed, 'exit')
    }

    it('has lost nothing that it had answered with success', async () => {
      let place = await spawnCloud('killed')
      const token = await login(place)
      const { publicKey } = await import('node:crypto').then((crypto) =>
        crypto.generateKeyPairSync('rsa', { modulusLength: 1_024 }),
      )
      const pem = publicKey.export({ type: 'spki', format: 'pem' }).toString()
      const names = new Map<string, string>()
      const tokens: string[] = []
      for (let round = 0; round < 3; round++) {
        let stop = false
        const work = (async () => {
          for (let n = 0; !stop; n++) {
            const id = `422b${round.toString(16).padStart(4, '0')}${n.toString(16).padStart(16, '0')}`
            const provision = { deviceID: id, publicKey: pem, filename: 'cli', order: 'manual_1', algorithm: 'rsa' }
            try {
              if ((await ask(place, token, 'POST', `/v1/provisioning/${id}`, provision)).status !== 200) continue
              if ((await ask(place, token, 'POST', '/v1/devices', { id })).status !== 200) continue
              const name = `device-${round}-${n}`
              if ((await ask(place, token, 'PUT', `/v1/devices/${id}`, { name })).status === 200) names.set(id, name)
              if (n % 3 === 0) tokens.push(await login(place))
            } catch {
              return // killed in the middle of an answer
            }
          }
        })()
        const before = names.size
        await until(() => names.size >= before + 4)
        await kill()
        stop = true
        await work
        place = await spawnCloud('killed')
      }
      assert.ok(names.size >= 12)
      for (const [id, name] of names) {
        assert.equal((await ask(place, token, 'GET', `/v1/devices/${id}`)).body.name, name)
      }
      for (const one of tokens) assert.equal((await ask(place, one, 'GET', '/v1/user')).status, 200)
      await kill()
    })

    for (const transport of ['tcp', 'udp'] as const) {
      it(`goes on with a flash that the device had accepted, and with the healing after it, on ${transport}`, async () => {
        const folderName = `killed-in-update-${transport}`
        const place = await spawnCloud(folderName, { udpPort: await lastingUdpPort() })
        const token = await login(place)
        const made = await deviceAt(place, transport)
        device = made.start()
        await until(() => made.reports === 1)
        await ask(place, token, 'POST', '/v1/devices', { id })
        // On UDP nothing tells the device that the cloud is gone: the cloud must come back to it.
        if (transport === 'tcp') made.breakAfter = 100_000
        const form = new FormData()
        form.append('file', new Blob([linuxApplication(2_000, 400_000)]), 'application.bin')
        const headers = { authorization: `Bearer ${token}` }
        const init = { method: 'PUT', headers, body: form }
        assert.equal((await fetch(`${place.httpUrl}/v1/devices/${id}`, init)).status, 200)
        await kill()
        await spawnCloud(folderName, portsOf(place))
        await until(() => made.log.includes('took bootloader 0@200'), 20_000)
        await kill()
        await spawnCloud(folderName, portsOf(place))
        await until(() => made.log.at(-1) === 'normal' && made.versions.includes('system_part 2@2000'), 20_000)
        const { body } = await ask(place, token, 'GET', `/v1/devices/${id}/aloe/updates`)
        await until(() => body.jobs)
        await kill()
      })
    }

    it('goes on with sessions on UDP: nothing that was acknowledged is lost, and no number used twice', async () => {
      let place = await spawnCloud('killed-sessions', { udpPort: await lastingUdpPort() })
      const token = await login(place)
      const made = await deviceAt(place, 'udp', { functions: { double: (argument) => 2 * Number(argument) } })
      device = made.start()
      const settled = () => until(() => made.session?.ready && made.session.unacknowledged === 0)
      await until(() => made.reports === 1)
      await settled()
      await ask(place, token, 'POST', '/v1/devices', { id })
      const channel = made.channel as FakeUdpChannel
      for (let round = 0; round < 4; round++) {
        made.session?.subscribe(`round-${round}`, {}, performance.now())
        await settled()
        await kill()
        place = await spawnCloud('killed-sessions', portsOf(place))
        made.publish('here', 'I am')
        await settled()
        await until(async () => (await ask(place, token, 'GET', `/v1/devices/${id}`)).body.online)
        for (let known = 0; known <= round; known++) {
          await ask(place, token, 'POST', '/v1/devices/events', { name: `round-${known}`, data: String(round) })
        }
        await until(() => made.events.filter(({ data }) => data === String(round)).length === round + 1)
        const called = await ask(place, token, 'POST', `/v1/devices/${id}/double`, { arg: '21' })
        assert.equal(called.body.return_value, 42)
      }
      const { body } = await ask(place, token, 'GET', '/v1/aloe/gateway')
      assert.equal(body.udp.handshakes.started, 0)
      assert.equal(body.udp.sessions.resumed, 1)
      const numbers = channel.received
        .filter((d) => d[4] === 1)
        .map((d) => Buffer.from(d.subarray(3, 11)).toString('hex'))
      assert.equal(new Set(numbers).size, numbers.length)
      await kill()
    })

    const id = '422b00000000000000000001'

    async function deviceAt(
      place: Place,
      transport: 'tcp' | 'udp',
      more: Partial<FakeDeviceOptions> = {},
    ): Promise<FakeDevice> {
      // biome-ignore lint/suspicious/noExplicitAny: tests look into answers freely
      const found: any = await (await fetch(`${place.httpUrl}/.well-known/aloe`)).json()
      return new FakeDevice({
        id,
        transport,
        port: transport === 'tcp' ? place.tcpPort : place.udpPort,
        deviceKey: await (transport === 'tcp' ? generateDeviceKey() : generateEcKey()),
        serverKey: createPublicKey(found.keys[transport].publicKey),
        modules: [...linuxSystem(1_000, 100), linuxApplication(1_000)],
        reconnect: 20,
        ...more,
      })
    }
  })
})
