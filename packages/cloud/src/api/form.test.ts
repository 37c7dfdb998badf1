import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { parseForm } from './form.ts'

const plain = (text: string): unknown => JSON.parse(JSON.stringify(parseForm(text)))

describe('form bodies', () => {
  it('have plain values, decoded; the last of several counts', () => {
    assert.deepEqual(plain('a=1&b=gr%C3%BCn+tea&a=2&c='), { a: '2', b: 'grün tea', c: '' })
  })

  it('have objects and lists in brackets', () => {
    assert.deepEqual(plain('groups[]=x&groups[]=y&o[a]=1&o[b][c]=2&l[0]=p&l[1]=q'), {
      groups: ['x', 'y'],
      o: { a: '1', b: { c: '2' } },
      l: ['p', 'q'],
    })
    assert.deepEqual(plain('list[5]=x&list[900]=y'), { list: ['x', 'y'] })
  })

  it('take a name of another form as it stands', () => {
    assert.deepEqual(plain('a[=1&]b=2&a[b=3&[c]=4'), { 'a[': '1', ']b': '2', 'a[b': '3', '[c]': '4' })
    assert.deepEqual(plain('a[b][c][d][e][f]=1'), { 'a[b][c][d][e][f]': '1' })
  })

  it('reach no prototype', () => {
    const form = parseForm('__proto__[polluted]=1&constructor[prototype][polluted]=1&a[__proto__][polluted]=1')
    assert.equal(({} as { polluted?: string }).polluted, undefined)
    assert.equal(Object.getPrototypeOf(form), null)
  })

  it('never throw and never grow beyond what was sent', () => {
    const name = fc.stringMatching(/^[ab_]{0,3}(\[[ab09]{0,4}\]){0,6}$/)
    const body = fc.array(fc.tuple(fc.oneof(name, fc.string()), fc.string()), { maxLength: 50 })
    fc.assert(
      fc.property(body, (pairs) => {
        const text = new URLSearchParams(pairs).toString()
        assert.ok(JSON.stringify(parseForm(text)).length < text.length * 6 + 100)
      }),
    )
    assert.equal(
      Object.keys(parseForm('x=1&'.repeat(5) + Array.from({ length: 2_000 }, (_, i) => `k${i}=1`).join('&'))).length <
        1_001,
      true,
    )
  })
})
