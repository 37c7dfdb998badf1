/** particle-cli: accounts, devices, and talking with them. */
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { both, type CliRow, ok, variable } from './cli-stage.ts'
import { eventually, file } from './world.ts'

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
  ...both(
    ['list', 'cloud list'],
    'devices with functions, variables and platform or product',
    async ({ cli, world, product }, words) => {
      const { out } = await ok(cli, ...words)
      assert.match(out, new RegExp(`alpha \\[${world.alpha.id}\\] \\(Product ${product}\\) is online`))
      assert.match(out, /temp \(double\)[\s\S]*int led \(String args\)/)
      assert.doesNotMatch((await ok(cli, ...words, 'alpha')).out, /beta/)
    },
  ),
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
      const theirs = world.newDevice()
      await world.adopt(theirs, `theirs-${words[0]}`, await world.stranger())
      const { text } = await cli.run([...words, theirs.id], { input: 'n\n' })
      assert.match(text, /belongs to someone else/)
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
    note: 'the key is registered: the device comes in with it',
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
      const device = stage.world.newDevice()
      await stage.world.adopt(device, 'asleep')
      const offline = await cli.run([...words, 'asleep', 'led'])
      assert.match(offline.text, /Timed out/)
      assert.doesNotMatch(offline.text, /not found/)
      await stage.world.owner.particle.removeDevice({ deviceId: device.id })
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

export const deviceRows: readonly CliRow[] = [...accounts, ...devices, ...talking]
