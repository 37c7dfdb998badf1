/** The application describe (device-protocol.md 3.8.3): `{"f":["led"],"v":{"temp":9}}`. */
import { type VariableType, variableTypeCodes } from './variable.ts'

export interface ApplicationDescribe {
  readonly kind: 'application'
  readonly functions: readonly string[]
  readonly variables: Readonly<Record<string, VariableType>>
}

const variableTypes = new Map<unknown, VariableType>(
  Object.entries(variableTypeCodes).map(([type, code]) => [code, type as VariableType]),
)

/** Reads `f` and `v`. Names that are no text and types that are not known are left out. */
export function decodeApplicationDescribe(document: Readonly<Record<string, unknown>>): ApplicationDescribe {
  const { f, v } = document
  const functions = Array.isArray(f) ? f.filter((name): name is string => typeof name === 'string') : []
  const variables: [string, VariableType][] = []
  for (const [name, code] of Object.entries(typeof v === 'object' && v !== null ? v : {})) {
    const type = variableTypes.get(code)
    if (type) variables.push([name, type])
  }
  return { kind: 'application', functions, variables: Object.fromEntries(variables) }
}

/** The payload that a device posts. */
export function encodeApplicationDescribe(
  functions: readonly string[],
  variables: Readonly<Record<string, VariableType>>,
): Uint8Array {
  const types = Object.entries(variables).map(([name, type]) => [name, variableTypeCodes[type]] as const)
  return new TextEncoder().encode(JSON.stringify({ f: functions, v: Object.fromEntries(types) }))
}
