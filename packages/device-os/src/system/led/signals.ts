/** The system's LED signals (modules-and-platforms.md 6.1). */
import type { LedPattern, Rgb } from '../../hal/led-state.ts'
import type { Millis } from '../../hal/time.ts'

export type LedPriority = 'background' | 'normal' | 'important' | 'critical'
export type LedSpeed = 'slow' | 'normal' | 'fast'

export interface LedSignal {
  readonly color: Rgb
  readonly pattern: Exclude<LedPattern, 'sequence'>
  readonly speed: LedSpeed
  readonly priority: LedPriority
}

const signal = (
  color: Rgb,
  pattern: LedSignal['pattern'],
  speed: LedSpeed,
  priority: LedPriority = 'background',
): LedSignal => ({ color, pattern, speed, priority })

export const colors = {
  white: 0xffffff,
  blue: 0x0000ff,
  green: 0x00ff00,
  cyan: 0x00ffff,
  magenta: 0xff00ff,
  yellow: 0xffff00,
  red: 0xff0000,
  orange: 0xff6000,
  gray: 0x1f1f1f,
} as const

/** In the order of their ids. The last column of the table is the priority with which the system shows them. */
export const ledSignals = {
  network_off: signal(colors.white, 'fade', 'normal'),
  network_on: signal(colors.blue, 'fade', 'normal'),
  network_connecting: signal(colors.green, 'blink', 'normal'),
  network_dhcp: signal(colors.green, 'blink', 'fast'),
  network_connected: signal(colors.green, 'fade', 'normal'),
  cloud_connecting: signal(colors.cyan, 'blink', 'normal', 'normal'),
  cloud_handshake: signal(colors.cyan, 'blink', 'fast', 'normal'),
  cloud_connected: signal(colors.cyan, 'fade', 'normal', 'normal'),
  safe_mode: signal(colors.magenta, 'fade', 'normal', 'normal'),
  listening_mode: signal(colors.blue, 'blink', 'slow', 'critical'),
  dfu_mode: signal(colors.yellow, 'blink', 'normal', 'critical'),
  firmware_update: signal(colors.magenta, 'blink', 'fast', 'critical'),
  power_off: signal(colors.gray, 'solid', 'normal', 'critical'),
} as const satisfies Record<string, LedSignal>

export type LedSignalName = keyof typeof ledSignals

const periods: Readonly<Record<'blink' | 'fade', Readonly<Record<LedSpeed, Millis>>>> = {
  blink: { slow: 500, normal: 200, fast: 100 },
  fade: { slow: 8000, normal: 4000, fast: 1000 },
}

/** A full cycle of a pattern; 0 for a solid colour. */
export function periodOf(pattern: LedPattern, speed: LedSpeed): Millis {
  return pattern === 'blink' || pattern === 'fade' ? periods[pattern][speed] : 0
}

const priorities: Readonly<Record<LedPriority, number>> = { background: 10, normal: 20, important: 30, critical: 40 }

/** What decides who is shown: the system wins ties against the application. */
export function rankOf(priority: LedPriority, source: 'application' | 'system'): number {
  return (priorities[priority] << 2) | (source === 'system' ? 2 : 1)
}

const colorNames: readonly (readonly [Rgb, string])[] = [
  ...Object.entries(colors).map(([name, color]) => [color, name] as const),
  [0x000000, 'black'],
]

export function colorName(color: Rgb): string {
  const known = colorNames.find(([value]) => value === color)
  return known?.[1] ?? `#${color.toString(16).padStart(6, '0')}`
}

const fastest: Millis = 150

/** E.g. `breathing cyan`, `fast blinking magenta`. */
export function inWords(color: Rgb, pattern: LedPattern, period: Millis): string {
  const name = colorName(color)
  if (pattern === 'fade') return `breathing ${name}`
  if (pattern === 'blink') return period < fastest ? `fast blinking ${name}` : `blinking ${name}`
  return name
}
