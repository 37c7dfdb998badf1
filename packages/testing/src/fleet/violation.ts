/** What must never happen in a world, and what is said when it did. */

export const invariants = {
  unbootable: 'no device ever ends unbootable',
  dependencies: 'no device runs an application whose dependencies are unmet',
  convergence: 'every device that is online long enough converges, or is told why it cannot',
  repetition: 'no module is sent twice without cause',
  downgrade: 'nothing is downgraded',
  uninvited: 'the cloud starts no update of a Device OS by itself',
} as const

export type Invariant = keyof typeof invariants

export class Violation extends Error {
  readonly invariant: Invariant
  readonly seed: number

  constructor(invariant: Invariant, seed: number, message: string) {
    super(`${invariants[invariant]}: ${message}\nagain: npm run simulate -- --seed ${seed} --trace`)
    this.name = 'Violation'
    this.invariant = invariant
    this.seed = seed
  }
}
