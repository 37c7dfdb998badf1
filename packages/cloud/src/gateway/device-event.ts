/** Events as the bus carries them: from a device, and from the cloud about a device. */
import { type DeviceEvent, dataAsText } from '@aloe/protocol'
import { type DeviceRecord, firmwareVersionOf } from '../devices/device.ts'
import { type CloudEvent, eventLimits } from '../events/event.ts'

/** MIME types of the binary formats that devices publish (cloud-api.md 3.2). */
const mimeTypes: Readonly<Record<number, string>> = { 22: 'image/jpeg', 23: 'image/png' }

/**
 * An application's event. Text is by far the most, and costs one string; structured data becomes JSON and binary data a
 * data URL, as streams show them (cloud-api.md 3.2), with the bytes beside it for devices.
 */
export function deviceEvent(device: DeviceRecord, event: DeviceEvent, publishedAt: number): CloudEvent {
  const { name, data, ttl, contentType } = event
  const { id, ownerId, memberOf } = device
  const version = firmwareVersionOf(device)
  if (contentType === 0 && ownerId !== null && version !== null) {
    // Nearly every event: one object, always of one of two shapes.
    const text = data.length === 0 ? null : utf8(data)
    const owner = ownerId
    if (memberOf === null) return { name, data: text, ttl, publishedAt, coreid: id, deviceId: id, owner, version }
    const productId = memberOf
    return { name, data: text, ttl, publishedAt, coreid: id, deviceId: id, owner, productId, version }
  }
  const common = { name, ttl, publishedAt, coreid: id, deviceId: id, ...context(device, ownerId) }
  if (contentType === 0) return { ...common, data: data.length === 0 ? null : utf8(data) }
  // The data is a view of what was received: it is copied, or it would hold the whole of it.
  return { ...common, data: shown(data, contentType), contentType, raw: Uint8Array.from(data) }
}

/** An event of the cloud about a device, for its owner's streams. */
export function aboutDevice(
  device: DeviceRecord,
  name: string,
  data: string | null,
  publishedAt: number,
  coreid = device.id,
): CloudEvent {
  const { id, ownerId } = device
  return { name, data, ttl: eventLimits.defaultTtl, publishedAt, coreid, deviceId: id, ...context(device, ownerId) }
}

/** What a device reports makes it no member of a product: quarantined devices have no events there (cloud-api.md 1.7). */
function context(device: DeviceRecord, ownerId: string | null) {
  const { memberOf } = device
  const version = firmwareVersionOf(device)
  return {
    ...(ownerId !== null && { owner: ownerId }),
    ...(memberOf !== null && { productId: memberOf }),
    ...(version !== null && { version }),
  }
}

function shown(data: Uint8Array, contentType: number): string {
  const text = dataAsText(data, contentType)
  if (text) return utf8(text)
  const mime = mimeTypes[contentType] ?? 'application/octet-stream'
  return `data:${mime};base64,${Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64')}`
}

function utf8(data: Uint8Array): string {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('utf8')
}
