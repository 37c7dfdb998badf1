/** particle-cli: firmware, integrations, products, and what Aloe has not. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { both, type CliRow, type CliStage, ok, refuses } from './cli-stage.ts'
import type { CliRunOptions } from './official-cli.ts'
import { eventually, file, newerApplication } from './world.ts'

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
  ...both(['flash', 'cloud flash'], 'sources and a binary; the new application answers', async (stage, words) => {
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
    await eventually('it takes the next', async () => (await cli.run([...words, ...cloud, 'beta', binary])).code === 0)
    await eventually('the old application is back', async () => {
      const { body } = await world.owner.particle.getDevice({ deviceId: 'beta' })
      return body.connected === true && body.functions?.includes('led') && !body.functions.includes('newer')
    })
  }),
]

const integrations: CliRow[] = (['webhook', 'integration'] as const).flatMap((kind): CliRow[] => [
  {
    name: `${kind} create`,
    outcome: 'works',
    note: 'from an event and a URL, and from a JSON file',
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

export const cloudRows: readonly CliRow[] = [...firmware, ...integrations, ...products, ...others]
