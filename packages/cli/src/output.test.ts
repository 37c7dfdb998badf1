import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CliError } from './cli-error.ts'
import { bytes, Output, printable, table } from './output.ts'

class Screen {
  text = ''
  readonly isTTY: boolean
  readonly columns = 80
  constructor(isTTY = false) {
    this.isTTY = isTTY
  }
  write(text: string): void {
    this.text += text
  }
}

function make(options: { json?: boolean; isTTY?: boolean } = {}) {
  const out = new Screen(options.isTTY)
  const err = new Screen(options.isTTY)
  return { output: new Output({ json: options.json ?? false, out, err, color: false }), out, err }
}

describe('what a command prints', () => {
  it('is its result on standard output, and the way there on standard error', () => {
    const { output, out, err } = make()
    output.note('working')
    output.result({ ok: true }, () => 'done')
    assert.equal(out.text, 'done\n')
    assert.equal(err.text, 'working\n')
  })

  it('is one JSON value with --json, and nothing else', () => {
    const { output, out, err } = make({ json: true })
    output.note('working')
    output.progress('sending', 1, 2)
    output.result({ ok: true }, () => 'done')
    assert.equal(out.text, '{"ok":true}\n')
    assert.equal(err.text, '')
  })

  it('is an error with what to do about it', () => {
    const plain = make()
    plain.output.error(new CliError('No.', { hint: 'Try this.', code: 3 }))
    assert.equal(plain.err.text, 'error No.\nTry this.\n')
    const json = make({ json: true })
    json.output.error(new CliError('No.', { code: 3, details: { diagnostics: [] } }))
    assert.deepEqual(JSON.parse(json.err.text), { ok: false, error: 'No.', code: 3, diagnostics: [] })
  })

  it('aligns tables', () => {
    const { output } = make()
    assert.equal(
      table(
        [
          ['A', 'B'],
          ['long', 'x'],
        ],
        output.colors,
      ),
      'A     B\nlong  x',
    )
  })

  it('tells bytes in units that people read', () => {
    assert.deepEqual([999, 1000, 1_234_567].map(bytes), ['999 B', '1.0 KB', '1.2 MB'])
  })

  it('lets no text from elsewhere move the cursor', () => {
    assert.equal(printable('a\u001b[2Jb\u009bc\nd\te\r'), 'a�[2Jb�c\nd\te�')
  })
})

describe('progress', () => {
  it('is a bar that is drawn over on a terminal', () => {
    const { output, err } = make({ isTTY: true })
    output.progress('sending x', 0, 10)
    output.progress('sending x', 5, 10)
    output.progress('sending x', 5, 10)
    assert.equal(err.text.split('\r').length, 3)
    assert.match(err.text, /sending x ━{28} {2}50%$/)
    output.endProgress()
    assert.ok(err.text.endsWith('\n'))
  })

  it('gives way to a line', () => {
    const { output, err } = make({ isTTY: true })
    output.progress('sending', 1, 10)
    output.note('news')
    assert.ok(err.text.endsWith('\r\u001b[Knews\n'))
  })

  it('is a line now and then in a log', () => {
    const { output, err } = make()
    for (let done = 0; done <= 100; done += 1) output.progress('sending', done, 100)
    output.progress('sending', 100, 100)
    assert.deepEqual(
      err.text.trim().split('\n'),
      [0, 25, 50, 75, 100].map((percent) => `sending ${percent}%`),
    )
  })

  it('of nothing is done', () => {
    const { output, err } = make()
    output.progress('sending', 0, 0)
    assert.equal(err.text, 'sending 100%\n')
  })
})
