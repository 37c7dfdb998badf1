import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import Particle from 'particle-api-js'
import { type CloudClient, cloudError, messageOfBody, normalizeUrl } from './cloud-client.ts'

const client: CloudClient = { url: 'http://cloud', particle: new Particle(), token: undefined }

describe('an error of the cloud', () => {
  it('is told in the words of its body, in the order of cloud-api.md 0.3', () => {
    assert.equal(messageOfBody({ error: 'b', error_description: 'a' }), 'a')
    assert.equal(messageOfBody({ error: 'b', info: 'c' }), 'b')
    assert.equal(messageOfBody({ errors: ['x', { error: 'y' }, { error: { status: 'z' } }] }), 'x\ny\nz')
    assert.equal(messageOfBody({ info: 'c' }), 'c')
    assert.equal(messageOfBody('text'), undefined)
  })

  it('says what to do', () => {
    const cases: [object, number, RegExp, RegExp][] = [
      [
        { statusCode: 401, body: { error: 'invalid_token' } },
        3,
        /does not accept your login: invalid_token/,
        /aloe login/,
      ],
      [{ statusCode: 408, body: { error: 'Timed out.' } }, 5, /does not answer/, /aloe list/],
      [
        { statusCode: 403, body: { error: 'Permission Denied' } },
        1,
        /Could not call it: Permission Denied/,
        /your device/,
      ],
      [{ body: { code: 'ECONNREFUSED' } }, 4, /http:\/\/cloud cannot be reached: ECONNREFUSED/, /aloe up/],
    ]
    for (const [failure, code, message, hint] of cases) {
      const error = cloudError(failure, client, 'call it')
      assert.equal(error.code, code)
      assert.match(error.message, message)
      assert.match(error.hint ?? '', hint)
    }
  })

  it('of a compilation is its log, with the places for --json', () => {
    const diagnostics = [{ file: 'a.ts', line: 1, column: 1, message: 'no' }]
    const body = {
      ok: false,
      output: 'Compiler timed out or encountered an error',
      errors: ['a.ts:1:1: error: no'],
      diagnostics,
    }
    const error = cloudError({ statusCode: 400, body }, client, 'compile')
    assert.equal(error.message, 'The application does not compile:\na.ts:1:1: error: no')
    assert.deepEqual(error.details, { diagnostics })
  })
})

describe('the URL of a cloud', () => {
  it('has no slash at its end, and http when nothing is said', () => {
    assert.equal(normalizeUrl('http://a:8080/'), 'http://a:8080')
    assert.equal(normalizeUrl('localhost:8080'), 'http://localhost:8080')
    assert.equal(normalizeUrl('https://a.example/cloud/'), 'https://a.example/cloud')
  })

  it('is refused when it is none', () => {
    assert.throws(() => normalizeUrl('ftp://a'), /is not the URL of a cloud/)
    assert.throws(() => normalizeUrl('http://'), /is not the URL of a cloud/)
  })
})
