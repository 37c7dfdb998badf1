/** `Last-Event-ID` over HTTP: what a client missed is shown to it, and nothing that it may not see. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { type ApiFixture, startApi } from './api-fixture.ts'

const id = '422b00000000000000000001'

interface Shown {
  readonly names: string[]
  readonly lastEventId: string
}

describe('a stream that is taken up again', () => {
  let api: ApiFixture
  before(async () => {
    api = await startApi({ limits: { tokenRecheck: 20 } })
    await api.device(id, 'lamp')
  })
  after(() => api.close())

  /** Reads a stream until `done` is satisfied with what has come. */
  async function read(
    path: string,
    done: (text: string) => boolean,
    { lastEventId, token = api.token }: { lastEventId?: string; token?: string } = {},
    meanwhile?: () => unknown,
  ): Promise<Shown> {
    const headers = {
      authorization: `Bearer ${token}`,
      ...(lastEventId !== undefined && { 'last-event-id': lastEventId }),
    }
    const abort = new AbortController()
    const response = await fetch(api.url + path, { headers, signal: abort.signal })
    assert.equal(response.status, 200)
    assert.equal(response.headers.get('access-control-allow-origin'), '*')
    let text = ''
    const decoder = new TextDecoder()
    const reader = response.body?.getReader()
    assert.ok(reader)
    while (!text.includes(':ok')) text += decoder.decode((await reader.read()).value, { stream: true })
    await meanwhile?.()
    while (!done(text)) text += decoder.decode((await reader.read()).value, { stream: true })
    abort.abort()
    return {
      names: [...text.matchAll(/^event: (.*)$/gm)].map(([, name = '']) => name),
      lastEventId: [...text.matchAll(/^id: (\d+)$/gm)].at(-1)?.[1] ?? '',
    }
  }
  const publish = (name: string, token = api.token) =>
    api.request('POST', '/v1/devices/events', {
      token,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name, data: '1' }),
    })
  const caughtUp = (text: string): boolean => text.includes(':caught up')

  it('shows what was missed, by header or by query', async () => {
    const first = await read(
      '/v1/devices/events',
      (text) => text.includes('event: one'),
      {},
      () => publish('one'),
    )
    assert.match(first.lastEventId, /^\d+$/)
    await publish('two')
    await publish('three')
    const lastEventId = first.lastEventId
    assert.deepEqual((await read('/v1/devices/events', caughtUp, { lastEventId })).names, ['two', 'three'])
    const query = `/v1/devices/events/th?last_event_id=${lastEventId}`
    assert.deepEqual((await read(query, caughtUp)).names, ['three'])
    const both = await read(
      '/v1/devices/events',
      (text) => text.includes('event: four'),
      { lastEventId },
      () => publish('four'),
    )
    assert.deepEqual(both.names, ['two', 'three', 'four'])
  })

  it('shows nobody what was not theirs when it happened', async () => {
    const other = await api.identity.users.create('other', 'long enough')
    const { token } = await api.identity.tokens.issue(other.id, 'particle', null)
    const before = await read(
      '/v1/devices/events',
      (text) => text.includes('event: mark'),
      {},
      () => publish('mark'),
    )
    api.bus.publish({
      name: 'secret',
      data: null,
      ttl: 60,
      publishedAt: 0,
      coreid: id,
      deviceId: id,
      owner: api.user.id,
    })
    await publish('theirs', token)
    const { lastEventId } = before
    assert.deepEqual((await read('/v1/devices/events', caughtUp, { lastEventId, token })).names, ['theirs'])
    assert.deepEqual((await read('/v1/devices/lamp/events', caughtUp, { lastEventId })).names, ['secret'])
    await api.registry.unclaim(id, api.user.id)
    await api.registry.claim(id, other.id)
    const sold = await read(`/v1/devices/${id}/events`, caughtUp, { lastEventId, token })
    assert.deepEqual(sold.names, [], 'the new owner is not shown what the old one’s device said')
    assert.deepEqual((await read('/v1/devices/events', caughtUp, { lastEventId })).names, ['secret'])
  })

  it('says that something is missing when the id is too old, or none of this cloud', async () => {
    for (const lastEventId of ['1', 'abc', '9999999999999999']) {
      const { names } = await read('/v1/events/x', caughtUp, { lastEventId })
      assert.deepEqual(names, ['aloe/events/gap'])
    }
  })
})
