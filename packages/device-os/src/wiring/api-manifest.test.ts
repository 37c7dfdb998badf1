import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { deviceOsReleases } from '@aloe/firmware'
import type { ApplicationPort } from '../hal/application.ts'
import { PinBank } from '../hal/pins.ts'
import { bundle } from '../release/bundle.ts'
import { apiList, apiMembers, apiTypes, memberSince, membersAt } from './api-manifest.ts'
import { loadApiModule } from './api-module.ts'
import { composeApi } from './compose.ts'
import { generateTypes } from './generate-types.ts'
import { Runtime } from './runtime.ts'
import { SharedState } from './shared-state.ts'

const versions = deviceOsReleases.map(({ version }) => version)
const wiringFolder = dirname(fileURLToPath(import.meta.url))
const repository = join(wiringFolder, '..', '..', '..', '..')

const port: ApplicationPort = {
  post: () => {},
  onMessage: () => {},
  drain: () => {},
  now: () => 0,
  setTimer: () => ({ cancel: () => {} }),
  shared: new SharedState().memory,
  pins: new PinBank().memory,
  loopInterval: 1,
}

/** Everything that `import … from 'device-os'` gives in a release, flat. */
async function runtimeNames(version: string): Promise<string[]> {
  const module = await loadApiModule(version)
  const runtime = new Runtime(port, module.release, { kind: 'init', deviceId: '', startedAt: 0 }, () => {})
  return Object.entries(composeApi(module, runtime)).flatMap(([name, value]) =>
    typeof value === 'object' && value !== null ? Object.keys(value).map((member) => `${name}.${member}`) : [name],
  )
}

