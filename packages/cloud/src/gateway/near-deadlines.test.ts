import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it, mock } from 'node:test'
import { NearDeadlines, type NearItem } from './near-deadlines.ts'

describe('near deadlines', () => {
  let time = 0
  const near = new NearDeadlines<NearItem>(() => time)
  const called: string[] = []

  function item(name: string, again?: number): NearItem {
    const self: NearItem = {
      timeCame(now) {
        called.push(`${name} at ${now}`)
        if (again !== undefined) near.add(self, again)
      },
    }
    return self
  }
  function pass(milliseconds: number): void {
    for (let i = 0; i < milliseconds; i++) {
      time++
      mock.timers.tick(1)
    }
  }

  beforeEach(() => {
    time = 0
    called.length = 0
    mock.timers.enable({ apis: ['setTimeout'] })
  })
  afterEach(() => {
    near.close()
    mock.timers.reset()
  })

  it('calls each item at its time, the earliest first, whatever the order of adding', () => {
    near.add(item('late'), 9)
    near.add(item('early'), 2)
    pass(20)
    assert.deepEqual(called, ['early at 2', 'late at 9'])
    assert.equal(near.size, 0)
  })

  it('keeps the earlier of two times of an item', () => {
    const one = item('one')
    near.add(one, 5)
    near.add(one, 8)
    near.add(one, 3)
    pass(20)
    assert.deepEqual(called, ['one at 3'])
  })

  it('lets an item add itself again when it is called', () => {
    near.add(item('one', 6), 2)
    pass(6)
    assert.deepEqual(called, ['one at 2', 'one at 6'])
  })

  it('calls nobody who was removed, and goes on with the others', () => {
    const gone = item('gone')
    near.add(gone, 2)
    near.add(item('stays'), 4)
    near.remove(gone)
    pass(10)
    assert.deepEqual(called, ['stays at 4'])
  })

  it('calls an item whose time is past after a millisecond, and not in an endless loop', () => {
    time = 100
    near.add(item('overdue', 50), 50)
    pass(3)
    assert.deepEqual(called, ['overdue at 101', 'overdue at 102', 'overdue at 103'])
  })
})
