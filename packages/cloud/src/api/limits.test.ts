import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { startApi } from './api-fixture.ts'
import { countedHost, defaultLimits, isLoopback, RateLimiter } from './limits.ts'

describe('rate limits', () => {
  it('count per host and kind, in windows of five minutes', () => {
    const limiter = new RateLimiter({ ...defaultLimits, logins: 2 })
    assert.equal(limiter.count('logins', '192.0.2.1', 0), 0)
    assert.equal(limiter.count('logins', '192.0.2.1', 1_000), 0)
    assert.equal(limiter.count('logins', '192.0.2.1', 2_000), 298_000)
    assert.equal(limiter.count('logins', '192.0.2.2', 2_000), 0)
    assert.equal(limiter.count('requests', '192.0.2.1', 2_000), 0)
    assert.equal(limiter.count('logins', '192.0.2.1', 300_000), 0)
  })

  it('count a network of IPv6, in which anybody has an address for every try, as one host', () => {
    const limiter = new RateLimiter({ ...defaultLimits, logins: 1 })
    assert.equal(limiter.count('logins', '2001:db8:1:2::1', 0), 0)
    assert.notEqual(limiter.count('logins', '2001:db8:1:2:ffff::9', 0), 0)
    assert.equal(limiter.count('logins', '2001:db8:1:3::1', 0), 0)
    assert.equal(countedHost('::ffff:192.0.2.1'), '192.0.2.1')
    for (const text of ['192.0.2.1', 'a:b', '']) assert.equal(countedHost(text), text)
  })

  it('let the machine itself through, unless told otherwise', () => {
    const exempt = new RateLimiter({ ...defaultLimits, logins: 0 })
    const strict = new RateLimiter({ ...defaultLimits, logins: 0, exemptLoopback: false })
    for (const host of ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1']) {
      assert.equal(isLoopback(host), true)
      assert.equal(exempt.count('logins', host, 0), 0)
      assert.notEqual(strict.count('logins', host, 0), 0)
    }
    assert.equal(isLoopback('192.0.2.127'), false)
  })

  it('stay bounded however many hosts there are', () => {
    const limiter = new RateLimiter({ ...defaultLimits, logins: 1 })
    limiter.count('logins', 'first', 0)
    for (let i = 0; i < 20_001; i++) limiter.count('logins', `host ${i}`, 0)
    assert.equal(limiter.count('logins', 'first', 0), 0, 'forgotten')
  })

  it('count look-ups of serial numbers by user, in an hour', () => {
    const limiter = new RateLimiter({ ...defaultLimits, serialNumbers: 1 })
    assert.equal(limiter.count('serialNumbers', '192.0.2.1', 0, 'ann'), 0)
    assert.equal(limiter.count('serialNumbers', '192.0.2.2', 0, 'ann'), 3_600_000)
    assert.equal(limiter.count('serialNumbers', '192.0.2.1', 0, 'bob'), 0)
    assert.equal(limiter.count('serialNumbers', '127.0.0.1', 0, 'ann'), 0)
  })
})

describe('a proxy that is believed', () => {
  it('says who asks by the last address, not by what the client wrote itself', async (t) => {
    const api = await startApi({ limits: { logins: 2 }, trustProxy: true })
    t.after(() => api.close())
    const login = (by: string) =>
      api.request('POST', '/oauth/token', { token: null, headers: { 'x-forwarded-for': by } })
    assert.deepEqual([(await login('192.0.2.1')).status, (await login('192.0.2.1')).status], [400, 400])
    assert.equal((await login('192.0.2.1')).status, 429)
    assert.equal((await login('127.0.0.1, 192.0.2.1')).status, 429)
  })
})
