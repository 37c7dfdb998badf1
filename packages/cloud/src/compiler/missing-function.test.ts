import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { explainMissing } from './missing-function.ts'

const missing = [
  { name: 'System.uptime', since: '1.1.0' },
  { name: 'Ledger.get', since: '2.0.0' },
  { name: 'Cache.get', since: '2.1.0' },
  { name: 'tone', since: '1.2.0' },
]

describe('a function that the target lacks', () => {
  it('is named with the release that it came with', () => {
    assert.match(
      explainMissing({ name: 'uptime', owner: 'System' }, '1.0.0', missing) ?? '',
      /^System\.uptime is not in Device OS 1\.0\.0; it came with 1\.1\.0\./,
    )
    assert.match(explainMissing({ name: 'tone' }, '1.0.0', missing) ?? '', /^tone is not in .* 1\.2\.0/)
    assert.match(explainMissing({ name: 'Ledger' }, '1.0.0', missing) ?? '', /^Ledger is not in .* 2\.0\.0/)
  })

  it('that came with a pre-release is recommended in the final one', () => {
    const early = [{ name: 'System.uptime', since: '1.1.0-rc.1', final: '1.1.0' }]
    assert.equal(
      explainMissing({ name: 'uptime', owner: 'System' }, '1.0.0', early),
      'System.uptime is not in Device OS 1.0.0; it came with 1.1.0-rc.1. Compile for 1.1.0 or newer to use it.',
    )
  })

  it('is found through another name of its object when only one can be meant', () => {
    assert.match(
      explainMissing({ name: 'uptime', owner: 's', certain: true }, '1.0.0', missing) ?? '',
      /^System\.uptime/,
    )
    assert.equal(explainMissing({ name: 'get', owner: 's', certain: true }, '1.0.0', missing), undefined)
    assert.equal(explainMissing({ name: 'uptime', owner: 'mine' }, '1.0.0', missing), undefined)
  })

  it('is found by the type that lacks it', () => {
    assert.match(explainMissing({ name: 'get', type: 'CacheApi' }, '1.0.0', missing) ?? '', /^Cache\.get/)
  })

  it('stays unexplained when no release has it', () => {
    assert.equal(explainMissing({ name: 'fly', owner: 'System', certain: true }, '1.0.0', missing), undefined)
  })
})
