/** How an event looks on a stream (cloud-api.md 1.4 and 3.2). */
import type { CloudEvent } from './event.ts'

/** Sent first, so that the client sees the stream open at once. */
export const streamOpening = ':ok\n\n'
/** Any byte keeps a stream alive; a lone line end is the smallest that no parser shows. */
export const heartbeat = '\n'

/** The frame on the streams of users and devices. The name stands in the `event:` line only. */
export function frameEvent(event: CloudEvent): string {
  return `event: ${lineOf(event.name)}\ndata: {${common(event)}}\n\n`
}

/** The frame on the streams of products, which says more. */
export function frameProductEvent(event: CloudEvent): string {
  const { owner = '', version = 0, productId = 0 } = event
  const more = `"userid":${JSON.stringify(owner)},"version":${version},"public":false,"productID":${productId}`
  return `event: ${lineOf(event.name)}\ndata: {${common(event)},${more}}\n\n`
}

function common({ data, ttl, publishedAt, coreid }: CloudEvent): string {
  // Written out by hand: the order of the keys is part of the contract, and it is half the work of JSON.stringify.
  const json = data === null ? 'null' : JSON.stringify(data)
  return `"data":${json},"ttl":${ttl},"published_at":"${isoTime(publishedAt)}","coreid":${JSON.stringify(coreid)}`
}

/** A name with a line end in it could forge events. */
function lineOf(name: string): string {
  return /[\r\n]/.test(name) ? name.replace(/[\r\n]+/g, ' ') : name
}

let lastTime = Number.NaN
let lastIso = ''

function isoTime(millis: number): string {
  if (millis !== lastTime) {
    lastIso = new Date(millis).toISOString()
    lastTime = millis
  }
  return lastIso
}
