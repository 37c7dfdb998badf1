/** Every command of particle-cli, and what comes of it. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { CliResult, CliRunOptions, OfficialCli } from './official-cli.ts'
import type { Row } from './row.ts'
import { eventually, file, newerApplication, type World } from './world.ts'

export interface CliStage {
  readonly world: World
  /** Logged in as the owner. */
  readonly cli: OfficialCli
  /** With a profile of its own. */
  profile(name: string, token?: string): OfficialCli
  /** A product of the owner's for platform `linux`. */
  readonly product: number
}

type CliRow = Row<CliStage>

async function ok(cli: OfficialCli, ...args: string[]): Promise<CliResult> {
  const result = await cli.run(args)
  assert.equal(result.code, 0, `particle ${args.join(' ')}: ${result.text}`)
  return result
}

/** What a variable of the device says now. */
async function variable({ world }: CliStage, device: string, name: string): Promise<unknown> {
  return (await world.owner.particle.getVariable({ deviceId: device, name })).body.result
}

/** Refused by the cloud, in words that the CLI shows; and nobody was logged out by it. */
function refuses(
  name: string,
  note: string,
  args: readonly string[],
  words: RegExp,
  prepare?: (stage: CliStage) => CliRunOptions,
): CliRow {
  return {
    name,
    outcome: 'refuses',
    note,
    async run(stage) {
      const { code, text } = await stage.cli.run(args, prepare?.(stage))
      assert.notEqual(code, 0, text)
      assert.match(text, words)
      assert.ok(stage.cli.profile.access_token, 'the CLI has forgotten who is logged in')
    },
  }
}

const local = (note: string, ...names: string[]): CliRow[] => names.map((name) => ({ name, outcome: 'local', note }))
const outside = (note: string, ...names: string[]): CliRow[] =>
  names.map((name) => ({ name, outcome: 'out of scope', note }))

/** The same command under two names. */
const both = (names: readonly string[], note: string, run: (stage: CliStage, words: string[]) => Promise<void>) =>
  names.map((name): CliRow => ({ name, outcome: 'works', note, run: (stage) => run(stage, name.split(' ')) }))

const accounts: CliRow[] = [
  ...both(
    ['login', 'cloud login'],
    'with name and password, with a token; a wrong password is said',
    async (stage, words) => {
      const { username, password } = stage.world.owner
      const cli = stage.profile(`login-${words.length}`)
      const wrong = await cli.run([...words, '-u', username, '-p', 'wrong'])
      assert.notEqual(wrong.code, 0)
      assert.match(wrong.text, /User credentials are invalid/)
      await ok(cli, ...words, '-u', username, '-p', password)
      assert.match(String(cli.profile.access_token), /^[0-9a-f]{40}$/)
      assert.match((await ok(cli, 'whoami')).out, new RegExp(username))
      const other = stage.profile(`token-${words.length}`)
      await ok(other, ...words, '--token', stage.world.token)
      assert.equal(other.profile.username, username)
    },
  ),
  ...both(['logout', 'cloud logout'], 'the token is gone from the profile and no longer good', async (stage, words) => {
    const { username, password } = stage.world.owner
    const cli = stage.profile(`logout-${words.length}`)
    await ok(cli, 'login', '-u', username, '-p', password)
    const token = String(cli.profile.access_token)
    await ok(cli, ...words)
    assert.ok(!cli.profile.access_token)
    const answer = await fetch(`${stage.world.url}/v1/devices`, { headers: { authorization: `Bearer ${token}` } })
    assert.equal(answer.status, 401)
  }),
  {
    name: 'whoami',
    outcome: 'works',
    note: 'the user of the token; a bad token is told and forgotten',
    async run({ cli, world, profile }) {
      assert.match((await ok(cli, 'whoami')).out, new RegExp(world.owner.username))
      const stranger = profile('stranger', '0'.repeat(40))
      assert.match((await stranger.run(['whoami'])).text, /not logged in|invalid/i)
    },
  },
  {
    name: 'token create',
    outcome: 'works',
    note: 'the token that it prints opens the API; `--never-expires` has no end',
    async run({ world, profile }) {
      const { username, password } = world.owner
      const cli = profile('create', world.token)
      cli.write({ ...cli.profile, username })
      const made = await cli.run(['token', 'create', '--never-expires'], { input: `${password}\n` })
      const token = /^ +([0-9a-f]{40})$/m.exec(made.text)?.[1]
      assert.ok(token, made.text)
      assert.match(made.text, /never expires/)
      const answer = await fetch(`${world.url}/v1/access_tokens/current`, {
        headers: { authorization: `Bearer ${token}` },
      })
      assert.equal(((await answer.json()) as { expires_at: unknown }).expires_at, null)
    },
  },
  {
    name: 'token revoke',
    outcome: 'works',
    note: 'without credentials, as the CLI does it; an unknown token is said',
    async run({ cli, world }) {
      const { access_token } = (await world.owner.particle.login(world.owner)).body
      await ok(cli, 'token', 'revoke', access_token)
      const answer = await fetch(`${world.url}/v1/user`, { headers: { authorization: `Bearer ${access_token}` } })
      assert.equal(answer.status, 401)
      assert.match((await cli.run(['token', 'revoke', 'f'.repeat(40)])).text, /no such token/)
    },
  },
]

