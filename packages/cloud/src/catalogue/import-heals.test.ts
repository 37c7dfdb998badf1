import assert from 'node:assert/strict'
import { createPublicKey } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { parseModule } from '@aloe/firmware'
import { generateDeviceKey } from '@aloe/protocol'
import { pino } from 'pino'
import { type Cloud, startCloud } from '../cloud.ts'
import { FakeDevice, linuxApplication, linuxSystem } from '../gateway/fake-device.ts'
import { until } from '../gateway/until.ts'
import { writeReleaseFolder } from '../updates/catalogue-fixture.ts'
import { moduleFilename } from './module-names.ts'
import { platformNamed } from './release-fixture.ts'

const password = 'a password for tests'

describe('a device that waits for a release', { timeout: 60_000 }, () => {
  let folder = ''
  let cloud: Cloud | undefined
  let device: FakeDevice | undefined
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'aloe-import-heals-'))
  })
  after(async () => {
    device?.stop()
    await cloud?.close()
    await rm(folder, { recursive: true, force: true })
  })

  it('is healed when it is imported, while both are running', async () => {
    await writeReleaseFolder(join(folder, 'releases'), {
      version: '1.0.0',
      systemVersion: 1_000,
      bootloaderVersion: 100,
    })
    cloud = await startCloud({
      dataDir: join(folder, 'data'),
      httpPort: 0,
      tcpPort: 0,
      udpPort: 0,
      releases: [join(folder, 'releases')],
      admin: { username: 'admin', password },
      logger: pino({ level: process.env.ALOE_LOG_LEVEL ?? 'silent' }),
      openEnrolment: true,
      limits: { updates: { settle: 10 } },
    })
    const { httpUrl } = cloud
    const credentials = { username: 'admin', password, client_id: 'particle', client_secret: 'particle' }
    const login = await fetch(`${httpUrl}/oauth/token`, {
      method: 'POST',
      body: new URLSearchParams({ grant_type: 'password', ...credentials }),
    })
    const authorization = `Bearer ${((await login.json()) as { access_token: string }).access_token}`
    const id = '422b00000000000000000002'
    const found = (await (await fetch(`${httpUrl}/.well-known/aloe`)).json()) as {
      keys: { tcp: { publicKey: string } }
    }
    device = new FakeDevice({
      id,
      port: cloud.tcpPort,
      deviceKey: await generateDeviceKey(),
      serverKey: createPublicKey(found.keys.tcp.publicKey),
      modules: [...linuxSystem(1_000, 100), linuxApplication(2_000)],
      reconnect: 20,
    }).start()
    await until(() => device?.reports === 1)
    const claim = { method: 'POST', headers: { authorization }, body: new URLSearchParams({ id }) }
    assert.equal((await fetch(`${httpUrl}/v1/devices`, claim)).status, 200)
    const stopped = async () => {
      const answer = await fetch(`${httpUrl}/v1/devices/${id}/aloe/updates`, { headers: { authorization } })
      return ((await answer.json()) as { jobs: { state: string }[] }).jobs.length > 0
    }
    // Nothing here would help: the healer has said so.
    while (!(await stopped())) await new Promise((resolve) => setTimeout(resolve, 20))

    const form = new FormData()
    for (const bytes of linuxSystem(2_000, 200)) {
      const name = moduleFilename(platformNamed('linux'), parseModule(bytes), '2.0.0')
      form.append('file', new Blob([Uint8Array.from(bytes)]), name)
    }
    const imported = await fetch(`${httpUrl}/v1/aloe/device-os`, {
      method: 'POST',
      headers: { authorization },
      body: form,
    })
    assert.equal(imported.status, 200)
    await until(() => device?.versions.includes('system_part 2@2000') && device.log.at(-1) === 'normal')
  })
})
