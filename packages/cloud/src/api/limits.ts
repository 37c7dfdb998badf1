/** What a client may ask for, and how often (cloud-api.md 4). */
import ipaddr from 'ipaddr.js'

export interface ApiLimits {
  /** Requests of one host in a window of five minutes. */
  readonly requests: number
  /** `POST /oauth/token`, of one host in five minutes. */
  readonly logins: number
  /** The other requests on tokens and users that take or give credentials. */
  readonly credentials: number
  /** Look-ups of serial numbers by one user in an hour: nobody lists them all. */
  readonly serialNumbers: number
  /** Event streams opened by one host in five minutes. */
  readonly streamsOpened: number
  /** Event streams that one host has open. */
  readonly streamsOpen: number
  /** Milliseconds after which a stream whose token was revoked or expired has ended. */
  readonly tokenRecheck: number
  /** Requests from the machine itself are not counted. */
  readonly exemptLoopback: boolean
  /** Bytes of a JSON or form body. */
  readonly body: number
  /** Bytes of all parts of an upload. */
  readonly upload: number
  /** Bytes of one file of an upload. */
  readonly uploadFile: number
  readonly uploadFiles: number
  /** Bytes of a function's argument. */
  readonly argument: number
  /** Milliseconds that a compiled binary can be fetched. */
  readonly binaryLifetime: number
  /** Compiled binaries that a user can have; the oldest go first. */
  readonly binariesPerUser: number
  /** Milliseconds for a request to arrive. */
  readonly requestTimeout: number
}

export const defaultLimits: ApiLimits = {
  requests: 10_000,
  logins: 100,
  credentials: 100,
  serialNumbers: 50,
  streamsOpened: 100,
  streamsOpen: 100,
  tokenRecheck: 10_000,
  exemptLoopback: true,
  body: 256 * 1024,
  upload: 16 * 1024 * 1024,
  uploadFile: 10 * 1024 * 1024,
  uploadFiles: 500,
  argument: 1_024,
  binaryLifetime: 24 * 60 * 60 * 1_000,
  binariesPerUser: 100,
  requestTimeout: 120_000,
}

const fiveMinutes = 5 * 60_000
const windowLength: Readonly<Record<RateClass, number>> = {
  requests: fiveMinutes,
  logins: fiveMinutes,
  credentials: fiveMinutes,
  streamsOpened: fiveMinutes,
  serialNumbers: 60 * 60_000,
}
/** Hosts counted at most; the oldest are forgotten. */
const capacity = 20_000

export type RateClass = 'requests' | 'logins' | 'credentials' | 'streamsOpened' | 'serialNumbers'

/** Counts what hosts do, in fixed windows. */
export class RateLimiter {
  readonly #limits: ApiLimits
  readonly #windows = new Map<string, { count: number; endsAt: number }>()

  constructor(limits: ApiLimits) {
    this.#limits = limits
  }

  /**
   * @param user whose requests are counted, if they are not those of the host
   * @returns how long to wait, in milliseconds; 0 for who may go on
   */
  count(kind: RateClass, host: string, now: number, user?: string): number {
    if (this.#limits.exemptLoopback && isLoopback(host)) return 0
    const key = `${kind} ${user ?? countedHost(host)}`
    let window = this.#windows.get(key)
    if (!window || window.endsAt <= now) {
      window = { count: 0, endsAt: now + windowLength[kind] }
      this.#windows.delete(key)
      this.#windows.set(key, window)
      this.#trim()
    }
    window.count++
    return window.count > this.#limits[kind] ? window.endsAt - now : 0
  }

  #trim(): void {
    if (this.#windows.size <= capacity) return
    const oldest = this.#windows.keys().next().value
    if (oldest !== undefined) this.#windows.delete(oldest)
  }
}

/**
 * Whom an address stands for where hosts are counted: of IPv6 its /64, which is the least that anybody is given (RFC 6177)
 * and has an address for every try.
 */
export function countedHost(ip: string): string {
  if (!ip.includes(':') || !ipaddr.isValid(ip)) return ip
  const address = ipaddr.process(ip)
  if (address.kind() === 'ipv4') return address.toString()
  return `${(address as ipaddr.IPv6).parts
    .slice(0, 4)
    .map((part) => part.toString(16))
    .join(':')}::/64`
}

/** The host whose failures are counted; undefined for the machine itself, where that is exempt. */
export function throttledHost({ ip }: { readonly ip: string }, limits: ApiLimits): string | undefined {
  return limits.exemptLoopback && isLoopback(ip) ? undefined : countedHost(ip)
}

export function isLoopback(host: string): boolean {
  return host === '::1' || /^(::ffff:)?127\./.test(host)
}
