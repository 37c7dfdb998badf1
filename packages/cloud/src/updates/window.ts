/** Hours in which updates may happen, in a time zone of the owner's choice. */

export const weekdays = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const
export type Weekday = (typeof weekdays)[number]

/** From `from` until `to`; over midnight when `to` is not later. */
export interface UpdateWindow {
  /** `22:00`, in the zone. */
  readonly from: string
  readonly to: string
  /** IANA name, for example `Europe/Berlin`. */
  readonly zone: string
  /** The days on which it begins; every day unless given. */
  readonly days?: readonly Weekday[]
}

const minute = 60_000
const minutesOfDay = 24 * 60

/** True for a name that the machine's time zone database knows. */
export function isTimeZone(zone: string): boolean {
  try {
    return Boolean(new Intl.DateTimeFormat('en', { timeZone: zone }))
  } catch {
    return false
  }
}

/** Minutes since midnight; undefined when it is no time of day. */
export function minutesOf(time: string): number | undefined {
  const match = /^([01]\d|2[0-4]):([0-5]\d)$/.exec(time)
  if (!match) return undefined
  const minutes = Number(match[1]) * 60 + Number(match[2])
  return minutes <= minutesOfDay ? minutes : undefined
}

/** True when one of the windows is open. */
export function isInside(windows: readonly UpdateWindow[], now: number): boolean {
  return windows.some((window) => covers(window, now))
}

/**
 * When the next window opens, to the minute; undefined when none does within eight days. Clocks that are set forward
 * and back are those of the zone: it looks where the window is, instead of computing when it would be.
 */
export function nextOpening(windows: readonly UpdateWindow[], now: number): number | undefined {
  const start = Math.floor(now / minute) * minute
  // Steps that no window of a quarter of an hour is missed by, then back to the minute.
  const step = 15 * minute
  for (let at = start + step; at <= start + 8 * minutesOfDay * minute; at += step) {
    if (!isInside(windows, at)) continue
    for (let back = at - step + minute; back < at; back += minute) if (isInside(windows, back)) return back
    return at
  }
  return undefined
}

function covers({ from, to, zone, days }: UpdateWindow, now: number): boolean {
  const start = minutesOf(from) ?? 0
  const end = minutesOf(to) ?? minutesOfDay
  const { day, minutes } = localTime(zone, now)
  const begins = (weekday: number): boolean => days === undefined || days.includes(weekdays[weekday % 7] ?? 'sun')
  if (start < end) return minutes >= start && minutes < end && begins(day)
  return (minutes >= start && begins(day)) || (minutes < end && begins(day + 6))
}

const formats = new Map<string, Intl.DateTimeFormat>()

function localTime(zone: string, now: number): { day: number; minutes: number } {
  let format = formats.get(zone)
  if (!format) {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      weekday: 'short',
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
    })
    formats.set(zone, format)
  }
  const parts = format.formatToParts(now)
  const part = (type: string): string => parts.find((candidate) => candidate.type === type)?.value ?? ''
  const day = weekdays.indexOf(part('weekday').toLowerCase() as Weekday)
  return { day: Math.max(0, day), minutes: Number(part('hour')) * 60 + Number(part('minute')) }
}
