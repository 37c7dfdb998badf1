import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { type ProcessLimits, type ProcessOutcome, runConfined } from './confined-process.ts'
import { formatDiagnostics } from './diagnostics.ts'
import { readSources } from './sources.ts'

const mebibyte = 1024 * 1024
const types = {
  version: '1.0.0',
  text: `
    export interface SystemApi { version(): string }
    export declare const System: SystemApi
    export declare const Particle: { publish(name: string, data?: string): Promise<boolean> }
  `,
  missing: [
    { name: 'System.uptime', since: '1.1.0' },
    { name: 'Particle.publishVitals', since: '2.0.0' },
    { name: 'RGB.control', since: '1.1.0' },
  ],
}

async function run(files: Record<string, string>, limits: Partial<ProcessLimits> = {}, signal?: AbortSignal) {
  const sources = readSources(
    Object.entries(files).map(([path, text]) => ({ path, content: new TextEncoder().encode(text) })),
  )
  const request = { sources, types, maxOutput: 1_000_000 }
  const bounds = { time: 60_000, memory: 1024 * mebibyte, ...limits }
  return await runConfined(request, bounds, signal ?? new AbortController().signal)
}

function textOf(outcome: ProcessOutcome): string {
  assert.equal(outcome.kind, 'answer', JSON.stringify(outcome))
  assert.ok(outcome.answer.ok, JSON.stringify(outcome))
  return outcome.answer.text
}

function errorsOf(outcome: ProcessOutcome): string[] {
  assert.equal(outcome.kind, 'answer', JSON.stringify(outcome))
  assert.ok(!outcome.answer.ok, 'the sources were compiled')
  return formatDiagnostics(outcome.answer.diagnostics).split('\n')
}

/** Evaluates a bundle as a device does: with nothing but `device-os` to require. */
function evaluate(text: string, deviceOs: object): Record<string, unknown> {
  const module = { exports: {} }
  const require = (name: string) => {
    assert.equal(name, 'device-os')
    return deviceOs
  }
  new Function('exports', 'module', 'require', text)(module.exports, module, require)
  return module.exports
}

describe('a compilation', { concurrency: 2 }, () => {
  it('makes one text that requires device-os and exports setup and loop', async () => {
    const text = textOf(
      await run({
        'src/index.ts': `
          import { Particle, System } from 'device-os'
          import { Colour, greeting } from './lib.ts'
          import data from '../data.json'
          export async function setup(): Promise<void> {
            await Particle.publish(greeting(data.name), System.version() + Colour.Red)
          }
          export function loop(): void {}
        `,
        'src/lib.ts':
          'export enum Colour { Red = 7 }\nexport const greeting = (name: string): string => ["hello", name].join(" ")\n',
        'data.json': '{"name": "Aloe"}',
        'src/unused.ts': 'this is not even TypeScript',
      }),
    )
    const published: unknown[] = []
    const deviceOs = {
      Particle: { publish: async (...event: unknown[]) => published.push(event) },
      System: { version: () => '1.0.0' },
    }
    const { setup, loop } = evaluate(text, deviceOs)
    assert.ok(typeof setup === 'function' && typeof loop === 'function')
    await setup()
    assert.deepEqual(published, [['hello Aloe', '1.0.07']])
  })

  it('names the place of an error, and the release that has a function that the target lacks', async () => {
    const source = [
      "/* é 😀 */ import { Particle, RGB, System as S } from 'device-os'",
      'export function setup(): void {',
      "  const n: number = 'a'",
      '  S.uptime()',
      '  const { uptime } = S',
      '  Particle',
      '    .publishVitals()',
      '  const mine = { a: 1 }',
      '  mine.uptime',
      '  Particle.publish(1)',
      '}',
    ]
    const errors = errorsOf(await run({ 'src/index.ts': source.join('\n') }))
    const lacks = (name: string, since: string) =>
      `${name} is not in Device OS 1.0.0; it came with ${since}. Compile for ${since} or newer to use it.`
    assert.deepEqual(errors, [
      `src/index.ts:1:31: error: ${lacks('RGB', '1.1.0')}`,
      "src/index.ts:3:9: error: Type 'string' is not assignable to type 'number'. (TS2322)",
      `src/index.ts:4:5: error: ${lacks('System.uptime', '1.1.0')}`,
      `src/index.ts:5:11: error: ${lacks('System.uptime', '1.1.0')}`,
      `src/index.ts:7:6: error: ${lacks('Particle.publishVitals', '2.0.0')}`,
      "src/index.ts:9:8: error: Property 'uptime' does not exist on type '{ a: number; }'. (TS2339)",
      "src/index.ts:10:20: error: Argument of type 'number' is not assignable to parameter of type 'string'. (TS2345)",
    ])
  })

  it('says what to use instead of globals that a device does not have', async () => {
    const source = 'export function setup() { console.log(process.pid)\nsetTimeout(setup, 1) }'
    assert.deepEqual(errorsOf(await run({ 'index.ts': source })), [
      "index.ts:1:27: error: There is no console: an application has the language itself (ES2024) and 'device-os'. Use Log of 'device-os'.",
      "index.ts:1:39: error: There is no process: an application has the language itself (ES2024) and 'device-os'.",
      "index.ts:2:1: error: There is no setTimeout: an application has the language itself (ES2024) and 'device-os'. Use delay or Timer of 'device-os'.",
    ])
  })

  it('tells a forgotten export, for the device would never call the function', async () => {
    const errors = errorsOf(await run({ 'index.ts': '\nfunction setup() {}\n' }))
    assert.match(errors[0] ?? '', /^index\.ts:2:1: error: setup\(\) is not exported/)
  })

  it('tells a syntax error without its follow-ups', async () => {
    const errors = errorsOf(await run({ 'index.ts': 'export const a = )\nconst b: number = "x"' }))
    assert.match(errors[0] ?? '', /^index\.ts:1:18: error: Expression expected/)
    assert.ok(!errors.join().includes('TS2322'))
  })

  it('refuses what the device cannot run, though it is correct TypeScript', async () => {
    const errors = errorsOf(await run({ 'index.ts': 'await Promise.resolve()\nexport {}' }))
    assert.match(errors[0] ?? '', /^index\.ts:1:1: error: .*top-level await/i)
  })

  it('keeps to the size that the device has room for', async () => {
    const errors = errorsOf(await run({ 'index.ts': `export const big = '${'x'.repeat(1_000_001)}'` }))
    assert.match(errors[0] ?? '', /has 1\d{6} bytes; the device has room for 1000000/)
  })
})

