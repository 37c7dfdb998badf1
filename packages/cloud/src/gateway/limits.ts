/**
 * The gateway's limits: what one device, and all of them together, may cost. How long a handshake may take is said
 * where it is implemented, in the protocol's channel.
 */
import type { Millis, PingLimits } from '@aloe/protocol'

export interface GatewayLimits {
  /** Open sockets, admitted or not, and as many sessions on UDP in memory. One more is refused. */
  readonly maxConnections: number
  /**
   * Sockets that are not admitted yet, and as many handshakes on UDP. One more is refused, so that a flood of strangers
   * leaves the devices alone.
   */
  readonly maxHandshakes: number
  /**
   * A device that was silent for `interval` is asked whether it is there, and is gone after another `timeout`. Devices
   * on TCP ping by themselves every 15 to 25 s (1.7), so 50 s are two pings missed (cloud-api.md 3.1).
   */
  readonly ping: PingLimits
  /**
   * The same on UDP, where devices on Wi-Fi ping every 25 s and on cellular every 23 minutes (device-protocol.md 3.6):
   * two pings missed.
   */
  readonly udpPing: Readonly<Record<'wifi' | 'cellular', PingLimits>>
  /** Bytes that may wait for a slow device: above, it gets no more events, and is not read from either. */
  readonly writeQueue: number
  /** Bytes that may wait in any case (an update may fill the queue above): above, the connection is closed. */
  readonly writeQueueMax: number
}

export const defaultLimits: GatewayLimits = {
  maxConnections: 50_000,
  maxHandshakes: 2_000,
  ping: { interval: 50_000, timeout: 15_000 },
  udpPing: {
    wifi: { interval: 55_000, timeout: 30_000 },
    cellular: { interval: 46 * 60_000, timeout: 90_000 },
  },
  writeQueue: 64 * 1024,
  writeQueueMax: 16 * 1024 * 1024,
}

/** How long the cloud waits for a device's answer (cloud-api.md 4: device wait times). */
export const requestTimeouts = {
  call: 30_000,
  variable: 30_000,
  ping: 10_000,
  signal: 10_000,
  describe: 30_000,
} as const satisfies Record<string, Millis>
