import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Clock } from '../clock.ts'
import type { StreamSocket } from '../gateway/ports.ts'
import { mortalClock, mortalPorts } from './mortal.ts'

describe('a cloud that is killed', () => {
  it('hears no timer any more, and sets none', () => {
    const waiting: (() => void)[] = []
    const clock: Clock = {
      now: () => 5,
      setTimeout: (callback) => waiting.push(callback) - 1,
      clearTimeout: (timer) => {
        if (typeof timer === 'number') delete waiting[timer]
      },
    }
    const { value, kill } = mortalClock(clock)
    const rung: string[] = []
    value.setTimeout(() => rung.push('before'), 1)
    waiting[0]?.()
    value.setTimeout(() => rung.push('after'), 1)
    kill()
    value.setTimeout(() => rung.push('never'), 1)
    for (const ring of waiting.slice(1)) ring?.()
    assert.deepEqual(rung, ['before'])
    assert.equal(value.now(), 5)
  })

  it('lets go of its ports and of what had come in by them', async () => {
    const log: string[] = []
    let accept: (socket: StreamSocket) => void = () => {}
    let receive: () => void = () => {}
    const { value, kill } = mortalPorts({
      openTcp: async (_host, _port, handlers) => {
        accept = handlers.accept
        return { port: 1, close: async () => void log.push('tcp closed') }
      },
      openUdp: async (_host, _port, handlers) => {
        receive = () => handlers.received(Uint8Array.of(1), { address: '192.0.2.1', port: 1 })
        return {
          send: () => {},
          getSendQueueSize: () => 0,
          address: () => ({ port: 2 }),
          close: () => log.push('udp closed'),
        }
      },
    })
    const socket = (name: string): StreamSocket => ({
      writableLength: 0,
      write: () => true,
      cork: () => {},
      uncork: () => {},
      pause: () => {},
      resume: () => {},
      destroy: () => log.push(`${name} destroyed`),
      on: () => {},
    })
    const failed = () => {}
    await value.openTcp('', 0, { accept: () => log.push('accepted'), failed })
    await value.openUdp('', 0, { received: () => log.push('received'), failed })
    accept(socket('first'))
    receive()
    kill()
    accept(socket('second'))
    receive()
    assert.deepEqual(log, ['accepted', 'received', 'tcp closed', 'udp closed', 'first destroyed'])
  })
})
