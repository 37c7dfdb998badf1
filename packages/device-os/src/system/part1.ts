/** System part 1: communication. What this exports is the body of the module. */
import { encodeApplicationDescribe, encodeSystemDescribe, encodeVitals } from '@aloe/protocol'
import type { Communication } from './communication.ts'
import { CloudConnection } from './connection/connection.ts'

export const communication: Communication = {
  transports: ['tcp', 'udp'],
  createConnection: (options) => new CloudConnection(options),
  encodeSystemDescribe,
  encodeApplicationDescribe,
  encodeVitals,
}
