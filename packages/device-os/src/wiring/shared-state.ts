/**
 * State that the application may ask for at any moment, also in a loop that never yields: it lies in memory that
 * system and application share.
 */

const cells = [
  'cloudStatus',
  'updatesEnabled',
  'updatesForced',
  'updatesPending',
  'resetEnabled',
  'resetPending',
  'timeSyncPending',
  'resetReason',
  'resetReasonData',
  'rgbControlled',
] as const

const numbers = ['timeOffset', 'timeSyncedAt', 'memoryTotal', 'memoryUsed'] as const

export type SharedCell = (typeof cells)[number]
export type SharedNumber = (typeof numbers)[number]

const numberOffset = Math.ceil(cells.length / 2) * 8
const size = numberOffset + numbers.length * 8

export class SharedState {
  readonly memory: SharedArrayBuffer
  readonly #cells: Int32Array
  readonly #numbers: BigInt64Array

  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(size)) {
    this.memory = memory
    this.#cells = new Int32Array(memory, 0, cells.length)
    this.#numbers = new BigInt64Array(memory, numberOffset, numbers.length)
  }

  get(cell: SharedCell): number {
    return Atomics.load(this.#cells, cells.indexOf(cell))
  }

  set(cell: SharedCell, value: number): void {
    Atomics.store(this.#cells, cells.indexOf(cell), value)
  }

  is(cell: SharedCell): boolean {
    return this.get(cell) !== 0
  }

  /** A number in thousandths, so that it is read and written in one piece. */
  number(name: SharedNumber): number {
    return Number(Atomics.load(this.#numbers, numbers.indexOf(name))) / 1000
  }

  setNumber(name: SharedNumber, value: number): void {
    Atomics.store(this.#numbers, numbers.indexOf(name), BigInt(Math.round(value * 1000)))
  }

  /** Seconds since 1970 at a device time (ms); undefined while it is not known. */
  unixTime(now: number): number | undefined {
    const offset = this.number('timeOffset')
    return offset === 0 ? undefined : offset + now / 1000
  }
}
