import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { cborToJson } from '@aloe/protocol'
import fc from 'fast-check'
import { readContent } from './content.ts'

describe('what is published through HTTP', () => {
  it('is text as it is, and nothing when there is none', () => {
    assert.deepEqual(readContent('grün'), { data: 'grün', size: 5 })
    assert.deepEqual(readContent(21.5), { data: '21.5', size: 4 })
    assert.deepEqual(readContent(false), { data: 'false', size: 5 })
    assert.deepEqual(readContent(''), { data: '', size: 0 })
    assert.deepEqual(readContent(null), { data: null, size: 0 })
    assert.deepEqual(readContent(undefined), { data: null, size: 0 })
  })

  it('is the bytes of a data URL, shown as streams show what devices publish', () => {
    const raw = new Uint8Array([1, 2, 3, 255])
    const png = readContent('data:image/png;base64,AQID/w==')
    assert.deepEqual(png, { data: 'data:image/png;base64,AQID/w==', contentType: 23, raw, size: 4 })
    const pdf = readContent('data:application/pdf;x=y;base64,AQID/w==')
    assert.deepEqual(pdf, { data: 'data:application/octet-stream;base64,AQID/w==', contentType: 42, raw, size: 4 })
    assert.equal(readContent('data:;base64,')?.raw?.length, 0)
    for (const text of ['data:', 'data:,x', 'data:text/plain,x', 'data:image/png;base64,AQ', 'data:x;base64,AA==']) {
      assert.deepEqual(readContent(text), { data: text, size: text.length })
    }
  })

  it('is structured when it is a JSON object or array, with its buffers', () => {
    const value = { t: 21.5, list: [1, null, 'x'], blob: { _type: 'buffer', _data: 'AQID/w==' } }
    const content = readContent(value)
    assert.equal(content?.data, JSON.stringify(value))
    assert.equal(content?.contentType, 65_001)
    assert.equal(cborToJson(content?.raw ?? new Uint8Array()), JSON.stringify(value))
  })

  it('never breaks, whatever comes as JSON', () => {
    fc.assert(fc.property(fc.jsonValue({ maxDepth: 100 }), (value) => void readContent(value)))
    let deep: unknown = 1
    for (let i = 0; i < 10_000; i++) deep = [deep]
    assert.equal(readContent(deep), undefined)
  })
})