const devices: CliRow[] = [
  ...both(['list', 'cloud list'], 'devices with functions and variables', async ({ cli, world }, words) => {
    const { out } = await ok(cli, ...words)
    assert.match(out, new RegExp(`alpha \\[${world.alpha.id}\\] \\(Linux\\) is online`))
    assert.match(out, /temp \(double\)[\s\S]*int led \(String args\)/)
    assert.doesNotMatch((await ok(cli, ...words, 'alpha')).out, /beta/)
  }),
  ...both(
    ['device add', 'cloud claim'],
    'a device that connected becomes the owner’s; one that is somebody else’s is told',
    async (stage, words) => {
      const { cli, world } = stage
      const { particle } = world.owner
      const device = world.newDevice()
      await world.adopt(device, `claim-${words[0]}`)
      await particle.removeDevice({ deviceId: device.id })
      await ok(cli, ...words, device.id)
      const body: object = (await particle.getDevice({ deviceId: device.id })).body
      assert.equal('owner' in body && body.owner, world.owner.username)
      await particle.removeDevice({ deviceId: device.id })
    },
  ),
  ...both(['device rename', 'cloud name'], 'the name is the device’s from then on', async ({ cli, world }, words) => {
    await ok(cli, ...words, 'beta', 'gamma')
    assert.equal((await world.owner.particle.getDevice({ deviceId: 'gamma' })).body.id, world.beta.id)
    await ok(cli, ...words, 'gamma', 'beta')
  }),
  ...both(['device remove', 'cloud remove'], 'it is nobody’s then', async ({ cli, world }, words) => {
    const device = world.newDevice()
    await world.adopt(device, `remove-${words[0]}`)
    await ok(cli, ...words, `remove-${words[0]}`, '--yes')
    const { body } = await world.owner.particle.listDevices({})
    assert.ok(Array.isArray(body) && !body.some(({ id }: { id: string }) => id === device.id))
  }),
  ...both(['nyan', 'cloud nyan'], 'the device’s LED shouts rainbows, and stops', async ({ cli, world }, words) => {
    await ok(cli, ...words, 'alpha', 'on')
    await eventually('the LED signals', async () => world.alpha.status.led?.words.includes('rainbow'))
    await ok(cli, ...words, 'alpha', 'off')
    await eventually('the LED rests', async () => !world.alpha.status.led?.words.includes('rainbow'))
  }),
  {
    name: 'keys send',
    outcome: 'works',
    note: 'the key is registered: the device comes in with it and with no other',
    async run({ cli, world }) {
      const device = world.newDevice()
      const { devicePublicKeyPem } = await import('@aloe/device-os')
      const { udpDeviceKey } = device.flash.config
      assert.ok(udpDeviceKey)
      const path = file(world, 'device.pub.pem', devicePublicKeyPem(udpDeviceKey, 'udp'))
      await ok(cli, 'keys', 'send', device.id, path)
      await world.owner.particle.claimDevice({ deviceId: device.id })
      device.start()
      await eventually(
        'it is online',
        async () => (await world.owner.particle.getDevice({ deviceId: device.id })).body.connected,
      )
      await device.stop()
      await world.owner.particle.removeDevice({ deviceId: device.id })
    },
  },
]

