import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import type { LookupFunction } from 'node:net'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, describe, it } from 'node:test'
import { systemClock } from '../clock.ts'
import { until } from '../gateway/until.ts'
import { AddressPolicy, addressRefused, type Resolve } from './addresses.ts'
import type { OutgoingRequest } from './request.ts'
import { Sender, type SenderOptions } from './sender.ts'
import { Receiver, TestClock } from './test-receiver.ts'

const request = (url: string, more: Partial<OutgoingRequest> = {}): OutgoingRequest => ({
  method: 'POST',
  url: new URL(url),
  headers: { 'content-type': 'text/plain' },
  body: 'hello',
  rejectUnauthorized: true,
  ...more,
})
/** A resolver that answers in turn. */
function resolver(...answers: string[][]): Resolve & { asked: string[] } {
  const asked: string[] = []
  const resolve: Resolve = (hostname, _options, callback) => {
    asked.push(hostname)
    const addresses = answers.length > 1 ? answers.shift() : answers[0]
    process.nextTick(() =>
      callback(
        null,
        (addresses ?? []).map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
      ),
    )
  }
  return Object.assign(resolve, { asked })
}

describe('addresses that webhooks may go to', () => {
  it('are public ones', () => {
    const policy = new AddressPolicy()
    const refused = [
      ...['127.0.0.1', '127.8.8.8', '0.0.0.0', '10.1.2.3', '172.16.0.1', '192.168.1.1', '169.254.169.254'],
      ...['100.64.0.1', '192.0.2.1', '198.18.0.1', '224.0.0.1', '240.0.0.1', '255.255.255.255', '192.0.0.8'],
      ...['::', '::1', 'fe80::1', 'fe80::1%eth0', 'fc00::1', 'fd00:ec2::254', 'fec0::1', 'ff02::1', '2001:db8::1'],
      ...[
        '::ffff:127.0.0.1',
        '::ffff:10.0.0.1',
        '::ffff:a9fe:a9fe',
        '::127.0.0.1',
        '::7f00:1',
        '4000::1',
        '64:ff9b::7f00:1',
        '2002:7f00:1::1',
        '2001::1',
      ],
      ...['localhost', '', '8.8.8.8/8'],
    ]
    for (const address of refused) assert.equal(policy.allows(address), false, address)
    for (const address of ['8.8.8.8', '2606:4700::1111', '::ffff:8.8.8.8', '172.32.0.1']) {
      assert.equal(policy.allows(address), true, address)
    }
  })

  it('are others when the cloud’s owner says so', () => {
    const policy = new AddressPolicy({ allowPrivate: ['10.1.0.0/16', '127.0.0.1', 'fd00::/8'] })
    for (const address of ['10.1.9.9', '127.0.0.1', '::ffff:10.1.0.1', 'fd12::1', '9.9.9.9']) {
      assert.equal(policy.allows(address), true, address)
    }
    for (const address of ['10.2.0.1', '127.0.0.2', 'fc00::1']) assert.equal(policy.allows(address), false, address)
    assert.equal(new AddressPolicy({ allowPrivate: true }).allows('127.0.0.1'), true)
    assert.throws(() => new AddressPolicy({ allowPrivate: ['10.1.0.0/33'] }), RangeError)
    assert.throws(() => new AddressPolicy({ allowPrivate: ['office'] }), RangeError)
  })

  it('are chosen from what a name means, for one and for all', async () => {
    const policy = new AddressPolicy({ lookup: resolver(['10.0.0.1', '9.9.9.9', '::1']) })
    const look = (options: object) =>
      new Promise((resolve, reject) => {
        const done: Parameters<LookupFunction>[2] = (error, found, family) =>
          error ? reject(error) : resolve([found, family])
        policy.lookup('mixed.example', options, done)
      })
    assert.deepEqual(await look({}), ['9.9.9.9', 4])
    assert.deepEqual(await look({ all: true }), [[{ address: '9.9.9.9', family: 4 }], undefined])
    const inside = new AddressPolicy({ lookup: resolver(['10.0.0.1']) })
    await assert.rejects(
      new Promise((_resolve, reject) => inside.lookup('inside.example', {}, (error) => reject(error))),
      { code: addressRefused },
    )
  })
})

