/** What waits for a webhook survives kill -9 of the cloud: with a cloud in a process of its own, and a real one. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '../gateway/until.ts'
import { openStore } from '../store/store.ts'
import { Receiver } from './test-receiver.ts'

const password = 'a password for tests'

describe('a cloud that is killed while webhooks wait', () => {
  let folder: string
  let receiver: Receiver
  let child: ChildProcess | undefined
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'aloe-kill-'))
    receiver = await Receiver.start()
  })
  after(async () => {
    child?.kill('SIGKILL')
    await receiver.stop()
    rmSync(folder, { recursive: true })
  })

  async function start(): Promise<string> {
    const program = `
      import { startCloud } from ${JSON.stringify(new URL('../cloud.ts', import.meta.url).href)}
      const cloud = await startCloud({
        dataDir: ${JSON.stringify(folder)}, httpPort: 0, tcpPort: 0, udpPort: 0, releases: [], logLevel: 'silent',
        allowPrivateWebhooks: ['127.0.0.1'], admin: { username: 'admin', password: ${JSON.stringify(password)} },
        limits: { integrations: { concurrencyPerHost: 3 } },
      })
      console.log(cloud.httpUrl)`
    child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })
    assert.ok(child.stdout)
    const [url] = await once(createInterface(child.stdout), 'line')
    return String(url)
  }

  async function kill(): Promise<void> {
    const ended = child && once(child, 'close')
    child?.kill('SIGKILL')
    await ended
  }

  it('delivers all of them after its next start', { timeout: 60_000 }, async () => {
    const url = await start()
    const login = {
      grant_type: 'password',
      username: 'admin',
      password,
      client_id: 'particle',
      client_secret: 'particle',
    }
    const answer = await fetch(`${url}/oauth/token`, { method: 'POST', body: new URLSearchParams(login) })
    const { access_token: token } = (await answer.json()) as { access_token: string }
    const post = async (path: string, body: object): Promise<void> => {
      const response = await fetch(url + path, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
      assert.ok(response.ok, await response.text())
    }
    // The server takes requests and does not answer them: some are under way, the others wait.
    receiver.answer = () => undefined
    await post('/v1/integrations', { event: 'n', url: receiver.url, body: '{{PARTICLE_EVENT_VALUE}}' })
    const count = 20
    for (let n = 0; n < count; n++) await post('/v1/devices/events', { name: 'n', data: String(n) })
    await until(() => receiver.received.length === 3)
    // What was published within the last 50 ms may be lost: nothing was.
    await sleep(300)
    await kill()

    receiver.received.length = 0
    receiver.answer = (_request, response) => response.end()
    await start()
    await until(() => new Set(receiver.received.map(({ body }) => body)).size === count, 30_000)

    // And what was delivered is delivered no more, once that is written.
    await sleep(300)
    assert.equal(receiver.received.length, count)
    await kill()
    const store = await openStore(folder)
    assert.deepEqual(await store.db.selectFrom('webhook_deliveries').selectAll().execute(), [])
    await store.close()
  })
})