const talking: CliRow[] = [
  ...both(
    ['call', 'function call'],
    'the value comes back; an unknown function is said; an offline device is not "not found"',
    async (stage, words) => {
      const { cli } = stage
      assert.equal((await ok(cli, ...words, 'alpha', 'led', 'on')).out.trim(), '1')
      assert.equal(await variable(stage, 'alpha', 'led'), 'on')
      const unknown = await cli.run([...words, 'alpha', 'nope'])
      assert.notEqual(unknown.code, 0)
      assert.match(unknown.text, /Function `nope` not found/)
      const product = await cli.run([...words, stage.world.alpha.id, 'led', 'off', '--product', String(stage.product)])
      assert.equal(product.out.trim(), '0', product.text)
      assert.equal(await variable(stage, 'alpha', 'led'), 'off')
    },
  ),
  {
    name: 'function list',
    outcome: 'works',
    note: 'of all devices, and of a product’s',
    async run({ cli, product }) {
      assert.match((await ok(cli, 'function', 'list')).out, /alpha[\s\S]*int led \(String args\)/)
      assert.match((await ok(cli, 'function', 'list', '--product', String(product))).out, /alpha[\s\S]*int led/)
    },
  },
  ...both(['get', 'variable get'], 'each type; an unknown one is said', async ({ cli, world, product }, words) => {
    assert.equal((await ok(cli, ...words, 'alpha', 'temp')).out.trim(), '21.5')
    assert.equal((await ok(cli, ...words, 'alpha', 'count')).out.trim(), '42')
    assert.match((await ok(cli, ...words, 'alpha', 'on', '--time')).out, /^\d{4}-.*(true|false)/)
    assert.match((await cli.run([...words, 'alpha', 'nope'])).text, /Variable not found/)
    assert.equal((await ok(cli, ...words, world.alpha.id, 'temp', '--product', String(product))).out.trim(), '21.5')
  }),
  {
    name: 'variable list',
    outcome: 'works',
    note: 'with types',
    run: async ({ cli }) => assert.match((await ok(cli, 'variable', 'list')).out, /temp \(double\)/),
  },
  ...both(['monitor', 'variable monitor'], 'it reads again and again', async ({ cli }, words) => {
    const monitor = cli.start([...words, 'alpha', 'temp', '--delay', '500'])
    await monitor.prints(/21\.5\s+21\.5/)
    monitor.stop()
    await monitor.ended
  }),
  {
    name: 'publish',
    outcome: 'works',
    note: 'devices that subscribe get it; also to a product',
    async run(stage) {
      await ok(stage.cli, 'publish', 'judge/hear', 'hello')
      await eventually(
        'the device heard it',
        async () => (await variable(stage, 'alpha', 'heard')) === 'judge/hear=hello',
      )
      const stream = stage.cli.start(['subscribe', 'judge/product', '--product', String(stage.product), '--max', '1'])
      await stream.prints(/Subscribing/)
      await eventually('it came on the product’s stream', async () => {
        await ok(stage.cli, 'publish', 'judge/product', 'there', '--product', String(stage.product))
        return await Promise.race([stream.ended, delay(300)])
      })
      assert.match((await stream.ended).out, /"data":"there"/)
    },
  },
  {
    name: 'subscribe',
    outcome: 'works',
    note: 'own devices, one device, a prefix, a product; what a device publishes comes out',
    async run({ cli, world, product }) {
      const forms = [
        ['judge/led'],
        ['--device', 'alpha'],
        ['judge/led', '--product', String(product)],
        ['judge/led', '--product', String(product), '--device', world.alpha.id],
      ]
      for (const form of forms) {
        const stream = cli.start(['subscribe', ...form, '--max', '1'])
        await stream.prints(/Subscribing/)
        await eventually('an event came', async () => {
          await world.owner.particle.callFunction({ deviceId: 'alpha', name: 'led', argument: 'on' })
          return await Promise.race([stream.ended, delay(1_100)])
        })
        const { text } = await stream.ended
        assert.match(text, new RegExp(`"coreid":"${world.alpha.id}"[\\s\\S]*"name":"judge/led"`), form.join(' '))
      }
    },
  },
]

