/** The tables of docs/conformance.md: complete, and those that the tests drive. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import Particle from 'particle-api-js'
import { cliRows } from './cli-rows.ts'
import { skip } from './cli-suite.ts'
import { page, pagePath } from './page.ts'
import { particleCli } from './particle-cli.ts'
import { sdkInner, sdkRows } from './sdk-rows.ts'

describe('the conformance tables', () => {
  it('name every command of particle-cli, and none that it has not', { skip }, () => {
    const list = fileURLToPath(new URL('list-commands.cjs', import.meta.url))
    const found = execFileSync(process.execPath, [list, particleCli() ?? ''], { encoding: 'utf8' })
      .trim()
      .split('\n')
    assert.deepEqual(cliRows.map(({ name }) => name).sort(), found.sort())
  })

  it('name every method of particle-api-js, and none that it has not', () => {
    const found = Object.getOwnPropertyNames(Particle.prototype).filter((name) => !name.startsWith('_'))
    assert.deepEqual([...sdkRows.map(({ name }) => name), ...sdkInner].sort(), found.sort())
  })

  it('say "works" or "refuses" of nothing that is not driven', () => {
    const undriven = [...cliRows, ...sdkRows].filter(({ outcome, run }) => /works|refuses/.test(outcome) && !run)
    assert.deepEqual(undriven, [])
  })

  it('are in the docs as they are here (node test/conformance/page.ts writes them)', () => {
    assert.equal(readFileSync(pagePath, 'utf8'), page())
  })
})
