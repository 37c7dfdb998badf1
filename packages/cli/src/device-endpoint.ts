/** How a device of this machine reaches a cloud: by which transport, where, and with which keys. */
import { isIPv4 } from 'node:net'
import type { CloudAddresses, ServerAddress } from '@aloe/device-os'
import { InvalidArgumentError, Option } from 'commander'
import { CliError, exitCode } from './cli-error.ts'
import { type CloudDescription, type DeviceEndpoint, readWellKnown, type Transport } from './well-known.ts'

export interface ProtocolOptions {
  readonly protocol?: Transport
}

/** `--protocol`, for devices. */
export function protocolOption(description: string): Option {
  return new Option('--protocol <transport>', description).argParser((text: string): Transport => {
    const name = text.toLowerCase()
    if (name === 'tcp' || name === 'udp') return name
    throw new InvalidArgumentError('It is tcp or udp.')
  })
}

export interface Endpoint {
  readonly transport: Transport
  readonly addresses: CloudAddresses
}

/**
 * Asks a cloud where devices find it.
 *
 * @param wanted no other transport will do
 * @param preferred otherwise this one, if the cloud has it
 * @throws CliError when the cloud does not serve devices in that way
 */
export async function endpointOf(url: string, wanted: Transport | undefined, preferred: Transport): Promise<Endpoint> {
  const cloud = await readWellKnown(url)
  const other: Transport = preferred === 'udp' ? 'tcp' : 'udp'
  const transport = wanted ?? [preferred, other].find((name) => serves(cloud, name))
  if (transport === undefined) throw new CliError(`The cloud at ${url} does not serve devices.`)
  if (!serves(cloud, transport)) {
    throw new CliError(`The cloud at ${url} does not serve devices over ${transport.toUpperCase()}.`, {
      code: exitCode.usage,
      hint: 'Leave --protocol out to use what it has.',
    })
  }
  return { transport, addresses: addressesOf(cloud) }
}

function serves(cloud: CloudDescription, transport: Transport): boolean {
  return cloud[transport] !== undefined && cloud.keys[transport] !== undefined
}

/** Of both transports, so that a device may change from one to the other. */
function addressesOf({ tcp, udp, keys }: CloudDescription): CloudAddresses {
  return {
    ...(tcp && keys.tcp && { serverKey: keys.tcp, serverAddress: addressOf(tcp) }),
    ...(udp && keys.udp && { udpServerKey: keys.udp, udpServerAddress: addressOf(udp) }),
  }
}

function addressOf({ host, port }: DeviceEndpoint): ServerAddress {
  return { type: isIPv4(host) ? 'ipv4' : 'domain', address: host, port }
}
