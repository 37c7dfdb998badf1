import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { readLimits } from './limits-file.ts'

describe('a file of limits', () => {
  let folder: string
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'aloe-limits-'))
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  const written = (text: string): string => {
    const path = join(folder, 'limits.json')
    writeFileSync(path, text)
    return path
  }

  it('is read as it stands', async () => {
    const limits = { api: { logins: 10, exemptLoopback: false }, login: { hostBlock: 60_000 }, audit: { entries: 5 } }
    assert.deepEqual(await readLimits(written(JSON.stringify(limits))), limits)
  })

  it('is refused with what is wrong in it', async () => {
    for (const [text, message] of [
      ['{', /cannot be used/],
      ['[]', /JSON object/],
      ['{"apis":{}}', /"apis" is none of api, login, audit/],
      ['{"api":{"login":1}}', /"api.login" is none of requests, logins/],
      ['{"api":{"logins":"10"}}', /must be a number/],
      ['{"api":{"exemptLoopback":1}}', /true or false/],
    ] as const) {
      await assert.rejects(readLimits(written(text)), message, text)
    }
    await assert.rejects(readLimits(join(folder, 'none')), /cannot be used/)
  })
})
