/**
 * The shortest plan: iterative deepening with a lower bound (IDA*) and a memory of dead ends. Moves are
 * tried in order of preference, so that among equally short plans the first in that order is found.
 */

import { type Choice, type Problem, State } from './problem.ts'

/** After so many states the plan that is known anyway is good enough. Plans over public releases see at most twenty. */
const maxStates = 5_000

/**
 * @param known a plan; the result is no longer than that
 */
export function shortestPlan(problem: Problem, known: readonly Choice[]): readonly Choice[] {
  const search = new Search(problem)
  for (let length = search.bound(); length <= known.length; length++) {
    const plan = search.within(length)
    if (plan) return plan
    if (search.exhausted) break
  }
  return known
}

class Search {
  exhausted = false
  readonly #problem: Problem
  readonly #state: State
  readonly #path: Choice[] = []
  /** Steps that were not enough from a state. */
  readonly #deadEnds = new Map<string, number>()
  #states = 0
  /**
   * For each choice, the least that its slot's end asks of each other slot when the end is this choice
   * or a newer one; -1 where one of them asks nothing.
   */
  readonly #asks: readonly (readonly Int32Array[])[]
  readonly #required: Int32Array
  readonly #queue: number[] = []

  constructor(problem: Problem) {
    this.#problem = problem
    this.#state = new State(problem)
    this.#required = new Int32Array(problem.slotCount)
    this.#asks = problem.choices.map((choices) => leastAsks(choices, problem.slotCount))
  }

  within(length: number): Choice[] | undefined {
    return this.#descend(length) ? [...this.#path] : undefined
  }

  /**
   * The number of slots that must still change: those of unmet goals, those that every choice which
   * would meet them asks for, and so on.
   */
  bound(): number {
    const { choices, goals, slotCount } = this.#problem
    const state = this.#state
    const required = this.#required.fill(-1)
    const queue = this.#queue
    queue.length = 0
    let count = 0
    const require = (slot: number, version: number): void => {
      if (version <= state.version(slot) || version <= (required[slot] ?? -1)) return
      if (required[slot] === -1) count++
      required[slot] = version
      queue.push(slot)
    }
    for (const { slot, version } of goals) require(slot, version)
    for (let slot = queue.pop(); slot !== undefined; slot = queue.pop()) {
      const list = choices[slot]
      const least = required[slot] ?? 0
      const position = list?.findIndex((choice) => choice.version >= least) ?? -1
      if (position < 0) return Number.POSITIVE_INFINITY
      const asks = this.#asks[slot]?.[position]
      if (!asks) continue
      for (let other = 0; other < slotCount; other++) {
        if (other !== slot && (asks[other] ?? -1) >= 0) require(other, asks[other] ?? -1)
      }
    }
    if (count > 0 || state.isGoal()) return count
    return 1
  }

  #descend(left: number): boolean {
    const bound = this.bound()
    if (bound === 0) return true
    if (bound > left) return false
    const key = this.#state.key()
    if ((this.#deadEnds.get(key) ?? -1) >= left) return false
    if (++this.#states > maxStates) {
      this.exhausted = true
      return false
    }
    for (const move of this.#problem.moves) {
      if (!this.#state.accepts(move)) continue
      const before = this.#state.current(move.slot)
      this.#state.set(move)
      this.#path.push(move)
      if (this.#descend(left - 1)) return true
      this.#path.pop()
      if (before) this.#state.set(before)
      if (this.exhausted) return false
    }
    this.#deadEnds.set(key, left)
    return false
  }
}

function leastAsks(choices: readonly Choice[], slotCount: number): Int32Array[] {
  const asks: Int32Array[] = []
  let after: Int32Array | undefined
  for (const choice of choices.toReversed()) {
    const own = new Int32Array(slotCount).fill(-1)
    for (const { slot, version } of choice.needs) own[slot] = Math.max(own[slot] ?? -1, version)
    for (let slot = 0; after && slot < slotCount; slot++) own[slot] = Math.min(own[slot] ?? -1, after[slot] ?? -1)
    asks.unshift(own)
    after = own
  }
  return asks
}
