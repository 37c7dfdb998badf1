/** What a cloud that can be killed holds of the world: after the kill no timer rings and no port answers. */
import { type Clock, systemClock, type TimerHandle } from '../clock.ts'
import type { DatagramPort, DevicePorts, StreamPort, StreamSocket } from '../gateway/ports.ts'

export interface Mortal<T> {
  readonly value: T
  kill(): void
}

export function mortalClock(clock: Clock = systemClock): Mortal<Clock> {
  const timers = new Set<TimerHandle>()
  let dead = false
  return {
    value: {
      now: () => clock.now(),
      setTimeout(callback, ms) {
        if (dead) return undefined
        const timer = clock.setTimeout(() => {
          timers.delete(timer)
          callback()
        }, ms)
        timers.add(timer)
        return timer
      },
      clearTimeout(timer) {
        timers.delete(timer)
        clock.clearTimeout(timer)
      },
    },
    kill() {
      dead = true
      for (const timer of timers) clock.clearTimeout(timer)
      timers.clear()
    },
  }
}

export function mortalPorts(ports: DevicePorts): Mortal<DevicePorts> {
  const sockets = new Set<StreamSocket>()
  const streams = new Set<StreamPort>()
  const datagrams = new Set<DatagramPort>()
  let dead = false
  return {
    value: {
      async openTcp(host, port, handlers) {
        const opened = await ports.openTcp(host, port, {
          ...handlers,
          accept: (socket) => {
            if (dead) return
            sockets.add(socket)
            socket.on('close', () => sockets.delete(socket))
            handlers.accept(socket)
          },
        })
        streams.add(opened)
        return opened
      },
      async openUdp(host, port, handlers) {
        const opened = await ports.openUdp(host, port, {
          ...handlers,
          received: (datagram, from) => {
            if (!dead) handlers.received(datagram, from)
          },
        })
        datagrams.add(opened)
        return opened
      },
    },
    kill() {
      dead = true
      // The kernel closes what a killed process had open.
      for (const port of streams) void port.close()
      for (const port of datagrams) port.close(() => {})
      for (const socket of sockets) socket.destroy()
    },
  }
}
