/** The manifest of what a device shows and says: the log and the status LED. */
import { type ApiMember, type ApiType, members } from './member.ts'

export const indicationTypes: readonly ApiType[] = [
  {
    name: 'LEDPattern',
    since: '2.0.0',
    declaration: `type LEDPattern = 'solid' | 'blink' | 'fade'`,
    doc: 'How an LED is lit.',
  },
  {
    name: 'LEDSpeed',
    since: '2.0.0',
    declaration: `type LEDSpeed = 'slow' | 'normal' | 'fast'`,
    doc: 'How fast: a blink takes 500, 200 or 100 ms, a fade 8, 4 or 1 s.',
  },
  {
    name: 'LEDPriority',
    since: '2.0.0',
    declaration: `type LEDPriority = 'background' | 'normal' | 'important' | 'critical'`,
    doc: 'The highest priority is shown; among equals the system comes before the application.',
  },
]

const logDeclaration = (level: string): string => `${level}(message: unknown, ...values: unknown[]): void`
const logDoc = (level: string): string =>
  `Writes a line of level ${level} to the device's log. Values replace \`%s\`, \`%d\`, \`%f\`, \`%j\` … in order.`

export const indicationMembers: readonly ApiMember[] = [
  ...members({ since: '1.0.0', source: 'log.ts' }, [
    ['Log.trace', 'trace', logDeclaration('trace'), logDoc('trace')],
    ['Log.info', 'info', logDeclaration('info'), logDoc('info')],
    ['Log.warn', 'warn', logDeclaration('warn'), logDoc('warn')],
    ['Log.error', 'error', logDeclaration('error'), logDoc('error')],
    [
      'Logger',
      'loggerClass',
      `class Logger {
  /** A log of its own category, e.g. \`app.pump\`. */
  constructor(category?: string)
  trace(message: unknown, ...values: unknown[]): void
  info(message: unknown, ...values: unknown[]): void
  warn(message: unknown, ...values: unknown[]): void
  error(message: unknown, ...values: unknown[]): void
}`,
      'A log with a category.',
    ],
  ]),
  ...members({ since: '1.0.0', source: 'rgb.ts' }, [
    [
      'RGB.control',
      'control',
      'control(on: boolean): void',
      'Takes the status LED from the system, or gives it back.',
      { requests: [{ name: 'rgbControl', export: 'rgbControlRequest' }] },
    ],
    ['RGB.controlled', 'controlled', 'controlled(): boolean', 'Whether the application has the status LED.'],
    [
      'RGB.color',
      'color',
      'color(red: number, green: number, blue: number): void\ncolor(rgb: number): void',
      'The colour while the application has the LED: three values 0 … 255, or 0xRRGGBB.',
      { requests: [{ name: 'rgbColor', export: 'rgbColorRequest' }] },
    ],
    [
      'RGB.brightness',
      'brightness',
      'brightness(value: number): void',
      'The brightness of the status LED, 0 … 255, whoever has it.',
      { requests: [{ name: 'rgbBrightness', export: 'rgbBrightnessRequest' }] },
    ],
    [
      'RGB.onChange',
      'onChange',
      'onChange(handler?: (red: number, green: number, blue: number) => void): void',
      'Calls the handler with the colour of the LED whenever what it shows changes; without a handler, no more.',
      { requests: [{ name: 'rgbListen', export: 'rgbListenRequest' }] },
    ],
  ]),
  ...members({ since: '2.0.0', source: 'led-status.ts' }, [
    [
      'LEDStatus',
      'ledStatusClass',
      `class LEDStatus {
  /** White and solid, unless said otherwise; a number instead of a speed is the period in milliseconds. */
  constructor(color?: number, pattern?: LEDPattern, speed?: LEDSpeed | number, priority?: LEDPriority)
  /** Shows it, as far as nothing of higher priority is shown. */
  setActive(active?: boolean): void
  isActive(): boolean
  setColor(color: number): void
  color(): number
  setPattern(pattern: LEDPattern): void
  pattern(): LEDPattern
  setSpeed(speed: LEDSpeed): void
  setPeriod(milliseconds: number): void
  setPriority(priority: LEDPriority): void
  priority(): LEDPriority
}`,
      'Something that the application shows on the status LED beside the signals of the system.',
      { requests: [{ name: 'ledStatus', export: 'ledStatusRequest' }] },
    ],
  ]),
]
