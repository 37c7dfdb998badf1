/** A product, a device in memory, and a release that it gets from a real cloud: with `aloe product` and `aloe release`. */
import assert from 'node:assert/strict'
import { createPublicKey } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Cloud, startCloud } from '@aloe/cloud'
import { buildReleases, MemoryDevice } from '@aloe/device-os'
import { buildModule, platformByName } from '@aloe/firmware'
import { type AloeResult, runAloe } from './aloe-process.ts'

const password = 'correct horse'

/** @param system the system part 2 that it needs */
function application(version: number, system: number): Uint8Array {
  const linux = platformByName('linux')
  assert.ok(linux)
  return buildModule({
    platformId: linux.id,
    function: 'user_part',
    index: 1,
    version: 1,
    dependencies: [{ function: 'system_part', index: 2, version: system }],
    body: Buffer.from(`exports.setup = () => { globalThis.version = ${version} }`),
  })
}

describe('a release on the command line', () => {
  const folder = mkdtempSync(join(tmpdir(), 'aloe-release-'))
  let cloud: Cloud
  let device: MemoryDevice
  const aloe = (...args: string[]): Promise<AloeResult> =>
    runAloe(args, { env: { HOME: join(folder, 'home'), ALOE_CLOUD: cloud.httpUrl }, cwd: folder })
  const json = async (...args: string[]) => {
    const result = await aloe(...args, '--json')
    assert.equal(result.code, 0, result.err)
    return JSON.parse(result.out)
  }

  before(async () => {
    mkdirSync(join(folder, 'home'))
    const releases = await buildReleases(join(folder, 'releases'))
    cloud = await startCloud({
      dataDir: join(folder, 'cloud'),
      httpPort: 0,
      tcpPort: 0,
      udpPort: 0,
      openEnrolment: true,
      releases: releases.map(({ dir }) => dir),
      admin: { username: 'ada', password },
      logLevel: 'silent',
    })
    const about = (await (await fetch(`${cloud.httpUrl}/.well-known/aloe`)).json()) as {
      keys: { tcp: { publicKey: string } }
    }
    device = new MemoryDevice({
      // The oldest: the second version needs a newer one.
      release: releases[0] ?? '',
      application: application(1, 1_000),
      serverKey: createPublicKey(about.keys.tcp.publicKey).export({ type: 'spki', format: 'der' }),
      serverAddress: { type: 'ipv4', address: '127.0.0.1', port: cloud.tcpPort },
    })
  })
  after(async () => {
    await device?.stop(false).catch(() => undefined)
    await cloud?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  it('is asked about, made, watched, and done when the application runs', { timeout: 180_000 }, async () => {
    assert.equal((await aloe('login', '-u', 'ada', '-p', password)).code, 0)
    const product = await json('product', 'create', 'Garden lamps')
    assert.equal(product.slug, 'garden-lamps')
    assert.match((await aloe('product', 'list')).out, /garden-lamps +Garden lamps +linux/)
    device.start()
    const login = new URLSearchParams({ grant_type: 'password', username: 'ada', password, client_id: 'particle' })
    login.set('client_secret', 'particle')
    const answer = await fetch(`${cloud.httpUrl}/oauth/token`, { method: 'POST', body: login })
    const { access_token: token } = (await answer.json()) as { access_token: string }
    const headers = { authorization: `Bearer ${token}` }
    const base = `${cloud.httpUrl}/v1/products/${product.slug}`
    for (const version of [1, 2]) {
      const form = new FormData()
      form.set('version', String(version))
      form.set('file', new Blob([Uint8Array.from(application(version, 1_000 * version))]), 'firmware.bin')
      assert.equal((await fetch(`${base}/firmware`, { method: 'POST', headers, body: form })).status, 201)
    }
    const imported = await fetch(`${base}/devices`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify({ id: device.id }),
    })
    assert.equal(imported.status, 200, await imported.text())
    const settings = await fetch(base, {
      method: 'PUT',
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify({ product: { settings: { release_untested: true } } }),
    })
    assert.equal(settings.status, 200, await settings.text())
    while ((await json('release', 'preview', 'garden-lamps', '2')).when['next-connection'] !== 1) {
      // Until it has said what it has.
    }
    const preview = (await aloe('release', 'preview', 'garden-lamps', '2', '--intelligent')).out
    assert.match(preview, /Version 2 goes to 1 device\n +1 at once/)
    assert.match(preview, /1 device with version 1, .*Device OS 1\.0\.0/)
    assert.match(preview, /application → bootloader 0@200 \(2\.0\.0\) → system_part 1@2000/)

    const asked = await aloe('release', 'create', 'garden-lamps', '2')
    assert.match(asked.err, /Give the answer with --yes/)
    const made = await aloe('release', 'create', 'garden-lamps', '2', '--intelligent', '--yes', '--wait')
    assert.equal(made.code, 0, made.err)
    assert.match(made.out, /version 2 to all: complete, 1 of 1 run it/)
    const shown = await fetch(`${base}/devices/${device.id}`, { headers })
    assert.equal(((await shown.json()) as { firmware_version: number }).firmware_version, 2)
    const listed = await aloe('release', 'list', 'garden-lamps', '2', '--state', 'done')
    assert.match(listed.out, new RegExp(`${device.id} +done`))
    assert.match((await aloe('release', 'stop', 'garden-lamps')).out, /version 2 to all: stopped/)
    assert.match((await aloe('release', 'resume', 'garden-lamps')).err, /stopped: it cannot be resumed/)
    assert.match((await aloe('release', 'list', 'garden-lamps')).out, /version 2 to all: stopped, 1 of 1 run it/)
    await device.stop(false)
  })
})
