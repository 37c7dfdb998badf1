import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { afterInterruption, afterStart, isLoop, loopReason, noInterruptions } from './interruptions.ts'

const limits = { interruptions: 10, restarts: 5 }

describe('interrupted transfers', () => {
  it('are harmless while the device keeps more each time', () => {
    let history = { ...noInterruptions, total: 100_000 } as Parameters<typeof isLoop>[0]
    for (let offset = 0; offset < 100_000; offset += 4_096) {
      history = { ...history, ...afterStart(history, offset) }
      history = { ...history, ...afterInterruption(history, Math.min(100_000, offset + 5_000)) }
      assert.equal(isLoop(history, true, limits), false)
    }
    for (let times = 0; times < 9; times++) {
      history = { ...history, ...afterStart(history, 98_304) }
      history = { ...history, ...afterInterruption(history, 98_304) }
    }
    assert.equal(isLoop(history, true, limits), true)
    assert.match(loopReason(history, undefined, true), /^the file was interrupted 10 times in a row, at most 100 %/)
  })

  it('are a loop when the device starts from zero each time', () => {
    let history = { ...noInterruptions, total: 1_000 } as Parameters<typeof isLoop>[0]
    for (let times = 0; times < 5; times++) {
      assert.equal(isLoop(history, false, limits), false)
      history = { ...history, ...afterStart(history, 0) }
      history = { ...history, ...afterInterruption(history, 300 + times) }
    }
    assert.equal(isLoop(history, false, limits), true)
    const module = { function: 'user_part', index: 1, version: 3 } as const
    assert.match(loopReason(history, module, false), /^user_part 1@3 .* 5 times in a row, at most 30 % .*watchdog/)
  })
})
