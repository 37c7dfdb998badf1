/**
 * Where webhooks may go: public addresses only, unless the cloud's owner allows others.
 *
 * Whoever may make a webhook chooses an address that this machine connects to, from inside its network. What is asked
 * about is therefore the very address that is connected to, after the name was looked up, and not the name.
 */
import { type LookupAddress, type LookupAllOptions, lookup as lookupName } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import ipaddr from 'ipaddr.js'

export interface AddressPolicyOptions {
  /** True allows all; or networks ("10.1.0.0/16"), or single addresses. */
  readonly allowPrivate?: boolean | readonly string[]
  /** Looks names up; the system's resolver unless given. */
  readonly lookup?: Resolve
}

export type Resolve = (
  hostname: string,
  options: LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void

/** The code of the error with which an address that is not allowed is refused. */
export const addressRefused = 'ALOE_ADDRESS_REFUSED'

export class AddressRefusedError extends Error {
  readonly code = addressRefused

  constructor(host: string) {
    super(`${host} is an address of a private network or of this machine, where this cloud sends no webhooks`)
    this.name = 'AddressRefusedError'
  }
}

type Network = [ipaddr.IPv4 | ipaddr.IPv6, number]

export class AddressPolicy {
  readonly #all: boolean
  readonly #networks: readonly Network[]
  readonly #resolve: Resolve

  /** @throws RangeError for what is no network */
  constructor({ allowPrivate = false, lookup = lookupName }: AddressPolicyOptions = {}) {
    this.#all = allowPrivate === true
    this.#networks = typeof allowPrivate === 'boolean' ? [] : allowPrivate.map(networkOf)
    this.#resolve = lookup
  }

  /** @param text an IPv4 or IPv6 address */
  allows(text: string): boolean {
    if (this.#all) return true
    // A zone ("fe80::1%eth0") says that it is of a link.
    if (!ipaddr.isValid(text) || text.includes('%')) return false
    // An IPv4 address is judged as itself in whatever it is wrapped for IPv6 sockets.
    const address = ipaddr.process(text)
    // All other IPv6 is not given out (RFC 4291 2.4), or holds an IPv4 address in some way of old (::7f00:1).
    if (address.range() === 'unicast' && (address.kind() === 'ipv4' || globalUnicast(address))) return true
    return this.#networks.some(
      ([network, bits]) => network.kind() === address.kind() && address.match([network, bits] as never),
    )
  }

  /**
   * The host of a URL that is an address and not a name: such a one is not looked up, so that it is asked about here.
   * URLs write every address in its plain form ("2130706433" becomes "127.0.0.1").
   *
   * @throws AddressRefusedError
   */
  checkLiteral(hostname: string): void {
    const host = hostname.replace(/^\[(.*)\]$/, '$1')
    if (isIP(host) !== 0 && !this.allows(host)) throw new AddressRefusedError(host)
  }

  /** For `lookup` of sockets: gives the allowed addresses of a name, and fails when there are none. */
  readonly lookup: LookupFunction = (hostname, options, callback) => {
    const { family, hints } = options
    const asked = { all: true as const, ...(family !== undefined && { family }), ...(hints !== undefined && { hints }) }
    this.#resolve(hostname, asked as LookupAllOptions, (error, addresses) => {
      if (error) {
        callback(error, '', 0)
        return
      }
      const allowed = addresses.filter(({ address }) => this.allows(address))
      const [first] = allowed
      if (!first) callback(addresses.length === 0 ? notFound(hostname) : new AddressRefusedError(hostname), '', 0)
      else if (options.all) callback(null, allowed)
      else callback(null, first.address, first.family)
    })
  }
}

/** 2000::/3. */
function globalUnicast(address: ipaddr.IPv4 | ipaddr.IPv6): boolean {
  return address.match(ipaddr.parseCIDR('2000::/3') as never)
}

function notFound(hostname: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${hostname} has no address`), { code: 'ENOTFOUND' })
}

/** @throws RangeError when the text is neither a network nor an address */
function networkOf(text: string): Network {
  try {
    if (text.includes('/')) return ipaddr.parseCIDR(text.trim())
    const address = ipaddr.process(text.trim())
    return [address, address.kind() === 'ipv4' ? 32 : 128]
  } catch {
    throw new RangeError(`${JSON.stringify(text)} is no network: it looks like 10.1.0.0/16 or fd00::/8`)
  }
}
