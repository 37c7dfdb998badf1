/**
 * Updates as an owner asks for them, with a real cloud, its API, and devices in memory whose code is the code in their
 * modules: an application with assets, a downgrade in one action and the way forward again, stopped in the middle.
 */
import assert from 'node:assert/strict'
import { createPublicKey } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Cloud, startCloud } from '@aloe/cloud'
import { buildReleases, Flash, MemoryDevice, MemoryStorage, type ReleaseFolder } from '@aloe/device-os'
import { buildBundle, buildModule, platformByName } from '@aloe/firmware'

const linux = platformByName('linux')
assert.ok(linux)
const platform = linux
const folder = mkdtempSync(join(tmpdir(), 'aloe-updates-'))
const password = 'a password for tests'
const patience = 30_000

/** Reads what came with it, and lets it be read. */
const reader = `
const { Particle, System } = require('device-os')
let text = ''
exports.setup = async () => {
  Particle.variable('sound', () => text)
  const names = (await System.assetsAvailable()).map(({ name }) => name)
  const bytes = await System.readAsset('sound.txt')
  text = names.join() + ' ' + Buffer.from(bytes).toString().slice(0, 5) + ' ' + (await System.readAsset('none'))
}
exports.loop = () => {}
`
const idle = 'exports.setup = () => {}\nexports.loop = () => {}\n'

function application(needs: number, text: string, code = idle): Uint8Array {
  return buildModule({
    platformId: platform.id,
    function: 'user_part',
    index: 1,
    version: 6,
    dependencies: [{ function: 'system_part', index: 2, version: needs }],
    body: Buffer.from(`// ${text}\n${code}`),
  })
}

