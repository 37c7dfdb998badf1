import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ModuleSpecError } from '../module/error.ts'
import { environmentAsset } from './environment.ts'

describe('environment variables', () => {
  it('are a protobuf message in an asset named env', () => {
    const { name, data } = environmentAsset({ FOO: 'bar', LONG: 'x'.repeat(200) })
    assert.equal(name, 'env')
    const long = `0ad1010a044c4f4e4712c801${'78'.repeat(200)}`
    assert.equal(Buffer.from(data).toString('hex'), `0a0a0a03464f4f1203626172${long}`)
    assert.equal(environmentAsset({}).data.length, 0)
  })

  it('have capital names, and are not too many or too large', () => {
    for (const name of ['foo', '1A', 'A-B', '', 'A'.repeat(129)]) {
      assert.throws(() => environmentAsset({ [name]: '' }), ModuleSpecError, name)
    }
    assert.throws(() => environmentAsset({ A: 'x'.repeat(16 * 1024) }), ModuleSpecError)
    const many = Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`A${i}`, '']))
    assert.throws(() => environmentAsset(many), ModuleSpecError)
  })
})