const firmware: CliRow[] = [
  ...both(
    ['compile', 'cloud compile'],
    'a project folder with several files, a target; errors come with their place',
    async ({ cli, world }, words) => {
      const project = join(world.folder, `project-${words.length}`)
      mkdirSync(join(project, 'src'), { recursive: true })
      writeFileSync(join(project, 'project.properties'), 'name=judge\n')
      writeFileSync(join(project, 'particle.include'), '**/*.ts\n')
      writeFileSync(
        join(project, 'src', 'index.ts'),
        "import { answer } from './answer.ts'\nexport function setup(): void {\n  void answer\n}\n",
      )
      writeFileSync(join(project, 'src', 'answer.ts'), 'export const answer = 42\n')
      const saved = join(project, 'out.bin')
      const { text } = await ok(cli, ...words, 'linux', project, '--target', '1.1.0', '--saveTo', saved)
      assert.match(text, /Compile succeeded/)
      assert.ok(existsSync(saved), text)
      assert.ok(readFileSync(saved).length > 60)
      writeFileSync(join(project, 'src', 'answer.ts'), 'export const answer: number = "42"\n')
      const wrong = await cli.run([...words, 'linux', project, '--saveTo', join(project, 'no.bin')])
      assert.notEqual(wrong.code, 0)
      assert.match(wrong.text, /answer\.ts[\s\S]*not assignable/)
      assert.ok(!existsSync(join(project, 'no.bin')))
    },
  ),
  ...both(
    ['flash', 'cloud flash'],
    'a binary, sources, a bundle and Tinker; the new application answers',
    async (stage, words) => {
      const { cli, world } = stage
      const source = join(world.folder, `flash-${words.length}`)
      mkdirSync(source, { recursive: true })
      writeFileSync(join(source, 'index.ts'), newerApplication)
      writeFileSync(join(source, 'particle.include'), '**/*.ts\n')
      const cloud = words.length === 1 ? ['--cloud'] : []
      await ok(cli, ...words, ...cloud, 'beta', source, '--target', '1.1.0')
      await eventually('the new function is there', async () => {
        return (
          (await world.owner.particle.callFunction({ deviceId: 'beta', name: 'newer', argument: '' })).body
            .return_value === 7
        )
      })
      const binary = file(world, 'old.bin', world.module)
      await eventually(
        'it takes the next',
        async () => (await cli.run([...words, ...cloud, 'beta', binary])).code === 0,
      )
      await eventually('the old application is back', async () => {
        const { body } = await world.owner.particle.getDevice({ deviceId: 'beta' })
        return body.connected === true && body.functions?.includes('led') && !body.functions.includes('newer')
      })
    },
  ),
]

const integrations: CliRow[] = (['webhook', 'integration'] as const).flatMap((kind): CliRow[] => [
  {
    name: `${kind} create`,
    outcome: 'works',
    note: 'from an event and a URL, and from a JSON file; it fires (integrations have tests of their own)',
    async run({ cli, world }) {
      const path = file(
        world,
        `${kind}.json`,
        JSON.stringify({ event: `${kind}-file`, url: 'https://example.com/x', requestType: 'PUT' }),
      )
      await ok(cli, kind, 'create', `${kind}-event`, 'https://example.com/hook')
      await ok(cli, kind, 'create', path)
      const { body } = await world.owner.particle.listIntegrations({})
      const found = (body as { event: string; requestType: string }[]).filter(({ event }) => event.startsWith(kind))
      assert.deepEqual(found.map(({ event, requestType }) => [event, requestType]).sort(), [
        [`${kind}-event`, 'POST'],
        [`${kind}-file`, 'PUT'],
      ])
    },
  },
  {
    name: `${kind} list`,
    outcome: 'works',
    note: 'with event, URL and date',
    run: async ({ cli }) =>
      assert.match((await ok(cli, kind, 'list')).out, new RegExp(`${kind}-event[\\s\\S]*example\\.com`)),
  },
  ...(['GET', 'POST'] as const).map(
    (method): CliRow => ({
      name: `${kind} ${method}`,
      outcome: 'works',
      note: `makes one that asks by ${method}`,
      async run({ cli, world }) {
        await ok(cli, kind, method, `${kind}-${method}`, 'https://example.com/hook')
        const { body } = await world.owner.particle.listIntegrations({})
        const found = (body as { event: string; requestType: string }[]).find(
          ({ event }) => event === `${kind}-${method}`,
        )
        assert.equal(found?.requestType, method)
      },
    }),
  ),
  {
    name: `${kind} delete`,
    outcome: 'works',
    note: 'by id; an unknown one is said',
    async run({ cli, world }) {
      const list = async () => (await world.owner.particle.listIntegrations({})).body as { id: string; event: string }[]
      for (const { id } of (await list()).filter(({ event }) => event.startsWith(kind)))
        await ok(cli, kind, 'delete', id)
      assert.deepEqual(
        (await list()).filter(({ event }) => event.startsWith(kind)),
        [],
      )
      assert.notEqual((await cli.run([kind, 'delete', 'f'.repeat(24)])).text, '')
    },
  },
])

