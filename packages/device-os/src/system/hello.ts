/** What a device says of itself when a session begins (device-protocol.md 3.5). */
import { productOf } from '@aloe/firmware'
import { type HelloFields, helloFlag, noProduct } from '@aloe/protocol'
import type { ServerAddress } from '../flash/device-config.ts'
import type { Flash } from '../flash/flash.ts'
import { sessionData } from '../flash/session-data.ts'
import type { ConnectionServer, UdpOptions } from './communication.ts'

/** Bytes of the message buffer of Device OS 6.2. */
const bufferSize = 1152
/** Bytes: fits a message with its header. */
const otaChunkSize = 1024

/** What this system can: the dialect of Device OS 6.2 with all of its flags. */
const abilities =
  helloFlag.vitals |
  helloFlag.immediateUpdates |
  helloFlag.goodbye |
  helloFlag.deviceInitiatedDescribe |
  helloFlag.compressedOta |
  helloFlag.otaV3

/** @param updated the last update was applied, and this is the first session after it */
export function helloOf(flash: Flash, updated: boolean): HelloFields {
  const { platform } = flash
  const system = flash.installed().findLast((module) => module.function === 'system_part')
  const user = flash.installed().find((module) => module.function === 'user_part')
  const product = user && productOf(user)
  return {
    // The version is all that is meaningful today: the id is the platform's (modules-and-platforms.md 1.3).
    productId: product === undefined ? noProduct : platform.id,
    productVersion: product?.version ?? noProduct,
    flags: abilities | (updated ? helloFlag.otaSuccessful : 0),
    platformId: platform.id,
    system: {
      version: system?.version ?? 0,
      maxMessageSize: bufferSize,
      maxBinarySize: platform.otaRegionSize,
      otaChunkSize,
    },
  }
}

/** Where the cloud is: `$id` in a name stands for the device and its Device OS (device-protocol.md 6.3). */
export function serverOf(
  address: ServerAddress | undefined,
  deviceId: string,
  version: string,
): ConnectionServer | undefined {
  if (address === undefined) return undefined
  const host = address.address.replace('$id', `${deviceId}.v${version.split('.')[0]}`)
  return { host, port: address.port }
}

/** What a connection over UDP needs; undefined when the device is to use TCP. */
export function udpOf(flash: Flash, version: string): UdpOptions | undefined {
  const { transport, deviceId, udpDeviceKey, udpServerKey, udpServerAddress } = flash.config
  if (transport !== 'udp' || udpDeviceKey === undefined) return undefined
  return {
    deviceKey: udpDeviceKey,
    serverKey: udpServerKey,
    server: serverOf(udpServerAddress, deviceId, version),
    sessions: {
      load: () => flash.readData(sessionData),
      save: (session) => flash.writeData(sessionData, session),
    },
  }
}
