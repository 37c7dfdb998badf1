/** The manifest of the constants: each is there under its own name. */
import {
  ledConstants,
  levels,
  pinModes,
  pins,
  publishFlags,
  resetReasonConstants,
  systemEventConstants,
  timeFormats,
  variableTypes,
} from '../constants.ts'
import type { ApiMember } from './member.ts'

type Constants = Readonly<Record<string, string | number>>

const literal = (value: string | number): string => (typeof value === 'string' ? `'${value}'` : String(value))

const constants = (since: string, exported: string, table: Constants, doc: string): ApiMember[] =>
  Object.entries(table).map(([name, value]) => ({
    name,
    since,
    kind: 'constant',
    source: 'constants.ts',
    export: exported,
    declaration: `const ${name}: ${literal(value)}`,
    doc,
  }))

export const constantMembers: readonly ApiMember[] = [
  ...constants('1.0.0', 'pins', pins, 'A pin.'),
  ...constants('1.0.0', 'levels', levels, 'The level of a pin.'),
  ...constants('1.0.0', 'pinModes', pinModes, 'What a pin is used as.'),
  ...constants('1.0.0', 'publishFlags', publishFlags, 'A flag of `Particle.publish`.'),
  ...constants('1.0.0', 'variableTypes', variableTypes, 'A type of `Particle.variable`.'),
  ...constants('1.0.0', 'resetReasonConstants', resetReasonConstants, 'A value of `System.resetReason()`.'),
  ...constants('1.0.0', 'systemEventConstants', systemEventConstants, 'An event of `System.on`, or its parameter.'),
  ...constants('1.0.0', 'timeFormats', timeFormats, 'A format of `Time.format`.'),
  ...constants('2.0.0', 'ledConstants', ledConstants, 'For `LEDStatus`.'),
]
