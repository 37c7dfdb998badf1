import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { systemErrorMessage, updateResult } from './system-error.ts'

describe('result codes', () => {
  it('have words, each code its own', () => {
    const codes = Object.values(updateResult)
    const words = codes.map(systemErrorMessage)
    assert.equal(new Set(words).size, codes.length)
    assert.ok(words.every((text) => !/-\d/.test(text)))
    assert.equal(systemErrorMessage(-9999), 'Error -9999')
  })
})
