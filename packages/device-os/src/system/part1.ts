/** System part 1: communication. What this exports is the body of the module. */
import { encodeApplicationDescribe, encodeSystemDescribe, encodeVitals } from '@aloe/protocol'
import type { Communication } from './communication.ts'
import { TcpConnection } from './connection/connection.ts'

export const communication: Communication = {
  createConnection: (options) => new TcpConnection(options),
  encodeSystemDescribe,
  encodeApplicationDescribe,
  encodeVitals,
}
