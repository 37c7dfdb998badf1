import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import Particle from 'particle-api-js'
import type { CloudClient } from './cloud-client.ts'
import type { EventQueue } from './event-stream.ts'
import { followUpdate } from './follow-update.ts'
import { Output } from './output.ts'

const system1 = { label: 'system_part 1@2000' }
const system2 = { label: 'system_part 2@2000' }
const user = { label: 'user_part 1@6' }

/** A queue that gives these events, and then nothing more. */
function queueOf(...events: [name: string, data: unknown][]): EventQueue {
  const waiting = events.map(([name, data]) => ({
    name,
    data: typeof data === 'string' ? data : JSON.stringify(data),
    ttl: 60,
    published_at: '',
    coreid: '',
  }))
  return {
    async next(timeout = 0) {
      const event = waiting.shift()
      if (event === undefined) await new Promise((resolve) => setTimeout(resolve, timeout))
      return event
    },
    close() {},
  }
}

function clientOf(device: object): CloudClient {
  const particle = new Particle()
  const answer = { statusCode: 200, body: { id: 'd', connected: true, status: 'normal', ...device } }
  Object.assign(particle, { getDevice: async () => answer })
  return { url: 'http://cloud', particle, token: 't' }
}

function follow(queue: EventQueue, options: { device?: object; patience?: number } = {}) {
  let text = ''
  const screen = { write: (part: string) => (text += part) }
  const output = new Output({ json: false, out: screen, err: screen, color: false })
  const deadline = Date.now() + (options.patience ?? 60_000)
  const summary = followUpdate(clientOf(options.device ?? {}), 'd', queue, output, deadline)
  return { summary, text: () => text }
}

describe('following an update', () => {
  it('ends when the device is back and runs normally', async () => {
    const queue = queueOf(
      ['spark/flash/status', 'started '],
      ['aloe/update/progress', { bytes: 10, total: 10, module: user }],
      ['spark/flash/status', 'success '],
      ['spark/status', 'offline'],
      ['spark/status', 'online'],
    )
    const { summary, text } = follow(queue, { device: { system_firmware_version: '1.0.0' } })
    const { sent, device } = await summary
    assert.deepEqual(sent, ['user_part 1@6'])
    assert.equal(device.systemVersion, '1.0.0')
    assert.match(text(), /sending user_part 1@6 100%\n✔ sent user_part 1@6; the device restarts/)
  })

  it('goes through safe mode until the device is healed', async () => {
    const queue = queueOf(
      ['aloe/update/progress', { bytes: 1, total: 1, module: user }],
      ['spark/flash/status', 'success '],
      ['spark/status', 'online'],
      ['spark/status/safe-mode', {}],
      ['aloe/healer/planned', { plan: [system1, system2] }],
      ['aloe/update/progress', { bytes: 1, total: 1, module: system1 }],
      ['spark/flash/status', 'success '],
      ['spark/status', 'online'],
      ['aloe/healer/planned', { plan: [system2] }],
      ['aloe/healer/healed', {}],
    )
    const { summary, text } = follow(queue)
    assert.deepEqual((await summary).sent, ['user_part 1@6', 'system_part 1@2000'])
    assert.match(text(), /safe mode.*\n.*the cloud heals it: system_part 1@2000, system_part 2@2000\n/)
    assert.equal(text().split('the cloud heals it').length, 2)
  })

  it('fails with the reason of the cloud', async () => {
    const failed = queueOf(['aloe/update/failed', { reason: 'the CRC is wrong', final: true }])
    await assert.rejects(follow(failed).summary, /The update failed: the CRC is wrong/)
    const stopped = queueOf(['aloe/healer/stopped', { reason: 'no release has it' }])
    await assert.rejects(follow(stopped).summary, /could not be healed: no release has it/)
  })

  it('goes on when the cloud tries again, and ends at its deadline', async () => {
    const queue = queueOf(['aloe/update/failed', { reason: 'a cut', final: false }])
    const { summary, text } = follow(queue, { patience: 50 })
    await assert.rejects(summary, { code: 5 })
    assert.match(text(), /trying again: a cut/)
  })

  it('does not take the old session for the new one', async () => {
    const queue = queueOf(['spark/status', 'online'])
    await assert.rejects(follow(queue, { patience: 50 }).summary, /did not finish in time/)
  })
})
