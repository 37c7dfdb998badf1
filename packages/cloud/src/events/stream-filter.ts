/** Whose events a stream shows: the same question for what happens now and for what is replayed. */
import type { CloudEvent } from './event.ts'

/** `prefix` is compared with the name, in its case. */
export type StreamFilter =
  /** Of the owner's devices, and what the owner published. */
  | { readonly kind: 'owner'; readonly ownerId: string; readonly prefix: string }
  /** Of one device, as long as it is the owner's. */
  | { readonly kind: 'device'; readonly ownerId: string; readonly deviceId: string; readonly prefix: string }
  /** Of a product's devices, and what was published to it; of one device, or of the devices alone, where that is said. */
  | {
      readonly kind: 'product'
      readonly productId: number
      readonly of?: { readonly deviceId: string } | 'devices'
      readonly prefix: string
    }

/** Ownership and membership are those of the time when the event was published. */
export function shows(filter: StreamFilter, event: CloudEvent): boolean {
  if (!event.name.startsWith(filter.prefix)) return false
  switch (filter.kind) {
    case 'owner':
      return event.owner === filter.ownerId
    case 'device':
      return event.deviceId === filter.deviceId && event.owner === filter.ownerId
    case 'product':
      if (event.productId !== filter.productId) return false
      if (filter.of === undefined) return true
      return filter.of === 'devices' ? event.deviceId !== undefined : event.deviceId === filter.of.deviceId
  }
}
