/** The cloud's log: one JSON object a line, on standard error, so that standard output stays with the starter. */
import { type DestinationStream, type Logger, pino } from 'pino'

/**
 * @param level 'fatal', 'error', 'warn', 'info', 'debug', 'trace' or 'silent'
 * @param destination standard error unless given
 */
export function createLogger(
  level = 'info',
  destination: DestinationStream = pino.destination({ dest: 2, sync: true }),
): Logger {
  return pino(
    {
      level,
      base: { service: 'aloe' },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      // A token or password must never get into a log, whoever hands the object over.
      redact: ['password', '*.password', 'token', '*.token', 'req.headers.authorization'],
      serializers: { error: pino.stdSerializers.err },
    },
    destination,
  )
}