/** The same, read from the types: interfaces of objects, functions, classes and constants. */
function typeNames(text: string): string[] {
  const names = new Set<string>()
  for (const [, group = '', body = ''] of text.matchAll(/^export interface (\w+) \{\n([\s\S]*?)\n\}\n/gm)) {
    for (const [, member = ''] of body.matchAll(/^ {2}(\w+)\(/gm)) names.add(`${group}.${member}`)
  }
  for (const [, name = '', type] of text.matchAll(/^export declare (?:function|class|const) (\w+)(: [A-Z]\w+$)?/gm)) {
    if (type === undefined) names.add(name)
  }
  return [...names]
}

describe('the API of a release', () => {
  for (const version of versions) {
    it(`is the same in code, types and list: ${version}`, async () => {
      const listed = apiList(version)
        .map(({ name }) => name)
        .sort()
      assert.deepEqual((await runtimeNames(version)).sort(), listed)
      assert.deepEqual(typeNames(generateTypes(version)).sort(), listed)
    })
  }

  it('only grows', () => {
    versions.slice(1).forEach((version, place) => {
      const before = new Set(membersAt(versions[place] ?? '').map(({ name }) => name))
      const now = new Set(membersAt(version).map(({ name }) => name))
      assert.deepEqual(
        [...before].filter((name) => !now.has(name)),
        [],
      )
    })
  })

  it('says since when a member exists', () => {
    assert.equal(memberSince('Particle.publish'), '1.0.0')
    assert.equal(memberSince('System.uptime'), '1.1.0-rc.1')
    assert.equal(memberSince('System.millis'), '1.1.0')
    assert.equal(memberSince('LEDStatus'), '2.0.0')
    assert.equal(memberSince('System.fly'), undefined)
    assert.deepEqual(
      apiList('1.1.0-rc.1').filter(({ since }) => since !== '1.0.0'),
      [
        { name: 'Particle.publishVitals', since: '1.1.0-rc.1' },
        { name: 'System.uptime', since: '1.1.0-rc.1' },
      ],
    )
    assert.throws(() => membersAt('1.5.0'), RangeError)
  })

  it('names each member once, and explains it', () => {
    const names = apiMembers.map(({ name }) => name)
    assert.equal(new Set(names).size, names.length)
    for (const { name, doc } of [...apiMembers, ...apiTypes]) assert.ok(doc.length > 5, name)
  })
})

describe('the bytes of system part 2', () => {
  const part2 = new Map<string, string>()
  before(async () => {
    for (const version of versions) {
      const entry = join(wiringFolder, '..', 'system', 'part2.ts')
      const bytes = await bundle({ entry, apiVersion: version, version, wiringFolder })
      part2.set(version, Buffer.from(bytes).toString())
    }
  })

  it('hold the members of their release and not those of newer ones', () => {
    // Words that stand for a member alone: not those that are also words of other code.
    const telling = [
      'Particle.publishVitals',
      'publishVitals',
      'System.uptime',
      'System.millis',
      'System.updatesForced',
      'Particle.maxEventDataSize',
      'LEDStatus',
      'Time.isValid',
      'Particle.subscribeData',
      'RGB_COLOR_ORANGE',
    ]
    for (const [version, text] of part2) {
      const has = new Set(apiList(version).map(({ name }) => name))
      for (const word of telling) {
        const name = word === 'publishVitals' ? 'Particle.publishVitals' : word
        assert.equal(text.includes(word), has.has(name), `${word} in ${version}`)
      }
    }
  })

  it('need nothing but what Node has built in', () => {
    for (const text of part2.values()) {
      for (const [, name] of text.matchAll(/\brequire\("([^"]+)"\)/g)) assert.match(String(name), /^node:/)
    }
  })
})

describe('the types of a release', () => {
  const application = `
import { Particle, System, Time, Log, Logger, RGB, Timer, pinMode, digitalWrite, D7, OUTPUT, HIGH, delay, cloud_status, WITH_ACK } from 'device-os'

const log = new Logger('app.test')
const timer = new Timer(1000, () => log.info('tick'))

export function setup(): void {
  pinMode(D7, OUTPUT)
  Particle.function('led', (argument) => { digitalWrite(D7, argument === 'on'); return 1 })
  Particle.variable('temperature', () => 21.5)
  Particle.subscribe('weather', (name, data) => Log.info('%s %s', name, data))
  System.on(cloud_status, (event, status) => log.trace(status, event))
  RGB.color(1, 2, 3)
  timer.start()
}

export async function loop(): Promise<void> {
  const sent: boolean = await Particle.publish('time', Time.format(Time.now()), 60, WITH_ACK, 'PRIVATE')
  if (!sent) digitalWrite(D7, HIGH)
  await delay(1000)
}
`
  const newer = `
import { Particle, System, LEDStatus, Time, RGB_COLOR_BLUE } from 'device-os'
new LEDStatus(RGB_COLOR_BLUE, 'fade').setActive()
Particle.publish('data', { temperature: System.uptime(), valid: Time.isValid() })
`
  const options = {
    compilerOptions: {
      strict: true,
      target: 'es2024',
      lib: ['es2024'],
      types: [],
      module: 'preserve',
      moduleResolution: 'bundler',
      noEmit: true,
      paths: { 'device-os': ['./device-os.d.ts'] },
    },
  }

  /** Error lines of the type checker for an application, against the types of a release. */
  function check(version: string, source: string): string[] {
    const folder = mkdtempSync(join(repository, 'node_modules', '.aloe-types-'))
    try {
      writeFileSync(join(folder, 'device-os.d.ts'), generateTypes(version))
      writeFileSync(join(folder, 'application.ts'), source)
      writeFileSync(
        join(folder, 'tsconfig.json'),
        JSON.stringify({ ...options, files: ['application.ts', 'device-os.d.ts'] }),
      )
      const { stdout } = spawnSync(join(repository, 'node_modules', '.bin', 'tsc'), ['-p', folder], {
        encoding: 'utf8',
      })
      return stdout.split('\n').filter((line) => line.includes('error'))
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }

  it('let an application through that uses what the first release has', () => {
    for (const version of versions) assert.deepEqual(check(version, application), [], version)
  })

  it('name what the release does not have', () => {
    assert.deepEqual(check('2.0.0', newer), [])
    const errors = check('1.0.0', newer).join('\n')
    assert.match(errors, /no exported member (named )?'LEDStatus'/)
    assert.match(errors, /Property 'uptime' does not exist on type 'System'/)
    assert.match(errors, /Property 'isValid' does not exist on type 'Time'/)
    assert.match(errors, /not assignable to parameter of type 'string'/)
  })

  it('carry docstrings', () => {
    const text = generateTypes('1.1.0')
    assert.match(
      text,
      /\/\*\*\n {3}\* Seconds since the device started\.\n {3}\*\n {3}\* @since 1\.1\.0-rc\.1\n {3}\*\/\n {2}uptime\(\): number/,
    )
    assert.match(text, /^export declare const Particle: Particle$/m)
  })
})