describe('a hostile upload', { concurrency: 2 }, () => {
  const outside = (specifier: string) =>
    `error: '${specifier}' cannot be imported: an application reaches only the files of its upload and 'device-os'.`

  it('reaches no file of the server and no builtin of Node.js by any import', async () => {
    const specifiers = ['../../../etc/passwd', '/etc/passwd', 'node:fs', 'fs', 'esbuild', 'file:///etc/passwd', '#x']
    const source = specifiers.map((specifier, i) => `import * as i${i} from '${specifier}'\nexport { i${i} }`)
    const errors = errorsOf(await run({ 'src/index.ts': source.join('\n') }))
    for (const specifier of specifiers) {
      assert.ok(
        errors.some((line) => line.endsWith(outside(specifier))),
        `${specifier}: ${errors.join('\n')}`,
      )
    }
  })

  it('does not get past the bundler when it silences the type checker', async () => {
    for (const specifier of ['../../../../../../../../etc/passwd', 'node:fs', '/etc/hostname', '/proc/self/environ']) {
      const source = `// @ts-nocheck\nimport x from '${specifier}'\nexport default x\nexport const y = require('${specifier}')`
      const errors = errorsOf(await run({ 'src/index.ts': source }))
      assert.ok(
        errors.some((line) => line.includes(`'${specifier}'`)),
        errors.join('\n'),
      )
    }
  })

  it('leaves a computed import to the device, which has nothing to give', async () => {
    const source = `// @ts-nocheck\nexport const setup = (name: string) => import(name)\nexport const loop = (name) => require(name)`
    const { setup, loop } = evaluate(textOf(await run({ 'index.ts': source })), {})
    assert.ok(typeof setup === 'function' && typeof loop === 'function')
    await assert.rejects(setup('node:fs'), { name: 'AssertionError' })
    assert.throws(() => loop('node:fs'), { name: 'AssertionError' })
  })

  it('cannot read files by reference directives', async () => {
    const errors = errorsOf(
      await run({
        'index.ts': [
          '/// <reference path="/etc/passwd" />',
          '/// <reference path="../../../../../../etc/hostname.ts" />',
          '/// <reference types="node" />',
          'export {}',
        ].join('\n'),
      }),
    )
    assert.equal(errors.length, 3)
    assert.ok(
      errors.every((line) => /Could not resolve|not found|Cannot find/.test(line)),
      errors.join('\n'),
    )
  })

  it('cannot bend the resolution with a tsconfig.json, package.json or node_modules', async () => {
    const hostile = JSON.stringify({
      extends: '/etc/passwd',
      compilerOptions: { strict: false, paths: { '*': ['/etc/*'] }, plugins: [{ name: '/tmp/x.js' }], rootDirs: ['/'] },
      include: ['/etc/**/*'],
      imports: { '#x': '/etc/passwd' },
    })
    const files = {
      'src/index.ts': "export const a: string = null\nimport '#x'\nimport 'passwd'\nimport 'evil'",
      'tsconfig.json': hostile,
      'src/tsconfig.json': hostile,
      'package.json': hostile,
      'node_modules/evil/index.ts': 'export {}',
    }
    const errors = errorsOf(await run(files))
    assert.match(errors[0] ?? '', /Type 'null' is not assignable/)
    for (const name of ['#x', 'passwd', 'evil']) assert.ok(errors.some((line) => line.endsWith(outside(name))))
    assert.equal(errors.length, 4)
  })

  it('with names like those of object members is only an upload', async () => {
    const files = {
      'src/index.ts': "import { a } from './__proto__.ts'\nexport { a }",
      'src/__proto__.ts': 'export const a = 1',
    }
    textOf(await run({ ...files, 'constructor.ts': '', 'toString.json': '{}' }))
  })

  it('has no loader for assets, plug-ins or stylesheets', async () => {
    for (const path of ['./logo.png', './style.css', './native.node', './mod.wasm', './script.js']) {
      const source = `// @ts-nocheck\nimport x from '${path}'\nexport default x`
      const errors = errorsOf(await run({ 'src/index.ts': source, [`src/${path.slice(2)}`]: 'x' }))
      assert.ok(errors[0]?.includes('is not in the upload'), errors.join('\n'))
    }
  })

  it('is stopped when the service closes', async () => {
    const closing = new AbortController()
    const outcome = run({ 'index.ts': 'export {}' }, {}, closing.signal)
    closing.abort()
    assert.equal((await outcome).kind, 'crash')
  })

  it('of many and deep sources is answered within bounds', async () => {
    const deep = `export const x = ${'['.repeat(20_000)}${']'.repeat(20_000)}`
    const outcome = await run({ 'src/index.ts': deep }, { time: 3_000 })
    assert.ok(outcome.kind !== 'answer' || outcome.answer.ok, JSON.stringify(outcome))
    const errors = errorsOf(await run({ 'src/index.ts': Array.from({ length: 5000 }, (_, i) => `a${i}`).join('\n') }))
    assert.equal(errors.length, 51)
  })
})

