/**
 * The application `tinker` for Aloe's own platform: the functions of the well-known one, by which tools try a device
 * out. `digitalread D7`, `digitalwrite D7,HIGH`, `analogread A0`, `analogwrite D2,128`; -1 and below for what is no pin
 * or no level.
 */
import type { UploadedFile } from './sources.ts'

const text = `import { analogRead, analogWrite, digitalRead, digitalWrite, HIGH, INPUT, LOW, OUTPUT, Particle, pinMode } from 'device-os'

// A0 … A5 are D19 … D14.
function pinOf(name: string): number | undefined {
  const [, kind, digits] = /^([DA])(\\d{1,2})$/i.exec(name.trim()) ?? []
  const number = Number(digits)
  if (kind?.toUpperCase() === 'D') return number <= 19 ? number : undefined
  return kind && number <= 5 ? 19 - number : undefined
}

export function setup(): void {
  Particle.function('digitalread', (argument) => {
    const pin = pinOf(argument)
    if (pin === undefined) return -1
    pinMode(pin, INPUT)
    return Number(digitalRead(pin))
  })
  Particle.function('digitalwrite', (argument) => {
    const [name = '', level = ''] = argument.split(/[ ,=:]+/)
    const pin = pinOf(name)
    if (pin === undefined) return -1
    if (level !== 'HIGH' && level !== 'LOW') return -3
    pinMode(pin, OUTPUT)
    digitalWrite(pin, level === 'HIGH' ? HIGH : LOW)
    return 1
  })
  Particle.function('analogread', (argument) => {
    const pin = pinOf(argument)
    return pin === undefined ? -1 : analogRead(pin)
  })
  Particle.function('analogwrite', (argument) => {
    const [name = '', value = ''] = argument.split(/[ ,=:]+/)
    const pin = pinOf(name)
    if (pin === undefined) return -1
    if (!/^\\d{1,3}$/.test(value) || Number(value) > 255) return -3
    pinMode(pin, OUTPUT)
    analogWrite(pin, Number(value))
    return 1
  })
}
`

/** Sources of the applications that can be flashed by their names (cloud-api.md 1.6). */
export const knownApplications: ReadonlyMap<string, readonly UploadedFile[]> = new Map([
  ['tinker', [{ path: 'tinker.ts', content: new TextEncoder().encode(text) }]],
])
