import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { LedState } from '@aloe/device-os'
import { LedLine } from './led-line.ts'

const cyan: LedState = {
  signal: 'cloud_connected',
  color: 0x00ffff,
  pattern: 'solid',
  period: 0,
  since: 0,
  brightness: 255,
  words: 'breathing cyan',
}

describe('the LED of a device on a terminal', () => {
  it('stays below the log, and goes when the device does', () => {
    let text = ''
    const line = new LedLine({ write: (part) => (text += part), isTTY: true, columns: 80 }, 'blinky')
    line.above('first')
    line.show(cyan)
    line.above('second')
    line.show({ ...cyan, color: 0 })
    line.close()
    const plain = text.replaceAll('\u001b[38;2;0;255;255m', '').replaceAll('\u001b[39m', '')
    assert.equal(
      plain,
      'first\n\r\u001b[K● blinky  breathing cyan\r\u001b[Ksecond\n\r\u001b[K● blinky  breathing cyan\r\u001b[K○ blinky  breathing cyan\r\u001b[K',
    )
  })
})
