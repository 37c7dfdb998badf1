import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { type Bus, createLocalBus } from '../bus/bus.ts'
import type { CloudEvent } from '../events/event.ts'
import { until } from '../gateway/until.ts'
import { openStore, type Store } from '../store/store.ts'
import { readWebhook } from './input.ts'
import type { Integration, IntegrationOwner } from './integration.ts'
import { Integrations, type IntegrationsOptions } from './integrations.ts'
import { Receiver, TestClock } from './test-receiver.ts'

const deviceId = '422b00000000000000000001'
const alice: IntegrationOwner = { kind: 'user', userId: 'alice' }

describe('webhooks', () => {
  let store: Store
  let bus: Bus
  let clock: TestClock
  let receiver: Receiver
  let events: CloudEvent[]
  const open: Integrations[] = []

  beforeEach(async () => {
    store = await openStore()
    const user = { id: 'alice', username: 'alice', password_hash: '', account_info: '{}', is_administrator: 0 }
    await store.db
      .insertInto('users')
      .values({ ...user, created_at: 1, updated_at: 1 })
      .execute()
    bus = createLocalBus((error) => assert.fail(String(error)))
    clock = new TestClock()
    receiver = await Receiver.start()
    events = []
    bus.subscribe((event) => {
      if (event.coreid === 'particle-internal') events.push(event)
    })
  })
  afterEach(async () => {
    for (const each of open.splice(0)) await each.close()
    await receiver.stop()
    await store.close()
  })

  async function start(options: Partial<IntegrationsOptions> = {}): Promise<Integrations> {
    const onError = (error: unknown): never => assert.fail(String(error))
    const started = await Integrations.open({
      store,
      bus,
      clock,
      onError,
      random: () => 0.5,
      allowPrivate: true,
      ...options,
    })
    open.push(started)
    return started
  }
  async function stop(integrations: Integrations): Promise<void> {
    open.splice(open.indexOf(integrations), 1)
    await integrations.close()
  }
  const hook = (
    integrations: Integrations,
    more: Record<string, unknown> = {},
    owner: IntegrationOwner = alice,
  ): Promise<Integration> =>
    integrations.create(owner, readWebhook({ event: 'temp', url: receiver.url, ...more }, { deviceId: (id) => id }))
  const publish = (name = 'temp/x', more: Partial<CloudEvent> = {}): void =>
    bus.publish({
      name,
      data: '21.5',
      ttl: 60,
      publishedAt: clock.now(),
      coreid: deviceId,
      deviceId,
      owner: 'alice',
      ...more,
    })
  const shown = (): string[] => events.map(({ name, data }) => (data === null ? name : `${name}=${data}`))
  const rows = () => store.db.selectFrom('webhook_deliveries').selectAll().execute()
  /** Lets all that is under way end, and what is to be written be written. */
  async function settle(integrations: Integrations): Promise<void> {
    await integrations.settled()
    clock.advance(30)
    await integrations.settled()
  }

  it('send what a device publishes, and publish what is answered', async () => {
    receiver.answer = (_request, response) => response.end('y'.repeat(600))
    const integrations = await start()
    await hook(integrations)
    publish()
    publish('other')
    await settle(integrations)
    assert.equal(receiver.received.length, 1)
    assert.equal(new URLSearchParams(receiver.received[0]?.body).get('data'), '21.5')
    assert.match(String(receiver.received[0]?.headers['x-aloe-delivery']), /^[0-9a-f]{24}$/)
    const [first, second] = ['y'.repeat(512), 'y'.repeat(88)]
    assert.deepEqual(shown(), [
      'hook-sent/temp/x',
      `hook-response/temp/x/0=${first}`,
      `hook-response/temp/x/1=${second}`,
    ])
    for (const event of events)
      assert.deepEqual([event.owner, event.deviceId, event.productId], ['alice', undefined, undefined])
    assert.deepEqual(await rows(), [])
  })

  it('publish a response as its template and topic say, and nothing for an empty one', async () => {
    const integrations = await start()
    await hook(integrations, { responseTemplate: 'T={{t}}', responseTopic: '{{PARTICLE_DEVICE_ID}}/re' })
    receiver.answer = (_request, response) => response.end('{"t":"x<y"}')
    publish()
    await settle(integrations)
    receiver.answer = (_request, response) => response.writeHead(204).end()
    publish()
    await settle(integrations)
    assert.deepEqual(shown(), ['hook-sent/temp/x', `${deviceId}/re/0=T=x&lt;y`, 'hook-sent/temp/x'])
  })

  it('never trigger webhooks themselves', async () => {
    receiver.answer = (_request, response) => response.end('again')
    const integrations = await start()
    await hook(integrations, { event: 'h' })
    await hook(integrations, { event: 're', responseTopic: 're' })
    publish('re')
    publish('hook')
    for (let i = 0; i < 5; i++) await settle(integrations)
    assert.equal(receiver.received.length, 2)
  })

  it('try again after 30 s and a minute, then ever later, and say each time what is wrong', async () => {
    receiver.answer = (_request, response) => response.writeHead(404).end()
    const integrations = await start({ limits: { attempts: 4 } })
    const made = await hook(integrations)
    publish()
    const pauses: number[] = []
    for (let attempt = 1; attempt <= 4; attempt++) {
      await settle(integrations)
      assert.equal(receiver.received.length, attempt)
      if (attempt === 4) break
      const [row] = await rows()
      assert.equal(row?.attempts, attempt)
      const wait = (row?.due_at ?? 0) - clock.now()
      pauses.push(Math.round(wait / 1_000))
      clock.advance(wait - 1)
      await integrations.settled()
      assert.equal(receiver.received.length, attempt)
      clock.advance(1)
    }
    assert.deepEqual(pauses, [30, 60, 120])
    const { host } = new URL(receiver.url)
    const error = `hook-error/temp/x/0=error status 404 from ${host}`
    assert.deepEqual(shown(), Array.from({ length: 4 }, () => ['hook-sent/temp/x', error]).flat())
    const ids = new Set(receiver.received.map(({ headers }) => headers['x-aloe-delivery']))
    assert.equal(ids.size, 1)
    assert.equal(integrations.deadCount(made), 1)
    assert.equal(integrations.waiting(made), 0)
    assert.deepEqual(integrations.statistics().deliveries, { success: 0, error: 4, sleep: 0, dropped: 0, dead: 1 })
  })

  it('wait as long as a server asks for', async () => {
    receiver.answer = (_request, response) => response.writeHead(503, { 'retry-after': '600' }).end()
    const integrations = await start()
    await hook(integrations, { errorResponseTopic: 'bad' })
    publish()
    await settle(integrations)
    assert.equal(Math.round(((await rows())[0]?.due_at ?? 0) - clock.now()) > 590_000, true)
    assert.match(shown()[1] ?? '', /^bad\/0=error status 503/)
  })

  it('end at once in the dead letters when another time would not help', async () => {
    const integrations = await start({ allowPrivate: false })
    const made = await hook(integrations)
    const other = await hook(integrations, { url: 'http://{{{PARTICLE_EVENT_VALUE}}}/' })
    publish('temp', { data: 'a b' })
    await settle(integrations)
    assert.equal(receiver.received.length, 0)
    assert.match(shown().join('\n'), /hook-error\/temp\/0=error 127\.0\.0\.1 is an address of a private network/)
    assert.match(shown().join('\n'), /hook-error\/temp\/0=error url: "http:\/\/a b\/" is no URL/)
    assert.doesNotMatch(shown().join('\n'), /hook-sent/)
    assert.equal(integrations.deadCount(made), 1)
    const [letter] = await integrations.deadLetters(other, { limit: 10, offset: 0 })
    assert.deepEqual([letter?.attempts, letter?.event.data], [1, 'a b'])
  })

  it('leave a host alone that has too many errors', async () => {
    receiver.answer = (_request, response) => response.writeHead(500).end()
    const integrations = await start()
    await hook(integrations)
    for (let i = 0; i < 6; i++) {
      publish()
      await settle(integrations)
    }
    assert.equal(receiver.received.length, 5)
    assert.equal(shown().at(-1), 'hook-error/temp/x/0=Sleeping, too many errors, please wait and try again')
    assert.equal(integrations.statistics().deliveries.sleep, 1)
    receiver.answer = (_request, response) => response.end()
    clock.advance(30_000)
    await settle(integrations)
    assert.equal(receiver.received.length, 11)
    assert.deepEqual(await rows(), [])
  })

  it('go on after a restart, with what waited and what was under way', async () => {
    receiver.answer = ({ body }, response) => (body === 'bad' ? response.writeHead(500).end() : undefined)
    const first = await start()
    await hook(first, { body: '{{PARTICLE_EVENT_VALUE}}' })
    publish('temp', { data: 'bad' })
    publish('temp', { data: 'good' })
    await until(() => receiver.received.length === 2 && events.some(({ name }) => name.startsWith('hook-error')))
    await stop(first)
    assert.equal((await rows()).length, 2)

    receiver.received.length = 0
    receiver.answer = (_request, response) => response.end()
    const second = await start()
    await settle(second)
    assert.deepEqual(
      receiver.received.map(({ body }) => body),
      ['good'],
    )
    clock.advance(30_000)
    await settle(second)
    assert.deepEqual(
      receiver.received.map(({ body }) => body),
      ['good', 'bad'],
    )
    assert.deepEqual(await rows(), [])
  })

  it('can be replayed from the dead letters, as they are then, or deleted', async () => {
    receiver.answer = (_request, response) => response.writeHead(400).end()
    const integrations = await start({ limits: { attempts: 1 } })
    const made = await hook(integrations, { body: 'old' })
    for (const data of ['a', 'b', 'c', 'd']) {
      publish('temp', { data })
      clock.advance(1)
      await settle(integrations)
    }
    const letters = await integrations.deadLetters(made, { limit: 10, offset: 0 })
    assert.deepEqual(
      letters.map(({ event }) => event.data),
      ['d', 'c', 'b', 'a'],
    )
    assert.deepEqual(
      (await integrations.deadLetters(made, { limit: 1, offset: 2 })).map(({ event }) => event.data),
      ['b'],
    )
    receiver.received.length = 0
    receiver.answer = (_request, response) => response.end()
    const { settings } = made
    const edited = await integrations.replace(made, { ...settings, body: 'new {{PARTICLE_EVENT_VALUE}}' })
    assert.ok(edited)
    const id = letters[3]?.id ?? ''
    assert.equal(await integrations.replay(edited, id), 1)
    assert.equal(await integrations.replay(edited, id), 0)
    await settle(integrations)
    assert.deepEqual(
      receiver.received.map(({ body }) => body),
      ['new a'],
    )
    assert.equal(await integrations.deleteDeadLetters(edited, letters[0]?.id), 1)
    assert.equal((await integrations.deadLetter(edited, letters[1]?.id ?? ''))?.event.data, 'c')
    assert.equal(await integrations.replay(edited), 2)
    await settle(integrations)
    assert.deepEqual(
      receiver.received.map(({ body }) => body),
      ['new a', 'new b', 'new c'],
    )
    assert.equal(integrations.deadCount(edited), 0)
    assert.deepEqual(await rows(), [])
  })

  it('keep a number of dead letters, the newest', async () => {
    const integrations = await start({ allowPrivate: false, limits: { deadLetters: 3 } })
    const made = await hook(integrations)
    for (let i = 0; i < 8; i++) {
      publish('temp', { data: String(i) })
      clock.advance(1)
      await settle(integrations)
    }
    const letters = await integrations.deadLetters(made, { limit: 10, offset: 0 })
    assert.deepEqual(
      letters.map(({ event }) => event.data),
      ['7', '6', '5'],
    )
    assert.equal(integrations.deadCount(made), 3)
  })

  it('take no more than the queue holds, say so now and then, and count it', async () => {
    receiver.answer = () => undefined
    const integrations = await start({ limits: { waitingPerIntegration: 3 } })
    const made = await hook(integrations)
    for (let i = 0; i < 10; i++) publish()
    assert.equal(integrations.waiting(made), 3)
    assert.deepEqual(shown(), [
      'hook-error/temp/x/0=error too many events wait for this webhook: this one was not taken',
    ])
    assert.equal(integrations.statistics().deliveries.dropped, 7)
  })

  it('have so many requests under way at a time, in turn', async () => {
    let most = 0
    let now = 0
    const waiting: (() => void)[] = []
    receiver.answer = (_request, response) => {
      most = Math.max(most, ++now)
      waiting.push(() => {
        now--
        response.end()
      })
    }
    const integrations = await start({ limits: { concurrencyPerHost: 4, concurrency: 4 } })
    await hook(integrations, { body: 'busy', event: 'busy' })
    await hook(integrations, { body: 'quiet', event: 'quiet' })
    for (let i = 0; i < 50; i++) publish('busy')
    publish('quiet')
    let at = -1
    for (let done = 0; done < 51; done++) {
      const next = await until(() => waiting.shift())
      next()
      if (at < 0) at = receiver.received.findIndex(({ body }) => body === 'quiet')
    }
    await settle(integrations)
    assert.equal(receiver.received.length, 51)
    assert.equal(most, 4)
    assert.ok(at < 10, `the other one waited for ${at} requests`)
  })

  it('send nothing more once they are disabled, replaced or deleted', async () => {
    receiver.answer = (_request, response) => response.writeHead(500).end()
    const integrations = await start()
    const one = await hook(integrations, { body: 'one' })
    const two = await hook(integrations, { body: 'two' })
    publish()
    await settle(integrations)
    await integrations.replace(one, { ...one.settings, disabled: true })
    await integrations.delete(two)
    assert.equal((await rows()).length, 1)
    publish()
    clock.advance(30_000)
    await settle(integrations)
    assert.equal(receiver.received.length, 2)
    const [letter] = await integrations.deadLetters(one, { limit: 1, offset: 0 })
    assert.equal(letter?.error, 'error the webhook is disabled')
    assert.deepEqual(
      integrations.list(alice).map(({ id }) => id),
      [one.id],
    )
    await integrations.ownerDeleted(alice)
    assert.deepEqual([integrations.list(alice), await rows()], [[], []])
  })

  it('of a product hear of all its devices, and tell the product and the owner', async () => {
    receiver.answer = (_request, response) => response.end('ok')
    const integrations = await start()
    await hook(integrations, { json: { u: '{{PRODUCT_USER_ID}}' } }, { kind: 'product', productId: 10_001 })
    bus.publish({
      name: 'temp',
      data: '1',
      ttl: 60,
      publishedAt: 0,
      coreid: deviceId,
      deviceId,
      productId: 10_001,
      version: 3,
    })
    await settle(integrations)
    publish('temp', { productId: 10_001 })
    await settle(integrations)
    assert.equal(JSON.parse(receiver.received[0]?.body ?? '').fw_version, 3)
    assert.equal(JSON.parse(receiver.received[1]?.body ?? '').u, 'alice')
    assert.deepEqual(
      events.map(({ productId, owner }) => [productId, owner]),
      [
        [10_001, undefined],
        [10_001, undefined],
        [10_001, 'alice'],
        [10_001, 'alice'],
      ],
    )
  })

  it('are tested without a word on the streams', async () => {
    receiver.answer = ({ body }, response) => response.writeHead(body === 'fail' ? 418 : 200).end(`got ${body}`)
    const integrations = await start()
    const made = await hook(integrations, { body: '{{PARTICLE_EVENT_VALUE}}' })
    assert.deepEqual(await integrations.test(made, { data: 'x', coreid: 'api' }), { pass: true, data: 'got x' })
    const failed = await integrations.test(made, { data: 'fail', coreid: 'api' })
    assert.deepEqual(
      [failed.pass, failed.data, failed.error],
      [false, 'got fail', `error status 418 from ${new URL(receiver.url).host}`],
    )
    assert.deepEqual(events, [])
    const { logs, days } = integrations.log(made)
    assert.deepEqual(
      logs.map(({ type, response }) => [type, response]),
      [
        ['error', '418 got fail'],
        ['success', '200 got x'],
      ],
    )
    assert.deepEqual(days, [{ date: '2026-11-21', success: 1, error: 1, sleep: 0 }])
  })

  it('of a node that has died go on at another, and of one that lives do not', async () => {
    receiver.answer = () => undefined
    const busA = createLocalBus((error) => assert.fail(String(error)))
    const nodeA = await start({ bus: busA, shared: true })
    await hook(nodeA)
    busA.publish({ name: 'temp', data: '1', ttl: 60, publishedAt: 0, coreid: 'api', owner: 'alice' })
    await until(() => receiver.received.length === 1)
    clock.advance(30)
    const nodeB = await start({ shared: true })
    // A says again that it has it, for as long as it lives.
    for (let i = 0; i < 12; i++) {
      clock.advance(10_000)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    assert.equal(nodeB.statistics().waiting, 0)
    // Now it is as if A had been killed: nobody says it any more.
    await store.db
      .updateTable('webhook_deliveries')
      .set({ lease_until: clock.now() - 1 })
      .execute()
    await stop(nodeA)
    receiver.received.length = 0
    receiver.answer = (_request, response) => response.end()
    await store.db
      .updateTable('webhook_deliveries')
      .set({ lease_until: clock.now() - 1 })
      .execute()
    for (let i = 0; i < 10 && receiver.received.length === 0; i++) {
      clock.advance(10_000)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    await until(() => receiver.received.length === 1)
  })
})
