/**
 * The device's pins, in memory that system and application share: an application in its own thread reads and writes
 * them without asking, and whoever drives the hardware (or a test) sees the same values.
 */

/** As in Device OS `PinMode`. */
export type PinMode = 'NONE' | 'INPUT' | 'OUTPUT' | 'INPUT_PULLUP' | 'INPUT_PULLDOWN'

const modes: readonly PinMode[] = ['NONE', 'INPUT', 'OUTPUT', 'INPUT_PULLUP', 'INPUT_PULLDOWN']

/** D0 … D19 are 0 … 19; A0 … A5 are aliases of D19 … D14, as on Gen 3 boards. */
export const pinCount = 32

const words = 3
const mode = 0
const digital = 1
const analog = 2

export const pinBankBytes: number = pinCount * words * Int32Array.BYTES_PER_ELEMENT

export interface PinChange {
  readonly pin: number
  readonly mode: PinMode
  readonly level: 0 | 1
  /** 0 … 4095 as input, 0 … 255 as PWM output. */
  readonly analog: number
}

export class PinBank {
  readonly #cells: Int32Array
  readonly #listeners = new Set<(change: PinChange) => void>()

  /** @param memory at least `pinBankBytes` from `offset` on; zeroes mean: no mode, low */
  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(pinBankBytes), offset = 0) {
    this.#cells = new Int32Array(memory, offset, pinCount * words)
  }

  /** The memory, to hand it to another thread. */
  get memory(): SharedArrayBuffer {
    return this.#cells.buffer as SharedArrayBuffer
  }

  #at(pin: number, field: number): number {
    if (!Number.isInteger(pin) || pin < 0 || pin >= pinCount) throw new RangeError(`there is no pin ${pin}`)
    return pin * words + field
  }

  mode(pin: number): PinMode {
    return modes[Atomics.load(this.#cells, this.#at(pin, mode))] ?? 'NONE'
  }

  setMode(pin: number, value: PinMode): void {
    Atomics.store(this.#cells, this.#at(pin, mode), Math.max(0, modes.indexOf(value)))
    if (value === 'INPUT_PULLUP') Atomics.store(this.#cells, this.#at(pin, digital), 1)
    if (value === 'INPUT_PULLDOWN') Atomics.store(this.#cells, this.#at(pin, digital), 0)
    this.changed(pin)
  }

  level(pin: number): 0 | 1 {
    return Atomics.load(this.#cells, this.#at(pin, digital)) === 0 ? 0 : 1
  }

  setLevel(pin: number, value: boolean | number): void {
    Atomics.store(this.#cells, this.#at(pin, digital), value ? 1 : 0)
    this.changed(pin)
  }

  analog(pin: number): number {
    return Atomics.load(this.#cells, this.#at(pin, analog))
  }

  setAnalog(pin: number, value: number): void {
    Atomics.store(this.#cells, this.#at(pin, analog), Math.round(value))
    this.changed(pin)
  }

  /** Tells listeners of this thread that a pin changed; also used when another thread wrote the memory. */
  changed(pin: number): void {
    if (this.#listeners.size === 0) return
    const change: PinChange = { pin, mode: this.mode(pin), level: this.level(pin), analog: this.analog(pin) }
    for (const listener of this.#listeners) listener(change)
  }

  /** @returns ends the subscription */
  onChange(listener: (change: PinChange) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
}
