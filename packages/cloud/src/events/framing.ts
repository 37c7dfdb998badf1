/** How an event looks on a stream (cloud-api.md 1.4 and 3.2). */
import type { CloudEvent } from './event.ts'

/** Sent first, so that the client sees the stream open at once. */
export const streamOpening = ':ok\n\n'
/** Any byte keeps a stream alive; a lone line end is the smallest that no parser shows. */
export const heartbeat = '\n'

/** Said to who asked for what was missed, once there is nothing more of it: what follows is live. */
export const caughtUp = ':caught up\n\n'

/** What a client is told that asked for more than is kept: an event of the cloud, for that stream alone. */
export const gapEventName = 'aloe/events/gap'

/**
 * The frame on the streams of users and devices. The name stands in the `event:` line only.
 *
 * @param id with which the client can go on here; it comes last, so that the lines before it are Particle's
 */
export function frameEvent(event: CloudEvent, id?: number): string {
  return `event: ${lineOf(event.name)}\ndata: {${common(event)}}\n${idLine(id)}\n`
}

/** The frame on the streams of products, which says more. */
export function frameProductEvent(event: CloudEvent, id?: number): string {
  const { owner = '', version = 0, productId = 0 } = event
  const more = `"userid":${JSON.stringify(owner)},"version":${version},"public":false,"productID":${productId}`
  return `event: ${lineOf(event.name)}\ndata: {${common(event)},${more}}\n${idLine(id)}\n`
}

let lastThousands = Number.NaN
let lastDigits = ''

/** Ids come one after the other: all but the last digits of one are those of the one before. */
function idLine(id: number | undefined): string {
  if (id === undefined) return ''
  const thousands = Math.floor(id / 1_000)
  if (thousands !== lastThousands) {
    lastThousands = thousands
    lastDigits = `id: ${thousands > 0 ? thousands : ''}`
  }
  const rest = id - thousands * 1_000
  const zeros = thousands === 0 || rest > 99 ? '' : rest > 9 ? '0' : '00'
  return `${lastDigits}${zeros}${rest}\n`
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
