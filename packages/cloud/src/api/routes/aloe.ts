/** What Particle's cloud has not: how to find this cloud, whether it serves, and why devices were not let in. */
import type { GatewayStatistics } from '../../gateway/gateway.ts'
import { administrators, anyone, self } from '../access.ts'
import { userOf } from '../authentication.ts'
import { type ApiContext, iso } from '../context.ts'
import type { ApiServer } from '../schemas.ts'

/** Without a token. */
export function openAloeRoutes(app: ApiServer, context: ApiContext): void {
  app.get('/health', { config: { access: anyone } }, async () => ({ ok: true, status: 'ok' }))

  app.get('/.well-known/aloe', { config: { access: anyone } }, async (request) => {
    const { tcp, udp, keys } = context.endpoints()
    const http = context.publicUrl(request)
    const { hostname } = new URL(http)
    // Brackets are for URLs only.
    const host = hostname.replace(/^\[(.*)\]$/, '$1')
    return {
      service: 'aloe',
      version: context.options.version,
      http,
      tcp: tcp && { host: tcp.host ?? host, port: tcp.port },
      udp: udp && { host: udp.host ?? host, port: udp.port },
      keys: {
        tcp: { algorithm: 'rsa', publicKey: keys.tcp },
        udp: { algorithm: 'ecc', publicKey: keys.udp },
      },
    }
  })
}

/** With a token. */
export function aloeRoutes(app: ApiServer, context: ApiContext): void {
  const { registry, gateway } = context

  app.get('/v1/aloe/handshake-failures', { config: { access: self } }, async (request) => {
    const { id, administrator } = userOf(request)
    const failures = registry.refusals(({ deviceId }) => {
      if (administrator) return true
      return deviceId !== undefined && registry.get(deviceId)?.ownerId === id
    })
    return {
      failures: failures.map(({ deviceId, address, step, reason, count, firstAt, lastAt }) => ({
        device_id: deviceId ?? null,
        address,
        step,
        reason,
        count,
        first_at: iso(firstAt),
        last_at: iso(lastAt),
      })),
    }
  })

  app.get('/v1/aloe/gateway', { config: { access: administrators } }, async () => gatewayJson(gateway.statistics()))
}

function gatewayJson({ online, udp }: GatewayStatistics): Record<string, unknown> {
  if (!udp) return { online, udp: null }
  const { datagrams, sessions, handshakes, drops } = udp
  return {
    online,
    udp: {
      datagrams,
      sessions: {
        stored: sessions.stored,
        in_memory: sessions.inMemory,
        resumed: sessions.resumed,
        moved: sessions.moved,
      },
      handshakes: {
        under_way: handshakes.underWay,
        started: handshakes.started,
        established: handshakes.established,
        failed: handshakes.failed,
        cookies_sent: handshakes.cookiesSent,
      },
      drops,
    },
  }
}