const products: CliRow[] = [
  {
    name: 'product device add',
    outcome: 'works',
    note: 'one id, and a file of ids; ids that are none are told',
    async run({ cli, world, product }) {
      await ok(cli, 'product', 'device', 'add', String(product), world.beta.id)
      const path = file(world, 'ids.txt', `${world.alpha.id}\n${world.beta.id}\nnonsense\n`)
      assert.match((await cli.run(['product', 'device', 'add', String(product), '--file', path])).text, /nonsense/)
      const { body } = await world.owner.particle.listDevices({ product })
      const ids = ('devices' in body ? body.devices : []).map(({ id }: { id: string }) => id)
      assert.deepEqual(ids.sort(), [world.alpha.id, world.beta.id].sort())
    },
  },
  {
    name: 'product device list',
    outcome: 'works',
    note: 'all, one, by name; text and JSON',
    async run({ cli, world, product }) {
      assert.match((await ok(cli, 'product', 'device', 'list', String(product))).out, new RegExp(world.alpha.id))
      assert.match((await ok(cli, 'product', 'device', 'list', String(product), world.alpha.id)).out, /alpha/)
      const named = await ok(cli, 'product', 'device', 'list', String(product), '--name', 'alph', '--json')
      assert.ok(named.out.includes(world.alpha.id) && !named.out.includes(world.beta.id), named.out)
    },
  },
  {
    name: 'product device remove',
    outcome: 'works',
    note: 'it is no longer in the list',
    async run({ cli, world, product }) {
      await ok(cli, 'product', 'device', 'remove', String(product), world.beta.id)
      const { body } = await world.owner.particle.listDevices({ product })
      assert.ok(!('devices' in body ? body.devices : []).some(({ id }: { id: string }) => id === world.beta.id))
    },
  },
]

const noLibraries = /Aloe has no librar/
const noLogic = /Aloe has no logic functions/

function aProject({ world }: CliStage): CliRunOptions {
  const cwd = join(world.folder, 'library-user')
  mkdirSync(join(cwd, 'src'), { recursive: true })
  writeFileSync(join(cwd, 'project.properties'), 'name=judge\n')
  return { cwd }
}

function aLibrary({ world }: CliStage): CliRunOptions {
  const cwd = join(world.folder, 'library')
  mkdirSync(join(cwd, 'src'), { recursive: true })
  const properties = { name: 'judge', version: '0.0.1', author: 'a', license: 'MIT', sentence: 's' }
  const lines = Object.entries(properties).map(([key, value]) => `${key}=${value}\n`)
  writeFileSync(join(cwd, 'library.properties'), lines.join(''))
  writeFileSync(join(cwd, 'src', 'judge.h'), '')
  writeFileSync(join(cwd, 'README.md'), '')
  writeFileSync(join(cwd, 'LICENSE'), '')
  return { cwd }
}

function aLogicFunction({ world }: CliStage): CliRunOptions {
  const cwd = join(world.folder, 'logic')
  mkdirSync(cwd, { recursive: true })
  const settings = { name: 'judge', description: '', enabled: true, source: { type: 'JavaScript' }, logic_triggers: [] }
  writeFileSync(join(cwd, 'judge.logic.json'), JSON.stringify({ logic_function: settings }))
  writeFileSync(join(cwd, 'judge.js'), 'export default function main() {}\n')
  return { cwd }
}

