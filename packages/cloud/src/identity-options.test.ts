/** What whoever starts the cloud can say about who may come in, against a cloud that was started so. */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Cloud, type CloudOptions, startCloud } from './cloud.ts'

describe('a cloud as its starter wants it', () => {
  let folder: string
  let count = 0
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'aloe-identity-options-'))
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  async function withCloud(
    options: Partial<CloudOptions>,
    work: (cloud: Cloud) => Promise<void>,
    dataDir = join(folder, String(count++)),
  ): Promise<void> {
    const ports = { httpPort: 0, tcpPort: 0, udpPort: 0 }
    const cloud = await startCloud({ dataDir, ...ports, releases: [], logLevel: 'silent', ...options })
    try {
      await work(cloud)
    } finally {
      await cloud.close()
    }
  }

  const post = async (cloud: Cloud, path: string, body: object, headers: Record<string, string> = {}) => {
    const response = await fetch(cloud.httpUrl + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    })
    // biome-ignore lint/suspicious/noExplicitAny: tests look into answers freely
    return { status: response.status, body: (await response.json()) as any }
  }
  const login = (cloud: Cloud, username: string, password: string, headers: Record<string, string> = {}) =>
    post(
      cloud,
      '/oauth/token',
      { grant_type: 'password', username, password, client_id: 'particle', client_secret: 'particle' },
      headers,
    )
  const newcomer = { username: 'new@example.com', password: 'a password' }

  it('lets nobody sign up, unless registration is open', async () => {
    await withCloud({}, async (cloud) => {
      assert.equal((await post(cloud, '/v1/users', newcomer)).status, 403)
    })
    await withCloud({ openRegistration: true }, async (cloud) => {
      assert.equal((await post(cloud, '/v1/users', newcomer)).status, 200)
      assert.equal((await login(cloud, newcomer.username, newcomer.password)).status, 200)
    })
  })

  it('gives the administrator the password that it is started with, also later on', async () => {
    const dataDir = join(folder, 'admin')
    await withCloud({}, async (cloud) => assert.ok(cloud.adminPassword), dataDir)
    const admin = { password: 'chosen later' }
    let token = ''
    await withCloud(
      { admin },
      async (cloud) => {
        assert.equal(cloud.adminPassword, undefined)
        const answer = await login(cloud, 'admin', 'chosen later')
        assert.equal(answer.status, 200)
        token = answer.body.access_token
      },
      dataDir,
    )
    const works = async (cloud: Cloud) =>
      (await fetch(`${cloud.httpUrl}/v1/user`, { headers: { authorization: `Bearer ${token}` } })).status
    // The same password again changes nothing; another ends what was got with the one before.
    await withCloud({ admin }, async (cloud) => assert.equal(await works(cloud), 200), dataDir)
    await withCloud({}, async (cloud) => assert.equal(await works(cloud), 200), dataDir)
    await withCloud(
      { admin: { password: 'another one' } },
      async (cloud) => {
        assert.equal(await works(cloud), 401)
        assert.equal((await login(cloud, 'admin', 'chosen later')).status, 400)
        assert.equal((await login(cloud, 'admin', 'another one')).status, 200)
        const { access_token } = (await login(cloud, 'admin', 'another one')).body
        const bearer = { authorization: `Bearer ${access_token}` }
        assert.equal((await post(cloud, '/v1/users', newcomer, bearer)).status, 200)
      },
      dataDir,
    )
    const wrong = withCloud({ admin: { ...newcomer } }, async () => undefined, dataDir)
    await assert.rejects(wrong, /without an administrator's rights/)
  })

  it('counts the failures of hosts behind a proxy that it trusts, and blocks them alone', async () => {
    const limits = { login: { failuresPerHost: 2 }, api: { logins: 10 } }
    await withCloud({ trustProxy: ['127.0.0.1'], limits, admin: { password: 'secret password' } }, async (cloud) => {
      const from = (address: string) => ({ 'x-forwarded-for': address })
      const statuses: number[] = []
      for (let i = 0; i < 3; i++) statuses.push((await login(cloud, 'admin', 'wrong', from('192.0.2.1'))).status)
      assert.deepEqual(statuses, [400, 400, 429])
      assert.equal((await login(cloud, 'admin', 'secret password', from('192.0.2.1'))).status, 429)
      assert.equal((await login(cloud, 'admin', 'secret password', from('192.0.2.2'))).status, 200)
      const many: number[] = []
      for (let i = 0; i < 11; i++) many.push((await login(cloud, `u${i}`, 'wrong', from('192.0.2.3'))).status)
      assert.equal(many.at(-1), 429)
    })
  })

  it('does not believe a proxy that it was not told of', async () => {
    const limits = { login: { failuresPerHost: 1 }, api: { exemptLoopback: false } }
    await withCloud({ limits, admin: { password: 'secret password' } }, async (cloud) => {
      await login(cloud, 'admin', 'wrong', { 'x-forwarded-for': '192.0.2.1' })
      const other = await login(cloud, 'admin', 'secret password', { 'x-forwarded-for': '192.0.2.2' })
      assert.equal(other.status, 429, 'both came from the machine itself')
    })
  })

  it('sends the link for a new password by the mail command', async () => {
    const file = join(folder, 'mail')
    const mail = { command: `cat > '${file}.part' && mv '${file}.part' '${file}'`, from: 'cloud@example.com' }
    await withCloud({ mail, admin: { username: 'admin@example.com', password: 'old password' } }, async (cloud) => {
      assert.equal((await post(cloud, '/v1/user/password-reset', { username: 'admin@example.com' })).status, 200)
      while (!existsSync(file)) await new Promise((resolve) => setTimeout(resolve, 5))
      const text = readFileSync(file, 'utf8')
      assert.match(text, /^From: cloud@example\.com\nTo: admin@example\.com\n/)
      const link = /http\S+/.exec(text)?.[0] ?? ''
      assert.ok(link.startsWith(cloud.httpUrl), link)
      const page = await (await fetch(link, { headers: { accept: 'text/html' } })).text()
      assert.match(page, /For admin@example\.com/)
    })
  })
})
