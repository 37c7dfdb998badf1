import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { WorkQueue } from './work-queue.ts'

describe('the queue of compilations', () => {
  it('runs so many at a time, lets so many wait, and turns the rest away', async () => {
    const queue = new WorkQueue(1, 1)
    const gate = Promise.withResolvers<void>()
    const order: string[] = []
    const first = queue.run(async () => {
      await gate.promise
      order.push('first')
      return 1
    })
    const second = queue.run(async () => {
      order.push('second')
      return 2
    })
    assert.equal(await queue.run(async () => 3), undefined)
    gate.resolve()
    assert.deepEqual(await Promise.all([first, second]), [1, 2])
    assert.deepEqual(order, ['first', 'second'])
    assert.equal(await queue.run(async () => 4), 4)
  })

  it('goes on after a failure', async () => {
    const queue = new WorkQueue(1, 1)
    const failing = queue.run(() => Promise.reject(new Error('no')))
    const next = queue.run(async () => 'next')
    await assert.rejects(failing, /no/)
    assert.equal(await next, 'next')
  })
})
