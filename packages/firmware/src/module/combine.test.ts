import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { vector } from '../fixtures/vectors.ts'
import { combinedParts, combineModules, splitModules } from './combine.ts'
import { ModuleFormatError, ModuleSpecError } from './error.ts'

const parts = [vector('v3-'), vector('v5-'), vector('v4-'), vector('v1-')]

describe('combined modules', () => {
  it('come apart as they were', () => {
    assert.deepEqual(splitModules(combineModules(parts)), parts)
  })

  it('are flagged, all but the last', () => {
    const flags = combinedParts(combineModules(parts)).map((module) => module.flags & 4)
    assert.deepEqual(flags, [4, 4, 4, 0])
  })

  it('are the module itself when there is one', () => {
    assert.deepEqual(combineModules([vector('v1-')]), vector('v1-'))
    assert.deepEqual(splitModules(vector('v1-')), [vector('v1-')])
  })

  it('are made of whole modules only', () => {
    assert.throws(() => combineModules([]), ModuleSpecError)
    assert.throws(() => combineModules([vector('v10-'), vector('v1-')]), ModuleSpecError)
    assert.throws(() => combineModules([vector('v1-').fill(0, 30, 34)]), ModuleFormatError)
  })

  it('say where they are damaged, counted from the start of the file', () => {
    const file = vector('v10-')
    file[620 + 40] = 0
    assert.throws(
      () => combinedParts(file),
      (error) => error instanceof ModuleFormatError && error.code === 'crc' && error.offset === 620 + 128,
    )
    assert.throws(
      () => combinedParts(vector('v10-').subarray(0, 620)),
      (error) => error instanceof ModuleFormatError && error.code === 'truncated' && error.offset === 620,
    )
    assert.throws(
      () => combinedParts(Uint8Array.from([...vector('v1-'), 0])),
      (error) => error instanceof ModuleFormatError && error.offset === 132,
    )
  })
})
