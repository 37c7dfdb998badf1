/** The device's vitals (device-protocol.md 5), as far as this platform has them. */
import type { Vital } from '@aloe/protocol'
import type { ConnectionCounters, ConnectionStatus } from './communication.ts'

export interface VitalsInput {
  readonly resetReason: number
  readonly memory: { readonly total: number; readonly used: number }
  /** ms */
  readonly uptime: number
  readonly cloudStatus: ConnectionStatus
  readonly counters: ConnectionCounters
  /** Code of the last reason to leave the cloud. */
  readonly disconnectReason: number
  readonly rateLimited: number
}

/** `cloud:stat` */
const cloudStatus: Readonly<Record<ConnectionStatus, number>> = {
  disconnected: 0,
  connecting: 1,
  handshake: 1,
  connected: 2,
  disconnecting: 3,
}

/** The network belongs to the machine: it is there. */
const networkConnected = 4

const maxValue = 0xffff_ffff

export function vitals(input: VitalsInput): Vital[] {
  const { memory, counters } = input
  const values: [id: number, value: number][] = [
    [1, input.resetReason],
    [2, memory.total - memory.used],
    [6, Math.floor(input.uptime / 1000)],
    [8, networkConnected],
    [10, cloudStatus[input.cloudStatus]],
    [13, counters.lastError],
    [14, counters.disconnects],
    [20, input.rateLimited],
    [25, memory.total],
    [26, memory.used],
    [29, counters.attempts],
    [30, input.disconnectReason],
  ]
  return values.map(([id, value]) => ({ id, value: Math.max(0, Math.min(maxValue, value)) }))
}
