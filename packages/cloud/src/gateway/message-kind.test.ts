import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isConfirmable, messageIdOf, messageKind } from './message-kind.ts'

const bytes = (hex: string) => Buffer.from(hex, 'hex')

describe('what a message is', () => {
  it('is told from its first bytes', () => {
    assert.equal(messageKind(bytes('40020001b168ff00')), 'hello')
    assert.equal(messageKind(bytes('41020001a0b168ff00')), 'hello')
    assert.equal(messageKind(bytes('40020001b178ff00')), 'goodbye')
    assert.equal(messageKind(bytes('60000001')), 'answer')
    assert.equal(messageKind(bytes('70000001')), 'answer')
    assert.equal(messageKind(bytes('40000001')), 'other')
    assert.equal(messageKind(bytes('40020001b14501')), 'other')
    assert.equal(messageKind(bytes('40010001b168')), 'other')
    assert.equal(messageKind(bytes('')), 'other')
  })

  it('has an id and is confirmable or not', () => {
    assert.equal(messageIdOf(bytes('4002abcd')), 0xabcd)
    assert.equal(isConfirmable(bytes('4002abcd')), true)
    assert.equal(isConfirmable(bytes('5002abcd')), false)
  })
})
