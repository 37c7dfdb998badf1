/**
 * What a board of a platform says and understands, by the system module and the bootloader that it has: the version
 * matrix of device-protocol.md 0.3 and 3.5 as far as it shows on the wire.
 */
import type { Platform } from '@aloe/firmware'
import { type DtlsDialect, type HelloFields, helloFlag, noProduct } from '@aloe/protocol'

/** System module numbers from which on something is so (modules-and-platforms.md 3). */
const since = {
  vitals: 300,
  updateFlags: 1_200,
  deviceDescribes: 2_000,
  trailer: 3_000,
  connectionId: 3_100,
  markedMoves: 4_000,
  protobufDescribe: 5_500,
} as const

/** A bootloader inflates from this version on (modules-and-platforms.md 1.6). */
const inflatingBootloader = 1_000

export interface Dialect {
  readonly transport: 'tcp' | 'udp'
  readonly flags: number
  readonly dtls: DtlsDialect
  /** It posts its describes; else it waits for the cloud's question. */
  readonly deviceDescribes: boolean
  readonly systemDescribe: 'json' | 'protobuf'
  /** It tells whether it takes updates, and hears that it must. */
  readonly updateFlags: boolean
  /** Interrupted transfers go on where they broke off. */
  readonly resumes: boolean
  /** Milliseconds between pings; the transport's unless given. */
  readonly keepAlive?: number
}

export interface Versions {
  /** Of system part 1, or of what stands in its place; 0 when there is none. */
  readonly system: number
  readonly bootloader: number
}

export function dialectOf(platform: Platform, { system, bootloader }: Versions): Dialect {
  const transport = platform.features.includes('udp') ? 'udp' : 'tcp'
  const deviceDescribes = system >= since.deviceDescribes
  const resumes = platform.otaV3 && system >= since.trailer
  const compressed = platform.otaV3 && deviceDescribes && bootloader >= inflatingBootloader
  let flags = 0
  if (system >= since.vitals) flags |= helloFlag.vitals
  if (system >= since.updateFlags) flags |= helloFlag.immediateUpdates
  if (deviceDescribes) flags |= helloFlag.goodbye | helloFlag.deviceInitiatedDescribe
  if (compressed) flags |= helloFlag.compressedOta
  if (resumes) flags |= helloFlag.otaV3
  return {
    transport,
    flags,
    dtls: system >= since.markedMoves ? '4.0' : system >= since.connectionId ? '3.1' : '0.6',
    deviceDescribes,
    systemDescribe: system >= since.protobufDescribe ? 'protobuf' : 'json',
    updateFlags: system >= since.updateFlags,
    resumes,
    // Every 23 minutes on cellular (device-protocol.md 3.6).
    ...(transport === 'udp' && platform.connectivity === 'cellular' && { keepAlive: 23 * 60_000 }),
  }
}

/** @param updated an update was applied, and the cloud has not heard of it yet */
export function twinHello(
  platform: Platform,
  dialect: Dialect,
  system: number,
  productVersion: number | undefined,
  updated: boolean,
): HelloFields {
  return {
    productId: productVersion === undefined ? noProduct : platform.id,
    productVersion: productVersion ?? noProduct,
    flags: dialect.flags | (updated ? helloFlag.otaSuccessful : 0),
    platformId: platform.id,
    ...(system >= since.trailer && {
      system: {
        version: system,
        // Gen 2 has smaller buffers (device-protocol.md 0.3).
        maxMessageSize: platform.generation === 2 ? 960 : 1_152,
        maxBinarySize: platform.otaRegionSize,
        otaChunkSize: platform.otaV3 ? 1_024 : 512,
      },
    }),
  }
}
