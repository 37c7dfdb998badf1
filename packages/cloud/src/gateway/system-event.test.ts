import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readSystemEvent } from './system-event.ts'

describe("a device's system events", () => {
  it('are known by name', () => {
    assert.deepEqual(readSystemEvent('spark/device/safemode', ''), { kind: 'safe-mode' })
    assert.deepEqual(readSystemEvent('spark/device/claim/code', 'abc'), { kind: 'claim', code: 'abc' })
    assert.deepEqual(readSystemEvent('particle/device/updates/enabled', 'true'), {
      kind: 'updates-flag',
      flag: 'enabled',
      on: true,
    })
    assert.deepEqual(readSystemEvent('particle/device/updates/forced', 'false'), {
      kind: 'updates-flag',
      flag: 'forced',
      on: false,
    })
    assert.deepEqual(readSystemEvent('spark/device/ip', ''), { kind: 'question', about: 'ip' })
    assert.deepEqual(readSystemEvent('spark/device/last_reset', 'user'), { kind: 'shown' })
  })

  it('that nobody knows are not shown to anybody', () => {
    assert.deepEqual(readSystemEvent('spark/device/reset', 'reboot'), { kind: 'noted' })
    assert.deepEqual(readSystemEvent('particle/whatever', 'x'), { kind: 'noted' })
  })
})
