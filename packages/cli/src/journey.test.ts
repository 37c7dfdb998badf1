import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type AloeProcess, type AloeResult, runAloe, startAloe } from './aloe-process.ts'

const password = 'correct horse'

const application = `
import { Particle, System } from 'device-os'
let total = 0
export function setup(): void {
  Particle.variable('total', () => total)
  Particle.function('add', (argument) => {
    total += Number(argument)
    void Particle.publish('added', argument)
    return total
  })
  void Particle.publish('uptime', String(System.uptime() >= 0))
}
`

/** One story, told in order: each step builds on those before it. */
describe('aloe, from an empty folder to a healed device', () => {
  let root = ''
  let cloud: AloeProcess
  let device: AloeProcess
  let url = ''
  const path = (...parts: string[]) => join(root, ...parts)
  const env = () => ({ HOME: path('home'), ALOE_CLOUD: url })
  const aloe = (...args: string[]): Promise<AloeResult> => runAloe(args, { env: env(), cwd: root })
  const ok = async (...args: string[]): Promise<AloeResult> => {
    const result = await aloe(...args)
    assert.equal(result.code, 0, `aloe ${args.join(' ')}: ${result.err}`)
    return result
  }
  const json = async (...args: string[]) => JSON.parse((await ok(...args, '--json')).out)

  before(() => {
    root = mkdtempSync(join(tmpdir(), 'aloe-journey-'))
    mkdirSync(path('home'))
    mkdirSync(path('app', 'src'), { recursive: true })
    writeFileSync(path('app', 'src', 'index.ts'), application)
  })
  after(async () => {
    for (const part of [device, cloud]) {
      part?.child.kill('SIGTERM')
      await part?.ended
    }
    rmSync(root, { recursive: true, force: true })
  })

  it('builds the releases of the Device OS', async () => {
    const releases = await json('device-os', 'build', '--all', '-o', path('releases'))
    assert.deepEqual(
      releases.map(({ version }: { version: string }) => version),
      ['1.0.0', '1.1.0-rc.1', '1.1.0', '2.0.0'],
    )
    const [one] = await json('device-os', 'build', '--version', '1.1.0', '-o', path('one'))
    assert.deepEqual([one.version, one.folder], ['1.1.0', path('one', '1.1.0')])
  })

  it('starts a cloud by environment, says where it is in one line, and makes its keys', async () => {
    cloud = startAloe(['up', '--json', '--releases', path('releases')], {
      env: {
        ALOE_HTTP_PORT: '0',
        ALOE_TCP_PORT: '0',
        ALOE_UDP_PORT: '0',
        ALOE_DATA_DIR: path('data'),
        ALOE_ADMIN_USERNAME: 'ada',
        ALOE_ADMIN_PASSWORD: password,
        ALOE_LOG_LEVEL: 'warn',
        ALOE_HOST: '',
      },
      cwd: root,
    })
    const ready = JSON.parse(await cloud.line())
    assert.deepEqual(Object.keys(ready), ['ready', 'http', 'tcp', 'udp'])
    assert.match(ready.http, /^http:\/\/127\.0\.0\.1:\d+$/)
    url = ready.http
    assert.equal((await fetch(`${url}/health`)).status, 200)
    assert.match(readFileSync(path('data', 'keys', 'tcp.pub.pem'), 'utf8'), /BEGIN PUBLIC KEY/)
  })

  it('wants a login first, and remembers it', async () => {
    const before = await aloe('list')
    assert.equal(before.code, 3)
    assert.match(before.err, /aloe login --cloud http/)
    assert.equal((await aloe('login', '-u', 'ada', '-p', 'wrong')).code, 3)
    assert.equal((await json('login', '-u', 'ada', '-p', password)).username, 'ada')
    assert.deepEqual(await json('whoami'), { username: 'ada', cloud: url })
    const asking = await aloe('login', '-u', 'ada')
    assert.equal(asking.code, 2)
    assert.match(asking.err, /There is no terminal to ask on/)
  })

  it('makes a device that the cloud knows, and runs it', async () => {
    const made = await json('device', 'create', '--dir', path('blinky'), '--name', 'blinky', '--device-os', '1.0.0')
    assert.match(made.id, /^[0-9a-f]{24}$/)
    assert.equal(made.registered, true)
    const { udp } = (await (await fetch(`${url}/.well-known/aloe`)).json()) as { udp: unknown }
    assert.equal(made.protocol, udp === null ? 'tcp' : 'udp')
    const again = await aloe('device', 'create', '--dir', path('blinky'), '--name', 'x')
    assert.match(again.err, /already a device/)
    const namesake = await aloe('device', 'create', '--dir', path('other'), '--name', 'blinky')
    assert.match(namesake.err, /another device with this name/)
    assert.equal(existsSync(path('other')), false)
    assert.equal((await json('list')).length, 1, 'it is not claimed either')
    device = startAloe(['device', 'run', path('blinky'), '--json'], { env: env(), cwd: root })
    while (!(await device.line()).includes('breathing cyan'));
    const [listed] = await json('list', 'blin')
    assert.deepEqual([listed.id, listed.connected, listed.status], [made.id, true, 'normal'])
    assert.match((await ok('list')).out, /blinky .*online .*linux .*1\.0\.0/)
    assert.equal((await ok('call', 'blinky', 'digitalwrite', 'D7,HIGH')).out, '1\n')
  })

  it('names what the Device OS of the device lacks', async () => {
    const result = await aloe('flash', 'blinky', path('app'), '--json')
    assert.equal(result.code, 1)
    const { error, diagnostics } = JSON.parse(result.err)
    assert.match(error, /System\.uptime is not in Device OS 1\.0\.0; it came with 1\.1\.0/)
    assert.equal(diagnostics[0].file, 'src/index.ts')
  })

  it('flashes an application for a newer Device OS, and the device is healed', async () => {
    const flashed = await json('flash', 'blinky', path('app'), '--target', '2.0.0', '--timeout', '120')
    assert.deepEqual(flashed.sent, ['user_part 1@6', 'bootloader 0@200', 'system_part 1@2000', 'system_part 2@2000'])
    assert.equal(flashed.device_os, '2.0.0')
    while (!(await device.line()).includes('breathing cyan'));
  })

  it('talks to the application', async () => {
    const watching = startAloe(['subscribe', 'added', '--device', 'blinky', '--max', '1', '--json'], { env: env() })
    await new Promise((resolve) => setTimeout(resolve, 1000))
    assert.equal((await ok('call', 'blinky', 'add', '5')).out, '5\n')
    assert.equal((await ok('get', 'blinky', 'total')).out, '5\n')
    const { out, code } = await watching.ended
    assert.equal(code, 0)
    assert.deepEqual([JSON.parse(out).name, JSON.parse(out).data], ['added', '5'])
    assert.deepEqual(await json('publish', 'hello', 'world'), { ok: true })
    assert.equal((await aloe('call', 'blinky', 'nothing')).code, 1)
  })

  it('compiles an application into a file, which it can look into and flash', async () => {
    const { file, target } = await json('compile', path('app'), '-o', path('app.bin'))
    assert.equal(target, '2.0.0')
    const inspected = await json('binary', 'inspect', file)
    assert.equal(inspected.modules[0].function, 'user_part')
    assert.deepEqual(inspected.modules[0].dependencies, [{ function: 'system_part', index: 2, version: 2000 }])
    assert.deepEqual((await json('flash', 'blinky', file)).sent, ['user_part 1@6'])
    const damaged = readFileSync(file)
    damaged[100] = (damaged[100] ?? 0) ^ 1
    writeFileSync(path('damaged.bin'), damaged)
    assert.match((await aloe('flash', 'blinky', path('damaged.bin'))).err, /is damaged/)
    assert.equal((await aloe('binary', 'inspect', path('damaged.bin'))).code, 1)
    assert.match((await aloe('binary', 'inspect', path('app', 'src', 'index.ts'))).err, /is not a module file/)
  })

  it('takes the device back to an older Device OS, and forward again, within its policy', async () => {
    await ok('compile', path('app'), '--target', '1.1.0', '-o', path('older.bin'))
    const args = ['downgrade', 'blinky', '--target', '1.1.0', '--app', path('older.bin'), '--yes']
    const { job } = await json(...args, '--timeout', '120')
    const labels = (modules: { function: string; index: number; version: number }[]) =>
      modules.map((module) => `${module.function} ${module.index}@${module.version}`)
    assert.deepEqual(labels(job.sent), ['user_part 1@6', 'system_part 2@1101', 'system_part 1@1101'])
    assert.equal(job.state, 'done')

    const { effective } = await json('update', 'policy', 'blinky', '--lock-device-os')
    assert.equal(effective.device_os, false)
    const queued = await json('update', 'blinky', '--target', '2.0.0', '--yes', '--no-wait')
    assert.equal(queued.waited, false)
    await json('update', 'policy', 'blinky', '--clear')
    const watched = await json('update', 'watch', 'blinky', '--timeout', '120')
    assert.deepEqual(labels(watched.job.sent), ['system_part 1@2000', 'system_part 2@2000'])
    const { timeline } = await json('update', 'status', 'blinky', queued.job.id)
    const steps = timeline.map(({ what }: { what: string }) => what)
    assert.deepEqual(steps.filter((what: string) => what === 'verified').length, 2)
    assert.equal(steps.at(-1), 'done')
    const { months } = await json('update', 'data', 'blinky')
    assert.ok(months[0].ota.total > 10_000 && months[0].messages.total > 100, JSON.stringify(months))
  })

  it('writes the server key for a board', async () => {
    const args = ['--protocol', 'tcp', '--host', '192.168.1.10', '-o', path('key.bin')]
    const { size, port } = await json('keys', 'server', ...args)
    assert.equal(size, 512)
    const blob = readFileSync(path('key.bin'))
    const key = readFileSync(path('data', 'keys', 'tcp.pub.der'))
    assert.equal(digest(blob.subarray(0, key.length)), digest(key))
    assert.equal(blob.readUInt16BE(450), port)
    const own = [
      '--protocol',
      'udp',
      '--key',
      path('data', 'keys', 'udp.pub.pem'),
      '--host',
      'a.example',
      '--port',
      '5684',
    ]
    assert.equal((await json('keys', 'server', ...own, '-o', path('udp.bin'))).size, 320)
  })

  it('lists the releases, renames and gives up the device, and logs out', async () => {
    const versions = await json('device-os', 'list')
    assert.equal(versions[0].version, '2.0.0')
    await ok('device', 'rename', 'blinky', 'kitchen')
    const [{ id }] = await json('list', 'kitchen')
    assert.equal((await aloe('device', 'remove', 'kitchen')).code, 2)
    await ok('device', 'remove', 'kitchen', '--yes')
    assert.deepEqual(await json('list'), [])
    await ok('device', 'add', id)
    assert.equal((await json('list')).length, 1)
    await ok('logout')
    assert.equal((await aloe('whoami')).code, 3)
  })

  it('works with a token alone, and says when there is no cloud', async () => {
    const login = {
      username: 'ada',
      password,
      grant_type: 'password',
      client_id: 'particle',
      client_secret: 'particle',
    }
    const answer = await fetch(`${url}/oauth/token`, { method: 'POST', body: new URLSearchParams(login) })
    const { access_token: token } = (await answer.json()) as { access_token: string }
    const withToken = { ...env(), HOME: path('nobody'), ALOE_TOKEN: token }
    const args = ['device', 'create', '--dir', path('second'), '--name', 'second', '--device-os', '1.1.0', '--json']
    const made = await runAloe([...args, '--protocol', 'tcp'], { env: withToken })
    assert.equal(JSON.parse(made.out).registered, true, made.err)
    assert.equal(JSON.parse(made.out).protocol, 'tcp')
    const nowhere = await runAloe(['list', '--cloud', 'http://127.0.0.1:1', '--json'], { env: withToken })
    assert.equal(nowhere.code, 4)
    assert.match(JSON.parse(nowhere.err).error, /cannot be reached: ECONNREFUSED/)
    const offline = await runAloe(['call', 'second', 'x'], { env: withToken })
    assert.equal(offline.code, 5, offline.err)
  })

  it('takes a device from one transport to the other, with its other key', async () => {
    await json('login', '-u', 'ada', '-p', password)
    for (const protocol of ['tcp', 'udp']) {
      const args = ['device', 'run', path('second'), '--protocol', protocol, '--cloud', url, '--json']
      const second = startAloe(args, { env: env(), cwd: root })
      while (!(await second.line()).includes('breathing cyan'));
      assert.equal(JSON.parse(readFileSync(path('second', 'device.json'), 'utf8')).transport, protocol)
      second.child.kill('SIGTERM')
      assert.equal((await second.ended).code, 0)
    }
  })

  it('switches off what it was told to, in order', async () => {
    device.child.kill('SIGTERM')
    assert.equal((await device.ended).code, 0)
    cloud.child.kill('SIGTERM')
    const { code, out } = await cloud.ended
    assert.equal(code, 0)
    assert.equal(out.trim().split('\n').length, 1)
  })
})

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
