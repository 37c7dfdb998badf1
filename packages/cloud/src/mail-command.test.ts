import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { mailByCommand } from './mail-command.ts'

describe('a command that sends mail', () => {
  let folder: string
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'aloe-mail-'))
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  const mail = { to: 'ann@example.com', subject: 'Hello', text: 'One\nTwo' }

  it('gets the message, and to whom it goes', async () => {
    const file = join(folder, 'mail')
    await mailByCommand(`{ echo "for $MAIL_TO"; cat; } > '${file}'`, 'aloe@example.com')(mail)
    const text = readFileSync(file, 'utf8')
    assert.match(text, /^for ann@example\.com\nFrom: aloe@example\.com\nTo: ann@example\.com\nSubject: Hello\n/)
    assert.match(text, /\n\nOne\nTwo\n$/)
  })

  it('is an error with what it said when it fails, also without reading', async () => {
    await assert.rejects(mailByCommand('echo no route >&2; exit 3', 'a@b')(mail), /failed \(3\): no route/)
    await assert.rejects(mailByCommand('/no/such/command', 'a@b')(mail), /failed/)
  })
})
