/** The arguments after name and data of `Particle.publish`: a number is the TTL, words are flags. */
import type { PublishRequest } from './services.ts'

/** Seconds, the protocol's default (device-protocol.md 3.9). */
const defaultTtl = 60
const maxTtl = 16_777_215

/** Bytes of event data that a message has room for (device-protocol.md 6.2). */
export const maxEventData = 1024

type Options = Pick<PublishRequest, 'ttl' | 'acknowledge'>

/** An event as it is handed to the system, without its name. */
export type EventBody = Omit<PublishRequest, 'name'>

/** content formats of device-protocol.md 3.9 */
export const textFormat = 0

export function publishOptions(options: readonly (number | string)[]): Options {
  let ttl = defaultTtl
  let acknowledge: boolean | undefined
  for (const option of options) {
    if (typeof option === 'number') ttl = Math.min(maxTtl, Math.max(0, Math.trunc(option)))
    if (option === 'WITH_ACK') acknowledge = true
    if (option === 'NO_ACK') acknowledge = false
  }
  return { ttl, acknowledge }
}

/** Undefined when the text is too long. */
export function textEvent(text: string, options: Options): EventBody | undefined {
  const data = new TextEncoder().encode(text)
  return data.length > maxEventData ? undefined : { data, contentType: textFormat, ...options }
}

const decoder = new TextDecoder()

export const toText = (bytes: Uint8Array): string => decoder.decode(bytes)
