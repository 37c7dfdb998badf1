/** Digital and analog pins. */
import type { PinMode } from '../hal/pins.ts'
import type { Member, Runtime } from './runtime.ts'

const changed = (runtime: Runtime, pin: number) => runtime.send({ kind: 'pin', pin })

export const pinMode: Member = (runtime) => (pin: number, mode: PinMode) => {
  runtime.pins.setMode(pin, mode)
  changed(runtime, pin)
}

export const getPinMode: Member = (runtime) => (pin: number) => runtime.pins.mode(pin)

export const digitalWrite: Member = (runtime) => (pin: number, value: number | boolean) => {
  if (runtime.pins.mode(pin) !== 'OUTPUT') return
  runtime.pins.setLevel(pin, value)
  changed(runtime, pin)
}

export const digitalRead: Member = (runtime) => (pin: number) => runtime.pins.level(pin)

/** 12 bit, as on the boards. */
const maxAnalogInput = 4095
const maxAnalogOutput = 255

export const analogRead: Member = (runtime) => (pin: number) =>
  Math.min(maxAnalogInput, Math.max(0, runtime.pins.analog(pin)))

export const analogWrite: Member = (runtime) => (pin: number, value: number) => {
  if (runtime.pins.mode(pin) !== 'OUTPUT') return
  runtime.pins.setAnalog(pin, Math.min(maxAnalogOutput, Math.max(0, value)))
  changed(runtime, pin)
}
