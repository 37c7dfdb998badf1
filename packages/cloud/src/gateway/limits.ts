/** The gateway's limits: what one device, and all of them together, may cost. */
import type { Millis } from '@aloe/protocol'

export interface GatewayLimits {
  /** Open sockets, admitted or not. One more is refused. */
  readonly maxConnections: number
  /** Sockets that are not admitted yet. One more is refused, so that a flood of strangers leaves the devices alone. */
  readonly maxHandshakes: number
  /** From the socket's opening to the Hello. Device OS itself waits 20 s for each step (device-protocol.md 1.2). */
  readonly handshakeTimeout: Millis
  /** A device that was silent this long is asked whether it is there. Its own ping comes every 15 to 25 s (1.7). */
  readonly pingAfter: Millis
  /** A device that was silent this long is gone; at least 60 s for the keep-alive of 25 s (1.7). */
  readonly idleTimeout: Millis
  /** Bytes that may wait for a slow device: above, it gets no more events, and is not read from either. */
  readonly writeQueue: number
  /** Bytes that may wait in any case (an update may fill the queue above): above, the connection is closed. */
  readonly writeQueueMax: number
}

export const defaultLimits: GatewayLimits = {
  maxConnections: 50_000,
  maxHandshakes: 2_000,
  handshakeTimeout: 30_000,
  pingAfter: 40_000,
  idleTimeout: 65_000,
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
