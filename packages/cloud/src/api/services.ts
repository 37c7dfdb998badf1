/** What the API is given: it never reaches behind these. */
import type { FastifyBaseLogger } from 'fastify'
import type { Bus } from '../bus/bus.ts'
import type { LiveCatalogue } from '../catalogue/live-catalogue.ts'
import type { Compiler } from '../compiler/compiler.ts'
import type { DeviceRegistry } from '../devices/registry.ts'
import type { EventLog } from '../events/event-log.ts'
import type { EventStreams } from '../events/event-streams.ts'
import type { Gateway } from '../gateway/gateway.ts'
import type { Identity } from '../identity/identity.ts'
import type { Integrations } from '../integrations/integrations.ts'
import type { Products } from '../products/products.ts'
import type { Rollouts } from '../rollouts/rollouts.ts'
import type { Store } from '../store/store.ts'
import type { Updates } from '../updates/updates.ts'
import type { Vitals } from '../vitals/vitals.ts'
import type { ApiLimits } from './limits.ts'
import type { SendMail } from './mail.ts'
import type { MetricSource } from './metric-source.ts'

export type ApiUpdates = Omit<Updates, 'close' | 'deliver' | 'onJob' | 'keepAssets' | 'running'>

export type ApiGateway = Pick<
  Gateway,
  | 'isOnline'
  | 'call'
  | 'readVariable'
  | 'ping'
  | 'signal'
  | 'setUpdatesForced'
  | 'requestDescribe'
  | 'disconnect'
  | 'ownerChanged'
  | 'statistics'
>

export type ApiRollouts = Pick<
  Rollouts,
  'list' | 'get' | 'devices' | 'pause' | 'resume' | 'stop' | 'retry' | 'settings' | 'putSettings'
>

/** Where devices come in, for `GET /.well-known/aloe`. */
export interface DeviceEndpoints {
  /** Null when the transport is not served. */
  readonly tcp: { readonly host?: string; readonly port: number } | null
  readonly udp: { readonly host?: string; readonly port: number } | null
  /** The server's public keys, PEM. */
  readonly keys: { readonly tcp: string; readonly udp: string }
}

export interface ApiDeps {
  readonly store: Store
  readonly identity: Identity
  readonly registry: DeviceRegistry
  readonly bus: Bus
  readonly streams: EventStreams
  readonly eventLog: EventLog
  readonly vitals: Vitals
  readonly gateway: ApiGateway
  readonly updates: ApiUpdates
  readonly rollouts: ApiRollouts
  readonly products: Products
  readonly integrations: Integrations
  readonly compiler: Pick<Compiler, 'compile' | 'statistics'>
  readonly catalogue: LiveCatalogue
  /** Asked per request: the ports are known only when the gateway listens. */
  readonly endpoints: () => DeviceEndpoints
  /** Unix milliseconds. */
  readonly now: () => number
  /** Numbers of other parts, for `GET /metrics`. */
  readonly metricSources?: readonly MetricSource[]
  readonly options: ApiOptions
}

export interface ApiOptions {
  /** Aloe's version. */
  readonly version: string
  /** The address under which clients reach the cloud; otherwise that which the request names. No trailing slash. */
  readonly publicUrl?: string
  /** PEM. */
  readonly https?: { readonly cert: string | Buffer; readonly key: string | Buffer }
  /** Believe `X-Forwarded-*` of these proxies (Fastify's `trustProxy`). */
  readonly trustProxy?: boolean | string | string[]
  /** Whether anybody may make a user (`POST /v1/users`), or administrators only, which is the default. */
  readonly openRegistration?: boolean
  /** Sends mail; without it, links to set a password are logged. */
  readonly sendMail?: SendMail
  readonly limits?: Partial<ApiLimits>
  /** With which `GET /metrics` may be read, besides the tokens of administrators. */
  readonly metricsToken?: string
  readonly logger?: FastifyBaseLogger
}
