/** Users, their tokens, second factors and forgotten passwords: by the official SDK where it has a method. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { TOTP } from 'otpauth'
import Particle from 'particle-api-js'
import { type ApiFixture, password, startApi, username } from './api-fixture.ts'
import type { Mail } from './mail.ts'

interface Failure {
  readonly statusCode: number
  // biome-ignore lint/suspicious/noExplicitAny: the assertions are the types
  readonly body: any
}

async function failureOf(promise: Promise<unknown>): Promise<Failure> {
  return promise.then(
    () => assert.fail('it succeeded'),
    (error: Failure) => error,
  )
}

// biome-ignore lint/suspicious/noExplicitAny: the assertions are the types
async function bodyOf(promise: Promise<{ body: unknown }>): Promise<any> {
  return (await promise).body
}

const json = (body: object) => ({ headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
const basic = (name: string, secret: string) => ({
  token: null,
  headers: { authorization: `Basic ${Buffer.from(`${name}:${secret}`).toString('base64')}` },
})

describe('accounts', () => {
  let api: ApiFixture
  let particle: Particle
  const mails: Mail[] = []

  before(async () => {
    api = await startApi({
      openRegistration: true,
      publicUrl: 'https://cloud.example.com/',
      sendMail: async (mail) => void mails.push(mail),
    })
    particle = new Particle({ baseUrl: api.url })
  })
  after(() => api.close())

  async function account(name: string) {
    const { body } = await particle.createUser({ username: name, password, accountInfo: { first_name: 'A' } })
    assert.deepEqual(body, { ok: true })
    return (await bodyOf(particle.login({ username: name, password }))).access_token as string
  }

  describe('users', () => {
    it('sign up where that is open, change their name and password, and go', async () => {
      const auth = await account('ada@example.com')
      await particle.changeUsername({ auth, currentPassword: password, username: 'Countess@example.com' })
      assert.equal((await bodyOf(particle.getUserInfo({ auth }))).username, 'countess@example.com')
      assert.equal((await failureOf(particle.login({ username: 'ada@example.com', password }))).statusCode, 400)

      const change = { auth, currentPassword: password, password: 'another password', invalidateTokens: true }
      await particle.changeUserPassword(change)
      assert.equal((await failureOf(particle.getUserInfo({ auth }))).statusCode, 401)
      const login = { username: 'countess@example.com', password: 'another password' }
      const { access_token: again } = await bodyOf(particle.login(login))
      assert.match((await bodyOf(particle.trackingIdentity({ auth: again }))).id, /^[0-9a-f]{24}$/)

      const refused = await failureOf(particle.deleteUser({ auth: again, password: 'wrong' }))
      assert.equal(refused.statusCode, 403)
      await particle.deleteUser({ auth: again, password: 'another password' })
      assert.equal((await failureOf(particle.getUserInfo({ auth: again }))).statusCode, 401)
      assert.equal((await failureOf(particle.login(login))).statusCode, 400)
    })

    it('change nothing when one of two changes is refused', async () => {
      const auth = await account('both@example.com')
      const changes = { username: 'new@example.com', password: 'short', current_password: password }
      const answer = await api.request('PUT', '/v1/user', { token: auth, method: 'PUT', ...json(changes) })
      assert.equal(answer.status, 400)
      assert.equal((await bodyOf(particle.getUserInfo({ auth }))).username, 'both@example.com')
    })

    it('who own products stay until these are gone', async () => {
      const auth = await account('maker@example.com')
      const { body } = await api.request('POST', '/v1/products', {
        token: auth,
        ...json({ name: 'p', platform_id: 43 }),
      })
      assert.equal((await failureOf(particle.deleteUser({ auth, password }))).statusCode, 403)
      assert.equal((await api.request('DELETE', `/v1/products/${body.product.id}`, { token: auth })).status, 204)
      await particle.deleteUser({ auth, password })
    })

    it('are seen and helped by administrators alone', async () => {
      const boss = await api.identity.users.create('boss@example.com', password, { administrator: true })
      const { token } = await api.identity.tokens.issue(boss.id, 'particle', null)
      assert.equal((await api.request('GET', '/v1/aloe/users')).status, 403)
      const { body } = await api.request('GET', '/v1/aloe/users', { token })
      assert.ok(body.users.some((user: { username: string }) => user.username === username))
      const link = await api.request('POST', `/v1/aloe/users/${username}/password-reset`, { token })
      assert.match(link.body.url, /^https:\/\/cloud\.example\.com\/v1\/user\/password-reset\?token=[0-9a-f]{40}$/)
      assert.equal((await api.request('POST', '/v1/aloe/users/nobody/password-reset', { token })).status, 404)
      await account('short-lived@example.com')
      assert.equal((await api.request('DELETE', '/v1/aloe/users/short-lived@example.com', { token })).status, 200)
      assert.equal(api.identity.users.find('short-lived@example.com'), undefined)
    })
  })

  describe('forgotten passwords', () => {
    const linkOf = (mail: Mail | undefined): URL => new URL(/https:\S+/.exec(mail?.text ?? '')?.[0] ?? '')
    const waitForMail = async (count: number): Promise<void> => {
      while (mails.length < count) await new Promise((resolve) => setImmediate(resolve))
    }

    it('are set anew by a link that is mailed, good once, and ends all tokens', async () => {
      const auth = await account('grace@example.com')
      mails.length = 0
      const asked = await bodyOf(particle.resetPassword({ username: 'grace@example.com' }))
      const unknown = await bodyOf(particle.resetPassword({ username: 'nobody@example.com' }))
      assert.deepEqual(asked, unknown, 'it tells nobody who is a user')
      await waitForMail(1)
      assert.equal(mails[0]?.to, 'grace@example.com')
      const link = linkOf(mails[0])
      assert.equal(link.origin, 'https://cloud.example.com', 'never by the address that the asker names')
      const token = link.searchParams.get('token') ?? ''

      const page = await api.request('GET', link.pathname + link.search, {
        token: null,
        headers: { accept: 'text/html' },
      })
      assert.match(page.text, /<form method="post"/)
      assert.match(page.headers.get('content-security-policy') ?? '', /default-src 'none'/)
      const short = await api.request('PUT', link.pathname, { token: null, ...json({ token, password: 'short' }) })
      assert.equal(short.status, 400)
      const done = await api.request('PUT', link.pathname, {
        token: null,
        ...json({ token, password: 'a new password' }),
      })
      assert.deepEqual(done.body, { ok: true, message: 'The password is set' })
      const again = await api.request('PUT', link.pathname, {
        token: null,
        ...json({ token, password: 'and another' }),
      })
      assert.equal(again.status, 400)
      assert.equal((await failureOf(particle.getUserInfo({ auth }))).statusCode, 401)
      await particle.login({ username: 'grace@example.com', password: 'a new password' })
    })

    it('are set anew on a page, without a script', async () => {
      await account('page@example.com')
      mails.length = 0
      await particle.resetPassword({ username: 'page@example.com' })
      await waitForMail(1)
      const { pathname, searchParams } = linkOf(mails[0])
      const send = (body: Record<string, string>) =>
        api.request('POST', pathname, {
          token: null,
          headers: { accept: 'text/html' },
          body: new URLSearchParams(body),
        })
      const token = searchParams.get('token') ?? ''
      assert.match((await send({ token, password: 'short' })).text, /class="problem"/)
      assert.match((await send({ token, password: 'a page password' })).text, /is set/)
      assert.match((await send({ token, password: 'a page password' })).text, /is over/)
      await particle.login({ username: 'page@example.com', password: 'a page password' })
    })

    it('fill no mailbox: three links in ten minutes, whoever asks', async () => {
      await account('flooded@example.com')
      mails.length = 0
      for (let i = 0; i < 5; i++) {
        await particle.resetPassword({ username: 'flooded@example.com' })
        await waitForMail(Math.min(i + 1, 3))
      }
      assert.equal(mails.length, 3)
      api.skew += 10 * 60_000
      await particle.resetPassword({ username: 'flooded@example.com' })
      await waitForMail(4)
      api.skew = 0
    })

    it('cannot be set by a link that is older than an hour', async () => {
      await account('late@example.com')
      mails.length = 0
      await particle.resetPassword({ username: 'late@example.com' })
      await waitForMail(1)
      api.skew += 60 * 60_000
      const { pathname, searchParams } = linkOf(mails[0])
      const body = { token: searchParams.get('token'), password: 'a late password' }
      assert.equal((await api.request('PUT', pathname, { token: null, ...json(body) })).status, 400)
      assert.equal((await api.request('GET', `${pathname}?token=${body.token}`, { token: null })).status, 404)
      api.skew = 0
    })
  })

  describe('a second factor', () => {
    const code = (secret: string): string =>
      TOTP.generate({ secret: fromBase32(secret), timestamp: Date.now() + api.skew })

    async function enrolled(name: string) {
      const auth = await account(name)
      const { mfa_token: mfaToken, qr_url, secret } = await bodyOf(particle.enableMfa({ auth }))
      assert.match(qr_url, /^otpauth:\/\/totp\/.*secret=/)
      assert.equal((await failureOf(particle.confirmMfa({ auth, mfaToken, otp: '000000' }))).statusCode, 403)
      const confirmed = await bodyOf(particle.confirmMfa({ auth, mfaToken, otp: code(secret), invalidateTokens: true }))
      assert.equal(confirmed.enrolled, true)
      assert.equal((await failureOf(particle.getUserInfo({ auth }))).statusCode, 401)
      // The next code: that which confirmed is used up.
      api.skew += 30_000
      return { secret, auth: confirmed.tokens[0].token as string }
    }
    const challenge = async (name: string): Promise<string> => {
      const failure = await failureOf(particle.login({ username: name, password }))
      assert.equal(failure.statusCode, 403)
      assert.equal(failure.body.error, 'mfa_required')
      return failure.body.mfa_token
    }

    it('is asked for at every login until it is disabled with the password', async () => {
      const { auth, secret } = await enrolled('mfa@example.com')
      assert.deepEqual((await bodyOf(particle.getUserInfo({ auth }))).mfa, { enabled: true })
      const mfaToken = await challenge('mfa@example.com')
      const { access_token } = await bodyOf(particle.sendOtp({ mfaToken, otp: code(secret) }))
      assert.equal((await bodyOf(particle.getUserInfo({ auth: access_token }))).username, 'mfa@example.com')

      assert.equal((await failureOf(particle.disableMfa({ auth, currentPassword: 'wrong' }))).statusCode, 403)
      await particle.disableMfa({ auth, currentPassword: password })
      await particle.login({ username: 'mfa@example.com', password })
    })

    it('takes a code once, and a challenge once and for five minutes', async () => {
      const { secret } = await enrolled('once@example.com')
      const first = await challenge('once@example.com')
      const otp = code(secret)
      await particle.sendOtp({ mfaToken: first, otp })
      assert.equal((await failureOf(particle.sendOtp({ mfaToken: first, otp }))).statusCode, 403)
      const second = await challenge('once@example.com')
      assert.equal((await failureOf(particle.sendOtp({ mfaToken: second, otp }))).body.error, 'invalid_grant')
      api.skew += 30_000
      await particle.sendOtp({ mfaToken: second, otp: code(secret) })
      const third = await challenge('once@example.com')
      api.skew += 5 * 60_000
      assert.equal((await failureOf(particle.sendOtp({ mfaToken: third, otp: code(secret) }))).statusCode, 403)
    })

    it('cannot be guessed: ten wrong codes end all tries for a while, whichever challenges they answer', async () => {
      const { secret } = await enrolled('guessed@example.com')
      const statuses: number[] = []
      for (let i = 0; i < 12; i++) {
        const mfaToken = await challenge('guessed@example.com')
        statuses.push((await failureOf(particle.sendOtp({ mfaToken, otp: '000000' }))).statusCode)
      }
      assert.deepEqual(statuses, [...Array(10).fill(403), 429, 429])
      const mfaToken = await challenge('guessed@example.com')
      assert.equal((await failureOf(particle.sendOtp({ mfaToken, otp: code(secret) }))).statusCode, 429)
      api.skew += 30 * 60_000
      const later = await challenge('guessed@example.com')
      await particle.sendOtp({ mfaToken: later, otp: code(secret) })
    })

    it('goes with the list of tokens that a name and password ask for', async () => {
      const { secret } = await enrolled('list@example.com')
      const without = await api.request('GET', '/v1/access_tokens', basic('list@example.com', password))
      assert.equal(without.status, 403)
      assert.equal(without.body.error, 'mfa_required')
      const path = `/v1/access_tokens?otp=${code(secret)}`
      assert.equal((await api.request('GET', path, basic('list@example.com', password))).body.length, 1)
    })

    it('can be taken away by an administrator, from who has lost it', async () => {
      await enrolled('lost@example.com')
      const boss = await api.identity.users.create('second-boss@example.com', password, { administrator: true })
      const { token } = await api.identity.tokens.issue(boss.id, 'particle', null)
      assert.equal((await api.request('DELETE', '/v1/aloe/users/lost@example.com/mfa', { token })).status, 200)
      await particle.login({ username: 'lost@example.com', password })
    })
  })

  describe('tokens', () => {
    const tokenRequest = (body: Record<string, string>, init: object = {}) =>
      api.request('POST', '/oauth/token', { token: null, body: new URLSearchParams(body), ...init })
    const client = { client_id: 'particle', client_secret: 'particle' }
    const grant = { grant_type: 'password', username, password, ...client }
    const works = async (token: string): Promise<boolean> =>
      (await api.request('GET', '/v1/access_tokens/current', { token })).status === 200

    it('last as long as was asked: seconds, a date, or for ever', async () => {
      assert.equal((await tokenRequest(grant)).body.expires_in, 7_776_000)
      assert.equal((await tokenRequest({ ...grant, expires_in: '60' })).body.expires_in, 60)
      const date = new Date(Date.now() + api.skew + 3_600_000).toISOString()
      assert.ok(Math.abs((await tokenRequest({ ...grant, expires_at: date })).body.expires_in - 3_600) < 5)
      const forever = (await tokenRequest({ ...grant, expires_in: '0' })).body
      assert.equal(forever.expires_in, 0)
      const current = await api.request('GET', '/v1/access_tokens/current', { token: forever.access_token })
      assert.equal(current.body.expires_at, null)
      for (const bad of [{ expires_in: '-1' }, { expires_in: 'soon' }, { expires_at: '2001-01-01T00:00:00Z' }]) {
        assert.equal((await tokenRequest({ ...grant, ...bad })).body.error, 'invalid_request')
      }
    })

    it('take the client in the form or as Basic', async () => {
      const { client_id, client_secret, ...rest } = grant
      const right = await tokenRequest(rest, basic(client_id, client_secret))
      assert.equal(right.status, 200)
      assert.equal((await tokenRequest(rest, basic('particle', 'wrong'))).body.error, 'invalid_client')
      assert.equal((await tokenRequest(rest)).body.error, 'invalid_client')
    })

    it('are refreshed: each refresh token is good once, for its client, and for 14 days', async () => {
      const first = (await tokenRequest(grant)).body
      const refresh = (token: string, other: Record<string, string> = client) =>
        tokenRequest({ grant_type: 'refresh_token', refresh_token: token, ...other })
      const stolen = await refresh(first.refresh_token, { client_id: 'particle-api', client_secret: 'particle-api' })
      assert.equal(stolen.body.error, 'invalid_grant')
      const [one, two] = await Promise.all([refresh(first.refresh_token), refresh(first.refresh_token)])
      assert.deepEqual([one.status, two.status].sort(), [200, 400])
      const second = one.status === 200 ? one.body : two.body
      assert.equal(await works(second.access_token), true)
      assert.equal(await works(first.access_token), true)
      assert.equal((await refresh(second.access_token)).status, 400)
      api.skew += 14 * 24 * 3_600_000
      assert.equal((await refresh(second.refresh_token)).status, 400)
      api.skew = 0
    })

    it('end together with what came with them', async () => {
      const one = (await tokenRequest(grant)).body
      const other = (await tokenRequest(grant)).body
      await particle.deleteCurrentAccessToken({ auth: one.access_token })
      assert.equal(await works(one.access_token), false)
      const body = { grant_type: 'refresh_token', refresh_token: one.refresh_token, ...client }
      assert.equal((await tokenRequest(body)).status, 400)
      assert.equal(await works(other.access_token), true)
    })

    it('are revoked by who knows them, by their place in the list, and all at once', async () => {
      const [one, two, three] = await Promise.all([tokenRequest(grant), tokenRequest(grant), tokenRequest(grant)])
      const path = (token: string) => `/v1/access_tokens/${encodeURIComponent(token)}`
      const known = await api.request('DELETE', path(one.body.access_token), { token: null })
      assert.deepEqual(known.body, { ok: true })
      const list = await api.request('GET', '/v1/access_tokens', basic(username, password))
      const hint = `${two.body.access_token.slice(0, 6)}${'*'.repeat(34)}`
      assert.ok(list.body.some(({ token }: { token: string }) => token === hint))
      assert.equal((await api.request('DELETE', path(hint), { token: null })).status, 400)
      const stranger = await account('tokens@example.com')
      assert.equal((await api.request('DELETE', path(hint), { token: stranger })).status, 404)
      assert.equal((await api.request('DELETE', path(hint), basic(username, password))).status, 200)
      assert.equal(await works(two.body.access_token), false)
      assert.equal((await api.request('DELETE', path('f'.repeat(40)), { token: null })).status, 404)
      const wrong = await api.request('GET', '/v1/access_tokens', basic(username, 'wrong'))
      assert.equal(wrong.status, 403)
      await particle.deleteActiveAccessTokens({ auth: three.body.access_token })
      assert.equal(await works(three.body.access_token), false)
    })
  })

  it('leave in the audit log what was done, to whom it concerns', async () => {
    const auth = await account('audited@example.com')
    await failureOf(particle.login({ username: 'audited@example.com', password: 'wrong' }))
    const { body } = await api.request('GET', '/v1/aloe/audit?per_page=2', { token: auth })
    assert.deepEqual(
      body.entries.map(({ action }: { action: string }) => action),
      ['user.login-failed', 'user.login'],
    )
    assert.equal(body.entries[0].ip, '127.0.0.1')
    assert.equal(body.entries[0].actor.kind, 'nobody')
    assert.equal(body.entries[1].actor.name, 'audited@example.com')
    const next = await api.request('GET', `/v1/aloe/audit?before=${body.meta.next}`, { token: auth })
    assert.deepEqual(
      next.body.entries.map(({ action }: { action: string }) => action),
      ['user.create'],
    )
    assert.equal((await api.request('GET', '/v1/aloe/audit?per_page=0', { token: auth })).status, 400)
    assert.doesNotMatch(JSON.stringify([body, next.body]), new RegExp(`${password}|${auth}`))
  })
})

function fromBase32(text: string) {
  return new TOTP({ secret: text }).secret
}
