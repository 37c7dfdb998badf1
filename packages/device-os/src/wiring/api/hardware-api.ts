/** The manifest of pins and small arithmetic. */
import { type ApiMember, type ApiType, members } from './member.ts'

export const hardwareTypes: readonly ApiType[] = [
  {
    name: 'PinMode',
    since: '1.0.0',
    declaration: `type PinMode = 'NONE' | 'INPUT' | 'OUTPUT' | 'INPUT_PULLUP' | 'INPUT_PULLDOWN'`,
    doc: 'What a pin is used as.',
  },
]

export const hardwareMembers: readonly ApiMember[] = [
  ...members({ since: '1.0.0', source: 'pins.ts' }, [
    ['pinMode', 'pinMode', 'function pinMode(pin: number, mode: PinMode): void', 'Makes a pin an input or an output.'],
    ['getPinMode', 'getPinMode', 'function getPinMode(pin: number): PinMode', 'What a pin is used as.'],
    [
      'digitalWrite',
      'digitalWrite',
      'function digitalWrite(pin: number, value: number | boolean): void',
      'Sets an output pin `HIGH` or `LOW`.',
    ],
    ['digitalRead', 'digitalRead', 'function digitalRead(pin: number): 0 | 1', 'Reads a pin: `HIGH` or `LOW`.'],
    ['analogRead', 'analogRead', 'function analogRead(pin: number): number', 'Reads a voltage: 0 … 4095.'],
    [
      'analogWrite',
      'analogWrite',
      'function analogWrite(pin: number, value: number): void',
      'Sets the duty cycle of an output pin: 0 … 255.',
    ],
  ]),
  ...members({ since: '1.0.0', source: 'arithmetic.ts' }, [
    [
      'map',
      'map',
      'function map(value: number, fromLow: number, fromHigh: number, toLow: number, toHigh: number): number',
      'Maps a value of one range to another.',
    ],
    [
      'constrain',
      'constrain',
      'function constrain(value: number, low: number, high: number): number',
      'Keeps a value within a range.',
    ],
    [
      'random',
      'random',
      'function random(max: number): number\nfunction random(min: number, max: number): number',
      'An integer by chance, from 0 or `min` on, less than `max`.',
    ],
  ]),
]
