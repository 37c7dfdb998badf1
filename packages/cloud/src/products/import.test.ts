import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { readImportList } from './import.ts'

describe('a list of devices to import', () => {
  it('has one identifier a line, and may have a serial number behind it', () => {
    const text = '\uFEFF422b00000000000000000001\r\n\n  P046AA00  \r"a b", "x"\n422b00000000000000000002,SN-2;more\tx'
    assert.deepEqual(readImportList(text), [
      { identifier: '422b00000000000000000001' },
      { identifier: 'P046AA00' },
      { identifier: '"a', serialNumber: 'b"' },
      { identifier: '422b00000000000000000002', serialNumber: 'SN-2' },
    ])
    assert.deepEqual(readImportList(''), [])
  })

  it('may be any text', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        for (const { identifier } of readImportList(text)) assert.match(identifier, /^\S+$/)
      }),
      { numRuns: Number(process.env.ALOE_FUZZ_RUNS ?? 100) },
    )
  })
})
