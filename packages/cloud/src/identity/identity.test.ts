import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import fc from 'fast-check'
import { openStore, type Store } from '../store/store.ts'
import { Identity } from './identity.ts'
import { IdentityError } from './identity-error.ts'
import { defaultLoginLimits } from './login-throttle.ts'
import { hashPassword, verifyPassword } from './passwords.ts'

const cheap = { memory: 64, passes: 1, parallelism: 1 }
const minute = 60_000

describe('passwords', () => {
  it('are argon2id strings, salted, and verify', async () => {
    const [one, two] = await Promise.all([hashPassword('secret'), hashPassword('secret')])
    assert.match(one ?? '', /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
    assert.notEqual(one, two)
    assert.equal(await verifyPassword('secret', one ?? ''), true)
    assert.equal(await verifyPassword('Secret', one ?? ''), false)
  })

  it('are the same however Unicode spells them', async () => {
    const hash = await hashPassword('caf\u00e9', cheap)
    assert.equal(await verifyPassword('cafe\u0301', hash), true)
  })

  it('do not verify against a hash that is broken', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string(), async (hash) => !(await verifyPassword('x', hash))),
      { numRuns: 50 },
    )
  })
})

describe('identity', () => {
  let folder: string
  let dir: string
  let count = 0
  let now = 0
  let store: Store
  let identity: Identity
  const open = async (): Promise<void> => {
    store = await openStore(dir)
    identity = await Identity.open({ store, now: () => now, passwordCost: cheap })
  }
  const restart = async (): Promise<void> => {
    await store.close()
    await open()
  }

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'aloe-identity-'))
  })
  after(() => rmSync(folder, { recursive: true, force: true }))
  beforeEach(async () => {
    now = 1_000
    dir = join(folder, String(count++))
    await open()
  })
  afterEach(() => store.close())

  it('makes an administrator with a random password once, and takes a new password that it is given', async () => {
    const made = await identity.ensureAdministrator({ username: 'admin' })
    assert.ok(made.password && made.password.length >= 16)
    await restart()
    assert.deepEqual(await identity.ensureAdministrator({ username: 'admin' }), { username: 'admin' })
    assert.equal((await identity.login('ADMIN', made.password, undefined)).ok, true)

    await identity.ensureAdministrator({ username: 'admin', password: 'short' })
    assert.equal((await identity.login('admin', 'short', undefined)).ok, true)
    await identity.ensureAdministrator({ username: 'admin', password: 'another one' })
    assert.equal((await identity.login('admin', made.password, undefined)).ok, false)
    assert.equal((await identity.login('admin', 'another one', undefined)).ok, true)
  })

  it('knows a token after a restart, and its text is nowhere in the data folder', async () => {
    const user = await identity.users.create('u@example.com', 'password')
    const { token } = await identity.tokens.issue(user.id, 'particle', null)
    assert.match(token, /^[0-9a-f]{40}$/)
    await restart()
    assert.equal(identity.authenticate(token)?.user.username, 'u@example.com')
    await store.close()
    const file = readFileSync(join(dir, 'aloe.db'))
    assert.equal(file.includes(token), false)
    assert.equal(file.includes('password1'), false)
    await open()
  })

  it('lets tokens expire and revokes them, for good', async () => {
    const { id } = await identity.users.create('u', 'password')
    const short = await identity.tokens.issue(id, 'particle', minute)
    const info = identity.tokens.check(short.token)
    assert.ok(info && identity.tokens.isGood(info))
    const other = await identity.tokens.issue(id, 'particle', null)
    const refresh = await identity.tokens.issue(id, 'particle', null, 'refresh')
    assert.equal(identity.authenticate(refresh.token), undefined)
    assert.equal(identity.tokens.list(id).length, 2)
    now += minute
    assert.equal(identity.authenticate(short.token), undefined)
    assert.equal(identity.tokens.isGood(info), false)
    assert.equal(identity.tokens.list(id).length, 1)

    assert.equal(await identity.tokens.revoke(other.token), true)
    assert.equal(await identity.tokens.revoke(other.token), false)
    assert.equal(identity.authenticate(other.token), undefined)
    await restart()
    assert.equal(identity.authenticate(other.token), undefined)
    await identity.tokens.revokeAll(id)
    assert.equal(identity.tokens.check(refresh.token, 'refresh'), undefined)
  })

  it('keeps no more tokens than a user can need', async () => {
    const { id } = await identity.users.create('u', 'password')
    const first = await identity.tokens.issue(id, 'particle', null)
    for (let i = 0; i < 1_000; i++) await identity.tokens.issue(id, 'particle', null)
    assert.equal(identity.tokens.list(id).length, 1_000)
    assert.equal(identity.authenticate(first.token), undefined)
  })

  it('blocks a host after ten failures, even at once, for half an hour; and nobody on loopback', async () => {
    await identity.users.create('u', 'password')
    const results = await Promise.all(
      Array.from({ length: 12 }, (_, i) => identity.login('u', `wrong ${i}`, '192.0.2.1')),
    )
    const errors = results.map((result) => (result.ok ? '' : result.error))
    assert.deepEqual(errors.slice(0, 10), Array(10).fill('bad-credentials'))
    assert.deepEqual(errors.slice(10), Array(2).fill('too-many-failures'))
    assert.equal((await identity.login('u', 'password', '192.0.2.1')).ok, false)
    assert.equal((await identity.login('u', 'password', '192.0.2.2')).ok, true)
    assert.equal((await identity.login('u', 'password', undefined)).ok, true)
    now += defaultLoginLimits.hostBlock
    assert.equal((await identity.login('u', 'password', '192.0.2.1')).ok, true)
  })

  it('goes on counting guesses at others when a host logs in as somebody between them', async () => {
    const { failuresPerHost } = defaultLoginLimits
    await identity.users.create('mallory', 'long enough')
    for (let i = 0; i < failuresPerHost - 1; i++) {
      assert.equal((await identity.login('admin', `guess ${i}`, 'host')).ok, false)
      assert.equal((await identity.login('mallory', 'wrong', 'host')).ok, false)
      assert.equal((await identity.login('mallory', 'long enough', 'host')).ok, i < failuresPerHost - 2)
    }
    const blocked = await identity.login('mallory', 'long enough', 'host')
    assert.equal(!blocked.ok && blocked.error, 'too-many-failures')
  })

  it('refuses names and passwords that are not fit, and a name twice at the same time', async () => {
    const refused = async (username: string, password: string, code: string): Promise<void> => {
      const error = await identity.users.create(username, password).then(
        () => undefined,
        (reason: unknown) => reason,
      )
      assert.ok(error instanceof IdentityError && error.code === code, `${username} ${String(error)}`)
    }
    await refused('', 'password', 'bad-username')
    await refused('a b', 'password', 'bad-username')
    await refused('a:b', 'password', 'bad-username')
    await refused('u', 'short', 'bad-password')
    await refused('u', 'x'.repeat(1_025), 'bad-password')
    const results = await Promise.allSettled([
      identity.users.create('Same', 'password'),
      identity.users.create('same', 'password'),
    ])
    assert.deepEqual(results.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
  })

  it('changes names, passwords and account information, durably', async () => {
    const { id } = await identity.users.create('u', 'password', { accountInfo: { first_name: 'A' } })
    await identity.users.setUsername(id, 'V')
    await identity.users.setPassword(id, 'pass word')
    await identity.users.setAccountInfo(id, { last_name: 'B' })
    await restart()
    assert.equal((await identity.login('v', 'pass word', undefined)).ok, true)
    assert.equal(identity.users.find('u'), undefined)
    assert.deepEqual(identity.users.get(id)?.accountInfo, { first_name: 'A', last_name: 'B' })
  })

  it('does not remove the last administrator', async () => {
    await identity.ensureAdministrator({ username: 'admin', password: 'password' })
    const admin = identity.users.find('admin')
    assert.ok(admin)
    await assert.rejects(identity.users.remove(admin.id), /last administrator/)
    const { id } = await identity.users.create('u', 'password')
    await identity.users.remove(id)
    assert.equal(identity.users.get(id), undefined)
  })
})
