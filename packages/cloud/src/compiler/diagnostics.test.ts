import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { boundDiagnostics, formatDiagnostics, lineAndColumn } from './diagnostics.ts'
import { sizeInfo } from './size-info.ts'

describe('compile errors', () => {
  it('have a line and a column, both from 1', () => {
    assert.deepEqual(lineAndColumn('ab\ncd', 0), { line: 1, column: 1 })
    assert.deepEqual(lineAndColumn('ab\ncd', 2), { line: 1, column: 3 })
    assert.deepEqual(lineAndColumn('ab\ncd', 3), { line: 2, column: 1 })
    assert.deepEqual(lineAndColumn('ab\r\né', 5), { line: 2, column: 2 })
  })

  it('read as a compiler prints them', () => {
    const diagnostics = [
      { file: 'src/index.ts', line: 3, column: 7, message: 'no' },
      { file: 'a.ts', line: 0, column: 0, message: 'broken' },
      { file: '', line: 0, column: 0, message: 'too large' },
    ]
    assert.equal(formatDiagnostics(diagnostics), 'src/index.ts:3:7: error: no\na.ts: error: broken\nerror: too large')
  })

  it('are cut to what a person can read', () => {
    const one = { file: 'a.ts', line: 1, column: 1, message: 'x'.repeat(100_000) }
    const bounded = boundDiagnostics(Array.from({ length: 5000 }, () => one))
    assert.equal(bounded.at(-1)?.message, 'and 4950 more errors')
    assert.ok(formatDiagnostics(bounded).length < 120_000)
  })
})

describe('the size of an application', () => {
  it('is told as two lines that particle-cli can read', () => {
    const lines = sizeInfo(4660, 'src/index.ts').trimEnd().split('\n')
    assert.equal(lines.length, 2)
    assert.deepEqual(lines[0]?.trim().split(/\s+/), ['text', 'data', 'bss', 'dec', 'hex', 'filename'])
    assert.deepEqual(lines[1]?.trim().split(/\s+/), ['4660', '0', '0', '4660', '1234', 'src/index.ts'])
  })
})