const others: CliRow[] = [
  {
    name: 'library list',
    outcome: 'works',
    note: 'there is no library service yet: the list is empty',
    run: async ({ cli }) => void (await ok(cli, 'library', 'list')),
  },
  {
    name: 'library search',
    outcome: 'works',
    note: 'finds none',
    run: async ({ cli }) => assert.match((await ok(cli, 'library', 'search', 'foo')).out, /Found 0 libraries/),
  },
  refuses('library view', 'no library service yet', ['library', 'view', 'foo'], noLibraries),
  refuses('library install', 'no library service yet', ['library', 'install', 'foo'], noLibraries, aProject),
  refuses('library add', 'no library service yet', ['library', 'add', 'foo'], noLibraries, aProject),
  refuses('library copy', 'no library service yet', ['library', 'copy', 'foo'], noLibraries, aProject),
  refuses('library publish', 'no library service yet', ['library', 'publish', 'foo'], noLibraries),
  refuses('library upload', 'no library service yet', ['library', 'upload'], noLibraries, aLibrary),
  refuses('library delete', 'no library service yet', ['library', 'delete', 'foo'], noLibraries, () => ({
    env: { PARTICLE_LIBRARY_DELETE_TOKEN: 'x' },
  })),
  {
    name: 'logic-function list',
    outcome: 'works',
    note: 'there are none: the list is empty',
    run: async ({ cli }) => assert.match((await ok(cli, 'logic-function', 'list')).out, /No Logic Functions/),
  },
  {
    name: 'config secrets list',
    outcome: 'works',
    note: 'there are none: the list is empty',
    run: async ({ cli }) => void (await ok(cli, 'config', 'secrets', 'list', '--sandbox')),
  },
  refuses('config secrets set', 'no secrets yet', ['config', 'secrets', 'set', 'A', 'b', '--sandbox'], /Aloe has no/),
  refuses('config secrets get', 'no secrets yet', ['config', 'secrets', 'get', 'A', '--sandbox'], /Aloe has no/),
  refuses('config secrets delete', 'no secrets yet', ['config', 'secrets', 'delete', 'A', '--sandbox'], /Aloe has no/),
  refuses('config env list', 'no environment variables yet', ['config', 'env', 'list', '--sandbox'], /Aloe has no/),
  refuses(
    'config env set',
    'no environment variables yet',
    ['config', 'env', 'set', 'A', 'b', '--sandbox'],
    /Aloe has no/,
  ),
  refuses(
    'config env delete',
    'no environment variables yet',
    ['config', 'env', 'delete', 'A', '--sandbox'],
    /Aloe has no/,
  ),
  ...['delete', 'disable', 'enable', 'get'].map((command) =>
    refuses(
      `logic-function ${command}`,
      'no logic functions yet: the cloud knows none',
      ['logic-function', command, '--name', 'x'],
      /Logic Function not found/,
    ),
  ),
  refuses(
    'logic-function deploy',
    'no logic functions yet',
    ['logic-function', 'deploy', '--name', 'judge', '--force'],
    noLogic,
    aLogicFunction,
  ),
  refuses(
    'logic-function execute',
    'no logic functions yet',
    ['logic-function', 'execute', '--name', 'judge', '--event_name', 'e', '--data', 'd'],
    noLogic,
    aLogicFunction,
  ),
]

export const cliRows: readonly CliRow[] = [
  ...accounts,
  ...devices,
  ...talking,
  ...firmware,
  ...integrations,
  ...products,
  ...others,
  ...local(
    'works on files of this machine',
    'binary enable-device-protection',
    'binary inspect',
    'binary list-assets',
    'binary strip-assets',
    'bundle',
    'preprocess',
    'project ai',
    'project create',
    'library create',
    'library migrate',
    'logic-function create',
  ),
  ...local(
    'the CLI itself',
    'help',
    'profile',
    'version',
    'update-cli',
    'doctor',
    'device doctor',
    'logic-function logs',
  ),
  ...local(
    'speaks with a board on USB or serial',
    'device-protection disable',
    'device-protection enable',
    'device-protection status',
    'identify',
    'keys address',
    'keys doctor',
    'keys load',
    'keys new',
    'keys save',
    'keys server',
    'serial flash',
    'serial identify',
    'serial inspect',
    'serial list',
    'serial mac',
    'serial monitor',
    'serial wifi',
    'update',
    'usb cloud-status',
    'usb configure',
    'usb dfu',
    'usb env',
    'usb list',
    'usb listen',
    'usb network-interfaces',
    'usb reset',
    'usb safe-mode',
    'usb send-request',
    'usb setup-done',
    'usb start-listening',
    'usb stop-listening',
    'wifi add',
    'wifi clear',
    'wifi current',
    'wifi join',
    'wifi list',
    'wifi remove',
  ),
  ...local('listens and sends on the local network', 'udp listen', 'udp send'),
  ...outside(
    'boards of another kind (Tachyon), with services of their own',
    'container configure-docker',
    'container list',
    'container push',
    'container remove',
    'container run',
    'tachyon backup',
    'tachyon clean-cache',
    'tachyon download-package',
    'tachyon factory-restore',
    'tachyon identify',
    'tachyon restore',
    'tachyon setup',
  ),
  ...outside('SIM cards are their operator’s', 'esim delete', 'esim enable', 'esim list', 'esim provision'),
]
