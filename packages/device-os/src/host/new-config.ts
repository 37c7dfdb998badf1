/** The first configuration of a new device: keys of both transports, and what it was told about its cloud. */
import type { DeviceConfig, ServerAddress, Transport } from '../flash/device-config.ts'
import { newDeviceKey, newUdpDeviceKey } from './device-identity.ts'

export interface NewDeviceOptions {
  /** PKCS#1 DER; a new RSA-1024 key unless given. Finding one takes tens of milliseconds: fleets bring theirs. */
  readonly deviceKey?: Uint8Array
  /** The cloud's RSA public key, SPKI DER. */
  readonly serverKey?: Uint8Array
  readonly serverAddress?: ServerAddress
  /** SEC1 DER; a new P-256 key unless given. */
  readonly udpDeviceKey?: Uint8Array
  /** The cloud's P-256 public key, SPKI DER. */
  readonly udpServerKey?: Uint8Array
  readonly udpServerAddress?: ServerAddress
  /** UDP unless given; TCP when only an address for TCP is. */
  readonly transport?: Transport
  readonly claimCode?: string
}

export function newConfig(deviceId: string, options: NewDeviceOptions): DeviceConfig {
  const { deviceKey, udpDeviceKey, transport, ...given } = pick(options)
  const onlyTcp = given.serverAddress !== undefined && given.udpServerAddress === undefined
  return {
    deviceId,
    deviceKey: deviceKey ?? newDeviceKey(),
    udpDeviceKey: udpDeviceKey ?? newUdpDeviceKey(),
    transport: transport ?? (onlyTcp ? 'tcp' : 'udp'),
    ...given,
    startupMode: 'normal',
    flags: {},
  }
}

/** Of an object that may hold much else. */
function pick(options: NewDeviceOptions): NewDeviceOptions {
  const { deviceKey, serverKey, serverAddress, udpDeviceKey, udpServerKey, udpServerAddress, transport, claimCode } =
    options
  return {
    ...(deviceKey && { deviceKey }),
    ...(serverKey && { serverKey }),
    ...(serverAddress && { serverAddress }),
    ...(udpDeviceKey && { udpDeviceKey }),
    ...(udpServerKey && { udpServerKey }),
    ...(udpServerAddress && { udpServerAddress }),
    ...(transport && { transport }),
    ...(claimCode !== undefined && { claimCode }),
  }
}
