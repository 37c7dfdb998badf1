/**
 * Tinker: the application that a new device starts with. Functions as Particle's Tinker has them, so that its apps and
 * `particle call DEVICE digitalwrite D7,HIGH` work: pins are named D0 to D19 and A0 to A5.
 */
import { analogRead, analogWrite, digitalRead, digitalWrite, INPUT, OUTPUT, Particle, pinMode } from 'device-os'

/** A0 to A5 are the pins 19 to 14. */
const firstAnalogPin = 19

interface Command {
  readonly pin: number
  /** In capitals; empty when there is none. */
  readonly value: string
}

export function setup(): void {
  Particle.function('digitalread', (argument) => {
    const command = parse(argument)
    if (!command) return -1
    pinMode(command.pin, INPUT)
    return digitalRead(command.pin)
  })
  Particle.function('digitalwrite', (argument) => {
    const command = parse(argument)
    if (!command || (command.value !== 'HIGH' && command.value !== 'LOW')) return -1
    pinMode(command.pin, OUTPUT)
    digitalWrite(command.pin, command.value === 'HIGH')
    return 1
  })
  Particle.function('analogread', (argument) => {
    const command = parse(argument)
    return command ? analogRead(command.pin) : -1
  })
  Particle.function('analogwrite', (argument) => {
    const command = parse(argument)
    const value = Number(command?.value)
    if (!command || command.value === '' || !(value >= 0 && value <= 255)) return -1
    pinMode(command.pin, OUTPUT)
    analogWrite(command.pin, value)
    return 1
  })
}

/** `D7`, `D7,HIGH`, `A0=128`, as the apps and the documentation write them. */
function parse(argument: string): Command | undefined {
  const match = /^\s*([DA])(\d{1,2})(?:[\s,=]+(\w+))?\s*$/i.exec(argument)
  if (!match) return undefined
  const [, bank = '', digits = '', value = ''] = match
  const number = Number(digits)
  const analog = bank.toUpperCase() === 'A'
  if (number > (analog ? 5 : 19)) return undefined
  return { pin: analog ? firstAnalogPin - number : number, value: value.toUpperCase() }
}