describe('a request that is sent', () => {
  let receiver: Receiver
  const senders: Sender[] = []
  const make = (options: Partial<SenderOptions> = {}): Sender => {
    const sender = new Sender({ clock: systemClock, allowPrivate: true, ...options })
    senders.push(sender)
    return sender
  }
  before(async () => {
    receiver = await Receiver.start()
  })
  after(() => receiver.stop())
  afterEach(() => {
    for (const sender of senders.splice(0)) sender.close()
    receiver.received.length = 0
    receiver.answer = (_request, response) => response.end()
  })

  it('arrives as it is, and its response comes back', async () => {
    receiver.answer = (_request, response) => response.writeHead(201, { 'retry-after': '7' }).end('grüße')
    const told: string[] = []
    const answer = await make().send(request(`${receiver.url}/a?b=c`, { method: 'PUT' }), {
      sent: () => told.push('sent'),
    })
    assert.deepEqual(answer, { status: 201, body: 'grüße', host: new URL(receiver.url).host, retryAfter: '7' })
    const [got] = receiver.received
    assert.deepEqual(
      [got?.method, got?.url, got?.body, got?.headers['content-length']],
      ['PUT', '/a?b=c', 'hello', '5'],
    )
    assert.deepEqual(told, ['sent'])
  })

  it('uses connections again, also those that the server has closed meanwhile', async () => {
    const sockets = new Set<unknown>()
    let closing = false
    receiver.answer = (_request, response) => {
      sockets.add(response.socket)
      const { socket } = response
      response.end()
      if (closing) setImmediate(() => socket?.destroy())
    }
    const sender = make()
    for (let i = 0; i < 5; i++) await sender.send(request(receiver.url))
    assert.equal(sockets.size, 1)
    closing = true
    for (let i = 0; i < 5; i++) assert.equal((await sender.send(request(receiver.url))).status, 200)
  })

  it('goes to no private address, however it is written', async () => {
    const sender = make({ allowPrivate: false })
    const { port } = receiver
    const hosts = ['127.0.0.1', '2130706433', '0x7f.1', '[::1]', '[::ffff:127.0.0.1]', '0', '127.1', 'localhost']
    for (const host of hosts) {
      await assert.rejects(
        sender.send(request(`http://${host}:${port}/`)),
        { code: addressRefused, permanent: true },
        host,
      )
    }
    assert.equal(receiver.received.length, 0)
  })

  it('goes to the address that was asked about, whatever the name means a moment later', async () => {
    const lookup = resolver(['127.0.0.1'])
    const { port } = receiver
    await assert.rejects(make({ allowPrivate: false, lookup }).send(request(`http://evil.example:${port}/`)), {
      code: addressRefused,
    })
    // The name is good when it is looked up first, and means this machine ever after.
    const rebinding = resolver(['192.0.0.8'], ['127.0.0.1'])
    const sender = make({ allowPrivate: ['192.0.0.8'], lookup: rebinding, limits: { timeout: 300 } })
    await assert.rejects(sender.send(request(`http://rebind.example:${port}/`)))
    assert.deepEqual(rebinding.asked, ['rebind.example'])
    assert.equal(receiver.received.length, 0)
    // A kept connection is no way around it either: it was asked about when it was made.
    const both = make({ allowPrivate: ['127.0.0.1'], lookup: resolver(['127.0.0.1']) })
    assert.equal((await both.send(request(`http://allowed.example:${port}/`))).status, 200)
    await assert.rejects(both.send(request(`http://127.0.0.2:${port}/`)), { code: addressRefused })
  })

  it('follows redirects as browsers do, a few', async () => {
    receiver.answer = ({ url }, response) => {
      const at = Number(url.slice(1))
      if (at < 3) response.writeHead(at === 0 ? 307 : 302, { location: `/${at + 1}` }).end('x'.repeat(100_000))
      else response.end('there')
    }
    const sender = make()
    assert.equal((await sender.send(request(`${receiver.url}/0`))).body, 'there')
    assert.deepEqual(
      receiver.received.map(({ method, body }) => `${method} ${body}`),
      ['POST hello', 'POST hello', 'GET ', 'GET '],
    )
    receiver.answer = (_request, response) => response.writeHead(302, { location: '/' }).end()
    await assert.rejects(sender.send(request(receiver.url)), { code: 'ALOE_REDIRECTS' })
    receiver.answer = (_request, response) => response.writeHead(302, { location: 'file:///etc/passwd' }).end()
    await assert.rejects(sender.send(request(receiver.url)), { code: 'ALOE_REDIRECTS' })
  })

  it('is not led to private addresses by a redirect', async () => {
    const other = await Receiver.start(undefined, '127.0.0.2')
    try {
      const places = [
        `http://127.0.0.2:${other.port}/`,
        `http://inside.example:${other.port}/`,
        'http://169.254.169.254/latest',
      ]
      for (const location of places) {
        receiver.answer = (_request, response) => response.writeHead(307, { location }).end()
        const sender = make({ allowPrivate: ['127.0.0.1'], lookup: resolver(['127.0.0.2']) })
        await assert.rejects(sender.send(request(receiver.url)), { code: addressRefused, permanent: true }, location)
      }
      assert.equal(other.received.length, 0)
    } finally {
      await other.stop()
    }
  })

  it('takes no credentials to another host', async () => {
    const other = await Receiver.start(undefined, '127.0.0.2')
    try {
      const headers = {
        authorization: 'Basic x',
        'x-api-key': 'secret',
        'user-agent': 'me',
        'content-type': 'text/plain',
      }
      receiver.answer = ({ url }, response) =>
        response.writeHead(307, { location: url === '/' ? '/next' : `http://127.0.0.2:${other.port}/` }).end()
      await make().send(request(receiver.url, { headers }))
      assert.equal(receiver.received[1]?.headers['x-api-key'], 'secret')
      const [got] = other.received
      assert.equal(got?.headers.authorization, undefined)
      assert.equal(got?.headers['x-api-key'], undefined)
      assert.equal(got?.headers['user-agent'], 'me')
      assert.equal(got?.body, 'hello')
    } finally {
      await other.stop()
    }
  })

  it('has 20 seconds in all', async () => {
    const clock = new TestClock()
    const drip = (response: { write(text: string): unknown }) => setInterval(() => response.write('.'), 5).unref()
    for (const answer of [
      () => undefined,
      (response: import('node:http').ServerResponse) => {
        const timer = drip(response)
        response.on('close', () => clearInterval(timer))
      },
    ]) {
      receiver.received.length = 0
      receiver.answer = (_request, response) => answer(response)
      const sending = make({ clock }).send(request(receiver.url))
      const failed = assert.rejects(sending, { code: 'ETIMEDOUT', message: 'no answer within 20 s' })
      await until(() => receiver.received.length === 1)
      clock.advance(19_999)
      await new Promise((resolve) => setTimeout(resolve, 20))
      clock.advance(1)
      await failed
    }
  })

  it('reads no more of a response than is of use', async () => {
    let written = 0
    receiver.answer = (_request, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write('x'.repeat(65_536))) written += 65_536
        if (!response.destroyed) response.once('drain', more)
      }
      more()
    }
    const { body } = await make().send(request(receiver.url))
    assert.equal(body.length, 1024 * 1024)
    assert.ok(written < 64 * 1024 * 1024)
  })

  it('fails when what answers speaks no HTTP, or says too much', async () => {
    const answers = [
      'garbage\r\n\r\n',
      'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort',
      `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(50_000)}\r\n\r\n`,
      '',
      'HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n',
    ]
    for (const answer of answers) {
      const server = createServer((socket) => {
        socket.on('error', () => undefined)
        socket.once('data', () => socket.end(answer))
      })
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      const { port } = server.address() as AddressInfo
      await assert.rejects(
        make().send(request(`http://127.0.0.1:${port}/`)),
        { name: 'SendError', permanent: false },
        answer.slice(0, 40),
      )
      server.close()
    }
    const { port } = receiver
    await assert.rejects(make({ lookup: resolver([]) }).send(request(`http://nowhere.example:${port}/`)), {
      code: 'ENOTFOUND',
    })
    await assert.rejects(make().send(request('http://127.0.0.1:1/')), { code: 'ECONNREFUSED' })
  })

  it('breaks off when the cloud stops', async () => {
    receiver.answer = () => undefined
    const sender = make()
    const sending = assert.rejects(sender.send(request(receiver.url)), { code: 'ALOE_STOPPED' })
    await until(() => receiver.received.length === 1)
    sender.close()
    await sending
  })

  it('checks certificates, unless told otherwise', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'aloe-tls-'))
    try {
      const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
      const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1']
      try {
        execFileSync('openssl', [...args, '-subj', '/CN=127.0.0.1', '-keyout', key, '-out', cert], { stdio: 'ignore' })
      } catch {
        t.skip('there is no openssl')
        return
      }
      const secure = await Receiver.start({ key: readFileSync(key), cert: readFileSync(cert) })
      const sender = make()
      await assert.rejects(sender.send(request(secure.url)), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT', permanent: false })
      assert.equal((await sender.send(request(secure.url, { rejectUnauthorized: false }))).status, 200)
      // What one webhook trusts is no reason for another to.
      await assert.rejects(sender.send(request(secure.url)), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
      assert.equal(secure.received.length, 1)
      await secure.stop()
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
