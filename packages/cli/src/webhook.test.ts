/** A device in memory publishes, a real web server answers, and the device gets what it said: with `aloe webhook`. */
import assert from 'node:assert/strict'
import { createPublicKey } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Cloud, startCloud } from '@aloe/cloud'
import { buildReleases, MemoryDevice } from '@aloe/device-os'
import { buildModule, platformByName } from '@aloe/firmware'
import { type AloeResult, runAloe } from './aloe-process.ts'

const password = 'correct horse'

/** Publishes every second until it has got an answer; a variable says what it got. */
const application = `
const { Particle } = require('device-os')
let got = ''
let last = 0
exports.setup = () => {
  Particle.variable('got', () => got)
  Particle.subscribe('hook-response/temp', (name, data) => { got += name + '=' + data + ';' })
  Particle.subscribe('hook-error/temp', (name, data) => { got += name + '=' + data + ';' })
}
exports.loop = () => {
  if (!Particle.connected() || got !== '' || Date.now() - last < 1000) return
  last = Date.now()
  Particle.publish('temp/kitchen', '{"c":21.5}')
}
`

describe('a device and a webhook', () => {
  const folder = mkdtempSync(join(tmpdir(), 'aloe-webhook-'))
  const bodies: string[] = []
  let status = 200
  let server: Server
  let cloud: Cloud
  let device: MemoryDevice
  let target: string
  const aloe = (...args: string[]): Promise<AloeResult> =>
    runAloe(args, { env: { HOME: join(folder, 'home'), ALOE_CLOUD: cloud.httpUrl }, cwd: folder })
  const json = async (...args: string[]) => {
    const result = await aloe(...args, '--json')
    assert.equal(result.code, 0, result.err)
    return JSON.parse(result.out)
  }

  before(async () => {
    mkdirSync(join(folder, 'home'))
    server = createServer(async (request, response) => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk as Buffer)
      bodies.push(Buffer.concat(chunks).toString())
      response.writeHead(status).end('{"answer":"42"}')
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    target = `http://127.0.0.1:${(server.address() as AddressInfo).port}/in`
    const releases = await buildReleases(join(folder, 'releases'))
    cloud = await startCloud({
      dataDir: join(folder, 'cloud'),
      httpPort: 0,
      tcpPort: 0,
      udpPort: 0,
      openEnrolment: true,
      releases: releases.map(({ dir }) => dir),
      admin: { username: 'ada', password },
      allowPrivateWebhooks: true,
      logLevel: 'silent',
      limits: { integrations: { attempts: 1 } },
    })
    const about = (await (await fetch(`${cloud.httpUrl}/.well-known/aloe`)).json()) as {
      keys: { tcp: { publicKey: string } }
    }
    const linux = platformByName('linux')
    assert.ok(linux)
    device = new MemoryDevice({
      release: releases.at(-1) ?? '',
      application: buildModule({
        platformId: linux.id,
        function: 'user_part',
        index: 1,
        version: 1,
        dependencies: [{ function: 'system_part', index: 2, version: 2_000 }],
        body: Buffer.from(application),
      }),
      serverKey: createPublicKey(about.keys.tcp.publicKey).export({ type: 'spki', format: 'der' }),
      serverAddress: { type: 'ipv4', address: '127.0.0.1', port: cloud.tcpPort },
    })
  })
  after(async () => {
    await device?.stop(false).catch(() => undefined)
    await cloud?.close()
    server?.closeAllConnections()
    server?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  it('speak with each other', { timeout: 90_000 }, async () => {
    assert.equal((await aloe('login', '-u', 'ada', '-p', password)).code, 0)
    const made = await json(
      'webhook',
      'create',
      'temp',
      target,
      '--body',
      '{"c":{{{c}}},"of":"{{PARTICLE_DEVICE_ID}}"}',
    )
    assert.match(made.id, /^[0-9a-f]{24}$/)
    const [listed] = await json('webhook', 'list')
    assert.deepEqual([listed.id, listed.event, listed.url], [made.id, 'temp', target])

    device.start()
    const claimed = async (): Promise<boolean> => (await aloe('device', 'add', device.id)).code === 0
    await eventually(claimed)
    await eventually(async () => {
      const { code, out } = await aloe('get', device.id, 'got')
      return code === 0 && out.includes('hook-response/temp/kitchen/0={"answer":"42"};')
    })
    assert.ok(bodies.includes(`{"c":21.5,"of":"${device.id}"}`), bodies.join('\n'))

    const shown = (await aloe('webhook', 'show', made.id)).out
    assert.match(shown, /delivered, 0 failed/)
    assert.match(shown, /✔ .* temp\/kitchen 200 \{"answer":"42"\}/)
    await device.stop(false)
  })

  it('have letters that could not be delivered', { timeout: 60_000 }, async () => {
    const file = join(folder, 'hook.json')
    writeFileSync(
      file,
      JSON.stringify({ event: 'late', url: 'http://example.com', json: { v: '{{PARTICLE_EVENT_VALUE}}' } }),
    )
    const { id } = await json('webhook', 'create', '--file', file, 'later', target, '--header', 'X-Key: a:b')
    assert.deepEqual(await json('webhook', 'test', id, 'x'), { pass: true, data: '{"answer":"42"}' })
    status = 500
    const failed = await aloe('webhook', 'test', id)
    assert.equal(failed.code, 1)
    assert.match(failed.err, /error status 500 from 127\.0\.0\.1/)
    await json('publish', 'later', '7')
    await eventually(async () => (await json('webhook', 'dead-letters', id)).total === 1)
    const letters = (await aloe('webhook', 'dead-letters', id)).out
    assert.match(letters, /later +1 +error status 500 from .* 7$/m)
    status = 200
    bodies.length = 0
    assert.deepEqual(await json('webhook', 'replay', id), { ok: true, replayed: 1 })
    await eventually(async () => bodies.length === 1)
    assert.equal(JSON.parse(bodies[0] ?? '').v, '7')
    assert.deepEqual(await json('webhook', 'dead-letters', id, '--delete'), { ok: true, deleted: 0 })

    assert.equal((await aloe('webhook', 'delete', id)).code, 0)
    assert.match((await aloe('webhook', 'show', id)).err, /Could not show .*: There is no such integration/)
  })
})

async function eventually(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 50))
}
