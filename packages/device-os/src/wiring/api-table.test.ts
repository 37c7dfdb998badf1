import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { apiTable } from './api-table.ts'

const page = join(import.meta.dirname, '..', '..', '..', '..', 'docs', 'application-api.md')

describe('the documentation of the API', () => {
  it('has the table that the manifest makes', () => {
    const text = readFileSync(page, 'utf8')
    const table = text.slice(text.indexOf('<!-- api -->') + 12, text.indexOf('<!-- /api -->')).trim()
    assert.equal(table, apiTable(), 'put the output of apiTable() between the marks in docs/application-api.md')
  })
})
