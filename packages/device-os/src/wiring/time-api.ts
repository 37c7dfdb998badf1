/** `Time`: the wall clock. Times are seconds since 1970, UTC. */
import type { Member, Runtime } from './runtime.ts'

/** What a board's clock shows before it was ever set: 2000-01-01T00:00:00Z. */
const unsetEpoch = 946_684_800

interface Settings {
  /** Offset of local time, seconds. */
  zone: number
  dst: boolean
  dstOffset: number
  format: string
}

const settingsOf = new WeakMap<Runtime, Settings>()

function settings(runtime: Runtime): Settings {
  const known = settingsOf.get(runtime)
  if (known !== undefined) return known
  const fresh: Settings = { zone: 0, dst: false, dstOffset: 3600, format: defaultFormat }
  settingsOf.set(runtime, fresh)
  return fresh
}

/** `asctime`, as `Time.format` has it by default. */
const defaultFormat = '%a %b %e %H:%M:%S %Y'

const utc = (runtime: Runtime): number =>
  Math.floor(runtime.state.unixTime(runtime.now()) ?? unsetEpoch + runtime.uptime() / 1000)

const shift = (runtime: Runtime): number => {
  const { zone, dst, dstOffset } = settings(runtime)
  return zone + (dst ? dstOffset : 0)
}

const localDate = (runtime: Runtime, at: number | undefined): Date =>
  new Date(((at ?? utc(runtime)) + shift(runtime)) * 1000)

const part =
  (read: (date: Date) => number): Member =>
  (runtime) =>
  (at?: number) =>
    read(localDate(runtime, at))

const hour12 = (date: Date): number => date.getUTCHours() % 12 || 12

export const now: Member = (runtime) => () => utc(runtime)
export const local: Member = (runtime) => () => utc(runtime) + shift(runtime)
export const hour: Member = /* @__PURE__ */ part((date) => date.getUTCHours())
export const hourFormat12: Member = /* @__PURE__ */ part(hour12)
export const minute: Member = /* @__PURE__ */ part((date) => date.getUTCMinutes())
export const second: Member = /* @__PURE__ */ part((date) => date.getUTCSeconds())
export const day: Member = /* @__PURE__ */ part((date) => date.getUTCDate())
/** 1 is Sunday. */
export const weekday: Member = /* @__PURE__ */ part((date) => date.getUTCDay() + 1)
export const month: Member = /* @__PURE__ */ part((date) => date.getUTCMonth() + 1)
export const year: Member = /* @__PURE__ */ part((date) => date.getUTCFullYear())
export const isAM: Member = (runtime) => (at?: number) => localDate(runtime, at).getUTCHours() < 12
export const isPM: Member = (runtime) => (at?: number) => localDate(runtime, at).getUTCHours() >= 12

export const zone: Member = (runtime) => (hours?: number) => {
  const own = settings(runtime)
  if (hours !== undefined) own.zone = Math.round(Math.min(14, Math.max(-12, hours)) * 3600)
  return own.zone / 3600
}

export const beginDST: Member = (runtime) => () => {
  settings(runtime).dst = true
}

export const endDST: Member = (runtime) => () => {
  settings(runtime).dst = false
}

export const isDST: Member = (runtime) => () => settings(runtime).dst

export const setDSTOffset: Member = (runtime) => (hours: number) => {
  settings(runtime).dstOffset = Math.round(Math.min(2, Math.max(0, hours)) * 3600)
}

export const getDSTOffset: Member = (runtime) => () => settings(runtime).dstOffset / 3600

export const setTime: Member = (runtime) => (seconds: number) => {
  runtime.state.setNumber('timeOffset', seconds - runtime.now() / 1000)
  runtime.tell('setTime', seconds)
}

export const isValid: Member = (runtime) => () => runtime.state.unixTime(runtime.now()) !== undefined

const days = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']
const months = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
]

const two = (value: number): string => String(value).padStart(2, '0')

function zoneText(seconds: number): string {
  if (seconds === 0) return 'Z'
  const minutes = Math.abs(Math.round(seconds / 60))
  return `${seconds < 0 ? '-' : '+'}${two(Math.trunc(minutes / 60))}:${two(minutes % 60)}`
}

/** `strftime` (ISO C) with the conversions that boards use; others stay as they are. */
function formatted(date: Date, offset: number, pattern: string): string {
  const conversions: Record<string, () => string> = {
    a: () => (days[date.getUTCDay()] ?? '').slice(0, 3),
    A: () => days[date.getUTCDay()] ?? '',
    b: () => (months[date.getUTCMonth()] ?? '').slice(0, 3),
    B: () => months[date.getUTCMonth()] ?? '',
    d: () => two(date.getUTCDate()),
    e: () => String(date.getUTCDate()).padStart(2, ' '),
    H: () => two(date.getUTCHours()),
    I: () => two(hour12(date)),
    m: () => two(date.getUTCMonth() + 1),
    M: () => two(date.getUTCMinutes()),
    p: () => (date.getUTCHours() < 12 ? 'AM' : 'PM'),
    S: () => two(date.getUTCSeconds()),
    y: () => two(date.getUTCFullYear() % 100),
    Y: () => String(date.getUTCFullYear()),
    z: () => zoneText(offset),
    '%': () => '%',
  }
  return pattern.replace(/%(.)/g, (whole, letter: string) => conversions[letter]?.() ?? whole)
}

export const setFormat: Member = (runtime) => (pattern: string) => {
  settings(runtime).format = pattern
}

export const getFormat: Member = (runtime) => () => settings(runtime).format

export const format: Member = (runtime) => (timeOrPattern?: number | string, pattern?: string) => {
  const own = settings(runtime)
  const at = typeof timeOrPattern === 'number' ? timeOrPattern : undefined
  const chosen = typeof timeOrPattern === 'string' ? timeOrPattern : pattern
  return formatted(localDate(runtime, at), shift(runtime), chosen ?? own.format)
}

export const timeStr: Member = (runtime) => (at?: number) =>
  formatted(localDate(runtime, at), shift(runtime), defaultFormat)
