import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, resolve, sep } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'

/** Who may import whom (docs/architecture.md): arrows run downwards only, and only through a package's index.ts. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  firmware: [],
  protocol: ['firmware'],
  'device-os': ['protocol', 'firmware'],
  cloud: ['protocol', 'firmware'],
  testing: ['cloud', 'device-os', 'protocol', 'firmware'],
  cli: ['cloud', 'device-os', 'firmware'],
}

/** Pure packages own no I/O: these modules may not appear in their code (tests excepted). */
const impure = /^node:(fs|net|dgram|http|https|tls|child_process|worker_threads|timers|os|readline|cluster)(\/|$)/
const pure = new Set(['firmware', 'protocol'])

const root = fileURLToPath(new URL('..', import.meta.url))
/** Tests, and what only tests use. */
const testCode = /\.test\.ts$|(^|\/)fixtures\/|-fixture\.ts$|(^|\/)test-[^/]+\.ts$/
const importOf =
  /(?:import|export)\s[^'"`;]*?from\s*['"]([^'"]+)['"]|import\s*\(\s*['"]([^'"]+)['"]\s*\)|import\s+['"]([^'"]+)['"]/g

interface Import {
  readonly file: string
  readonly owner: string
  readonly target: string
  readonly isTest: boolean
}

function* importsOf(owner: string): Generator<Import> {
  const folder = join(root, 'packages', owner, 'src')
  for (const entry of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (!/\.tsx?$/.test(entry)) continue
    const file = join(folder, entry)
    const text = readFileSync(file, 'utf8').replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '')
    for (const match of text.matchAll(importOf)) {
      const target = match[1] ?? match[2] ?? match[3]
      if (target === undefined) continue
      yield { file: relative(root, file), owner, target, isTest: testCode.test(entry) }
    }
  }
}

const all = Object.keys(mayImport).flatMap((owner) => [...importsOf(owner)])

function offences(test: (found: Import) => boolean): string[] {
  return all.filter(test).map(({ file, target }) => `${file} imports ${target}`)
}

describe('who may import whom', () => {
  it('every package is on a floor', () => {
    assert.deepEqual(readdirSync(join(root, 'packages')).sort(), Object.keys(mayImport).sort())
  })

  it('imports run downwards only', () => {
    const upwards = offences(({ owner, target, isTest }) => {
      const found = /^@aloe\/([^/]+)/.exec(target)?.[1]
      if (found === undefined) return false
      if (isTest && owner === 'device-os' && found === 'testing') return false // faulty storage under the flash's own test
      return !mayImport[owner]?.includes(found)
    })
    assert.deepEqual(upwards, [])
  })

  it('a package is entered through its index only', () => {
    assert.deepEqual(
      offences(({ target }) => /^@aloe\/[^/]+\//.test(target)),
      [],
    )
  })

  it('a relative import stays inside its package', () => {
    const leaving = offences(({ file, owner, target }) => {
      if (!target.startsWith('.')) return false
      const home = join(root, 'packages', owner) + sep
      return !resolve(root, file, '..', target).startsWith(home)
    })
    assert.deepEqual(leaving, [])
  })

  it('pure packages import nothing that does I/O', () => {
    assert.deepEqual(
      offences(({ owner, target, isTest }) => pure.has(owner) && !isTest && impure.test(target)),
      [],
    )
  })
})
