/** A room that cools down unless it is heated. */
export class Room {
  target = 21
  #celsius: number

  constructor(celsius: number) {
    this.#celsius = celsius
  }

  get temperature(): number {
    return Math.round(this.#celsius * 10) / 10
  }

  get heating(): boolean {
    return this.#celsius < this.target
  }

  /** Lets minutes pass. */
  pass(minutes: number): void {
    this.#celsius += minutes * (this.heating ? 0.6 : -0.2)
  }
}
