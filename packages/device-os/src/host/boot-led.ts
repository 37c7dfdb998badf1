import type { BootSignal } from '../boot/rom.ts'
import type { LedState, Millis } from '../hal/index.ts'

/** What the LED shows while the bootloader works: it toggles, for DFU mode every 100 ms (modules-and-platforms.md 6.1). */
export function bootLed(signal: BootSignal, now: Millis): LedState {
  const base = { pattern: 'blink', since: now, brightness: 255 } as const
  return signal === 'dfu'
    ? { ...base, signal: 'dfu_mode', color: 0xffff00, period: 200, words: 'blinking yellow' }
    : { ...base, signal: 'bootloader_applying', color: 0xff00ff, period: 100, words: 'blinking magenta fast' }
}
