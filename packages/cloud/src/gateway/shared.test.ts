import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Shared } from './shared.ts'

describe('shared values', () => {
  it('are the same object when they are equal', () => {
    const shared = new Shared<object>(2)
    const first = shared.of({ a: [1] })
    assert.equal(shared.of({ a: [1] }), first)
    assert.notEqual(shared.of({ a: [2] }), first)
  })

  it('are kept while they are used, up to a number', () => {
    const shared = new Shared<object>(2)
    const first = shared.of({ n: 1 })
    shared.of({ n: 2 })
    shared.of({ n: 1 })
    const third = shared.of({ n: 3 })
    assert.equal(shared.of({ n: 1 }), first)
    assert.equal(shared.of({ n: 3 }), third)
  })
})
