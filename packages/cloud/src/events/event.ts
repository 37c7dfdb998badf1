/** An event as it walks through the cloud: from a device, from the API, or from the cloud itself. */
export interface CloudEvent {
  /** 1 to 64 printable ASCII characters. */
  readonly name: string
  /** What streams show: text, or what `content.ts` makes of binary and structured data; null when published without. */
  readonly data: string | null
  /** Seconds; informational. */
  readonly ttl: number
  /** Unix milliseconds. */
  readonly publishedAt: number
  /** Device id, 'api' (published through REST) or 'particle-internal' (made by the cloud). */
  readonly coreid: string
  /** The device that it is from or about. */
  readonly deviceId?: string
  /** User id: the device's owner, or who published through REST. Streams of nobody else carry it. */
  readonly owner?: string
  readonly productId?: number
  /** Product firmware version at publish time. */
  readonly version?: number
  /** CoAP content format (cloud-api.md 3.2); absent means text. */
  readonly contentType?: number
  /** The data as the device sent it, for devices that take it binary. */
  readonly raw?: Uint8Array
}

/** cloud-api.md 4. */
export const eventLimits = { nameLength: 64, dataBytes: 16_384, defaultTtl: 60, maximumTtl: 16_777_215 } as const

/** True for a name that an application may use: 1 to 64 printable ASCII characters (cloud-api.md 4). */
export function isEventName(name: string): boolean {
  return /^[\x20-\x7e]{1,64}$/.test(name)
}

/** True for names that only the system and the cloud may publish (cloud-api.md 3.3). */
export function isReservedEventName(name: string): boolean {
  return /^(spark|particle)/i.test(name)
}