describe('an upload that passes the bounds', () => {
  it('that never ends type-checking is stopped in time, with all its processes', async () => {
    const endless = `
      type Permutations<T, K = T> = [T] extends [never] ? [] : K extends K ? [K, ...Permutations<Exclude<T, K>>] : never
      type Digit = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9
      export const all: Permutations<Digit> = 1 as never
    `
    const outcome = await run({ 'index.ts': endless }, { time: 1500 })
    assert.ok(outcome.kind === 'timeout' || outcome.kind === 'memory', JSON.stringify(outcome))
    assert.deepEqual(await settled(), [])
  })

  it('that eats memory is stopped', { skip: process.platform !== 'linux' }, async () => {
    const outcome = await run({ 'index.ts': 'export {}' }, { memory: 20 * mebibyte })
    assert.equal(outcome.kind, 'memory', JSON.stringify(outcome))
    assert.deepEqual(await settled(), [])
  })
})

/** Checker and bundler processes of this process's compilations that are alive (Linux; elsewhere none are seen). */
function descendants(): string[] {
  if (process.platform !== 'linux') return []
  const own = String(process.pid)
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => ancestors(pid).includes(own))
    .filter((pid) => /tsc|esbuild|worker\.ts/.test(read(`/proc/${pid}/cmdline`)))
}

function ancestors(pid: string): string[] {
  const found: string[] = []
  for (let at = pid; at !== '0' && at !== '' && found.length < 20; ) {
    at = /\) \S (\d+)/.exec(read(`/proc/${at}/stat`))?.[1] ?? ''
    found.push(at)
  }
  return found
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

/** Killed processes vanish in their own time. */
async function settled(): Promise<string[]> {
  for (let i = 0; i < 100 && descendants().length > 0; i += 1) {
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return descendants()
}
