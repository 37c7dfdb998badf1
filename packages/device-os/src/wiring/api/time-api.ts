/** The manifest of `Time` and of waiting. */
import { type ApiMember, members } from './member.ts'

const partDoc = (what: string): string => `${what} of a time (now when left out), in the device's zone.`

export const timeMembers: readonly ApiMember[] = [
  ...members({ since: '1.0.0', source: 'time-api.ts' }, [
    [
      'Time.now',
      'now',
      'now(): number',
      'Seconds since 1970, UTC. Before the time is known, a clock that began in 2000.',
    ],
    ['Time.local', 'local', 'local(): number', '`Time.now()` shifted to the local zone.'],
    ['Time.hour', 'hour', 'hour(time?: number): number', partDoc('The hour, 0 … 23,')],
    ['Time.hourFormat12', 'hourFormat12', 'hourFormat12(time?: number): number', partDoc('The hour, 1 … 12,')],
    ['Time.minute', 'minute', 'minute(time?: number): number', partDoc('The minute, 0 … 59,')],
    ['Time.second', 'second', 'second(time?: number): number', partDoc('The second, 0 … 59,')],
    ['Time.day', 'day', 'day(time?: number): number', partDoc('The day of the month, 1 … 31,')],
    ['Time.weekday', 'weekday', 'weekday(time?: number): number', partDoc('The day of the week, 1 (Sunday) … 7,')],
    ['Time.month', 'month', 'month(time?: number): number', partDoc('The month, 1 … 12,')],
    ['Time.year', 'year', 'year(time?: number): number', partDoc('The year')],
    ['Time.isAM', 'isAM', 'isAM(time?: number): boolean', 'Whether a time is before noon.'],
    ['Time.isPM', 'isPM', 'isPM(time?: number): boolean', 'Whether a time is noon or later.'],
    [
      'Time.zone',
      'zone',
      'zone(hours?: number): number',
      'Sets (-12 … 14) or tells the offset of local time, in hours.',
    ],
    ['Time.beginDST', 'beginDST', 'beginDST(): void', 'Begins daylight saving time.'],
    ['Time.endDST', 'endDST', 'endDST(): void', 'Ends daylight saving time.'],
    ['Time.isDST', 'isDST', 'isDST(): boolean', 'Whether daylight saving time is on.'],
    [
      'Time.setDSTOffset',
      'setDSTOffset',
      'setDSTOffset(hours: number): void',
      'Hours that daylight saving time adds; 1 by default.',
    ],
    ['Time.getDSTOffset', 'getDSTOffset', 'getDSTOffset(): number', 'Hours that daylight saving time adds.'],
    [
      'Time.setTime',
      'setTime',
      'setTime(time: number): void',
      'Sets the clock of the device.',
      { requests: [{ name: 'setTime', export: 'setTimeRequest' }] },
    ],
    [
      'Time.setFormat',
      'setFormat',
      'setFormat(format: string): void',
      'The format that `Time.format` uses when none is given.',
    ],
    ['Time.getFormat', 'getFormat', 'getFormat(): string', 'The format that `Time.format` uses when none is given.'],
    [
      'Time.format',
      'format',
      'format(time?: number, format?: string): string\nformat(format: string): string',
      'A time as text, in the way of `strftime`. `TIME_FORMAT_ISO8601_FULL` is a ready format.',
    ],
    ['Time.timeStr', 'timeStr', 'timeStr(time?: number): string', 'A time as text, e.g. `Wed May 21 01:08:47 2025`.'],
  ]),
  ...members({ since: '2.0.0', source: 'time-api.ts' }, [
    ['Time.isValid', 'isValid', 'isValid(): boolean', 'Whether the device knows the time.'],
  ]),
  ...members({ since: '1.0.0', source: 'timing.ts' }, [
    ['delay', 'delay', 'function delay(milliseconds: number): Promise<void>', 'Waits. Use it with `await`.'],
    [
      'delayMicroseconds',
      'delayMicroseconds',
      'function delayMicroseconds(microseconds: number): void',
      'Waits for a very short time without yielding.',
    ],
    ['millis', 'millis', 'function millis(): number', 'Milliseconds since the device started.'],
    ['micros', 'micros', 'function micros(): number', 'Microseconds since the device started.'],
    [
      'waitUntil',
      'waitUntil',
      'function waitUntil(condition: () => boolean | Promise<boolean>): Promise<boolean>',
      'Waits until the condition holds: `await waitUntil(Particle.connected)`.',
    ],
    [
      'waitFor',
      'waitFor',
      'function waitFor(condition: () => boolean | Promise<boolean>, timeout: number): Promise<boolean>',
      'Waits until the condition holds, at most `timeout` milliseconds. Resolves to whether it does.',
    ],
    [
      'Timer',
      'timerClass',
      `class Timer {
  /** Calls \`callback\` every \`period\` milliseconds once started, or only once with \`oneShot\`. */
  constructor(period: number, callback: () => void | Promise<void>, oneShot?: boolean)
  start(): void
  stop(): void
  /** Begins the period anew. */
  reset(): void
  changePeriod(period: number): void
  isActive(): boolean
}`,
      'A software timer.',
    ],
  ]),
]
