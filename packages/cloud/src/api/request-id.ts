/** The id of a request: of the client or proxy that sent one, or made here; in the answer, in the log, in server errors. */
import { randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

export const requestIdHeader = 'x-request-id'

/** Somebody else's text goes into the log and into headers only when it is plain. */
const plain = /^[\w.:+=/-]{1,100}$/

export function requestIdOf({ headers }: Pick<IncomingMessage, 'headers'>): string {
  const given = headers[requestIdHeader]
  return typeof given === 'string' && plain.test(given) ? given : randomBytes(8).toString('hex')
}