describe('updates of a device in memory', () => {
  let releases: readonly ReleaseFolder[]
  let cloud: Cloud
  let token = ''
  let device: MemoryDevice
  let storage: MemoryStorage
  let id = ''

  before(async () => {
    releases = await buildReleases(join(folder, 'releases'))
    cloud = await startCloud({
      dataDir: join(folder, 'cloud'),
      httpPort: 0,
      tcpPort: 0,
      udpPort: 0,
      admin: { username: 'ada', password },
      openEnrolment: true,
      releases: releases.map(({ dir }) => dir),
      logLevel: process.env.ALOE_LOG_LEVEL ?? 'silent',
      limits: { updates: { settle: 50 } },
    })
    const form = new URLSearchParams({
      ...{ grant_type: 'password', username: 'ada', password },
      ...{ client_id: 'particle', client_secret: 'particle' },
    })
    const answer = await fetch(`${cloud.httpUrl}/oauth/token`, { method: 'POST', body: form })
    token = ((await answer.json()) as { access_token: string }).access_token
    const { keys } = (await (await fetch(`${cloud.httpUrl}/.well-known/aloe`)).json()) as {
      keys: { udp: { publicKey: string } }
    }
    storage = new MemoryStorage()
    device = new MemoryDevice({
      release: releases.at(-1) ?? '',
      application: application(2_000, 'first'),
      storage,
      udpServerKey: createPublicKey(keys.udp.publicKey).export({ type: 'spki', format: 'der' }),
      udpServerAddress: { type: 'ipv4', address: '127.0.0.1', port: cloud.udpPort },
    })
    id = device.id
    device.start()
    await until(async () => (await ask('POST', '/v1/devices', { id })).status === 200)
    await until(async () => (await ask('GET', `/v1/devices/${id}`)).body.connected)
  })
  after(async () => {
    await device?.stop(false)
    await cloud?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  async function until(probe: () => Promise<unknown>): Promise<void> {
    const end = performance.now() + patience
    while (!(await probe())) {
      if (performance.now() > end) assert.fail(`this did not become so: ${probe}\n${await story()}`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers freely
  async function ask(method: string, path: string, body?: object): Promise<{ status: number; body: any }> {
    const isForm = body instanceof FormData
    const response = await fetch(cloud.httpUrl + path, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body && !isForm && { 'content-type': 'application/json' }),
      },
      ...(body && { body: isForm ? body : JSON.stringify(body) }),
    })
    return { status: response.status, body: await response.json() }
  }

  const jobs = async () => (await ask('GET', `/v1/devices/${id}/aloe/updates`)).body.jobs
  const isOver = async () => (await ask('GET', `/v1/devices/${id}/aloe/updates`)).body.active === null
  const installed = () => new Flash(storage, platform).installed().map((module) => module.version)

  async function story(): Promise<string> {
    const [last] = (await jobs()) ?? []
    return last
      ? JSON.stringify((await ask('GET', `/v1/devices/${id}/aloe/updates/${last.id}`)).body, undefined, 1)
      : ''
  }

  function upload(name: string, file: Uint8Array, fields: Record<string, string> = {}): FormData {
    const form = new FormData()
    for (const [key, value] of Object.entries(fields)) form.append(key, value)
    form.append('file', new Blob([Uint8Array.from(file)]), name)
    return form
  }

  it('bring an application and its assets', async () => {
    const assets = [
      { name: 'logo.txt', data: Buffer.alloc(30_000, 'Aloe vera ') },
      { name: 'sound.txt', data: Buffer.alloc(20_000, 'la la la ') },
    ]
    const data = application(2_000, 'with assets', reader)
    const bundle = buildBundle({ application: { name: 'app.bin', data }, assets })
    const { status, body } = await ask('PUT', `/v1/devices/${id}`, upload('app.zip', bundle))
    assert.equal(status, 200, JSON.stringify(body))
    await until(
      async () => (await isOver()) && device.status.decision?.mode === 'normal' && (await jobs()).length === 2,
    )
    const flash = new Flash(storage, platform)
    assert.deepEqual(
      flash.assets.list().map(({ name }) => name),
      ['logo.txt', 'sound.txt'],
    )
    assert.deepEqual(Buffer.from(flash.assets.read('sound.txt') ?? []), assets[1]?.data)
    const [heal, flashed] = await jobs()
    assert.deepEqual([heal.kind, heal.state, flashed.kind, flashed.state], ['heal', 'done', 'flash', 'done'])
    assert.ok(heal.bytes < 5_000, `assets are sent compressed: ${heal.bytes}`)
    const read = async () => (await ask('GET', `/v1/devices/${id}/sound`)).body.result
    await until(read)
    assert.equal(await read(), 'logo.txt,sound.txt la la undefined')
  })

  it('go back in one action', async () => {
    const form = upload('older.bin', application(1_101, 'older'), { target: '1.1.0', downgrade: 'true' })
    const preview = await ask('POST', `/v1/devices/${id}/aloe/updates/preview`, form)
    assert.equal(preview.body.cost.modules, 3, JSON.stringify(preview.body))
    const { status } = await ask('POST', `/v1/devices/${id}/aloe/updates`, form)
    assert.equal(status, 202)
    await until(isOver)
    assert.deepEqual(installed(), [200, 1_101, 1_101, 6])
    assert.equal((await jobs())[0].state, 'done', await story())
  })

  it('go forward again, and stop when they are told to', async () => {
    const started = await ask('POST', `/v1/devices/${id}/aloe/updates`, { target: '2.0.0' })
    assert.equal(started.body.job.estimate.modules, 2)
    await until(async () => (await jobs())[0].sent.length === 1)
    const stopped = await ask('DELETE', `/v1/devices/${id}/aloe/updates/${started.body.job.id}`)
    assert.equal(stopped.body.job.state, 'cancelled')
    await until(async () => installed()[1] === 2_000)
    await until(async () => (await ask('GET', `/v1/devices/${id}`)).body.connected)
    assert.equal(installed()[2], 1_101)
    await ask('POST', `/v1/devices/${id}/aloe/updates`, { target: '2.0.0' })
    await until(async () => (await isOver()) && installed()[2] === 2_000)
    const { body } = await ask('GET', `/v1/devices/${id}/aloe/data`)
    const sent = (await jobs()).reduce((sum: number, job: { bytes: number }) => sum + job.bytes, 0)
    const counted = body.months[0].ota.sent
    assert.ok(counted > sent && counted < 1.3 * sent + 5_000, `${counted} bytes for ${sent} of files`)
  })
})
