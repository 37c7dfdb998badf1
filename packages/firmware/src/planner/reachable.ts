/**
 * Whether there is a plan at all, and one of them: without a search, in polynomial time.
 *
 * Dependencies are floors, and updates only go up. So what a device accepts now it accepts later as
 * well, and if two ends of plans leave nothing missing, the newer of both in every slot does not
 * either. There is therefore one greatest end: take everything that is accepted, the newest first;
 * where the result asks for something that is not to be had (a second dependency on a bootloader is
 * asked for at boot only), that module can be part of no plan: leave it out and begin again.
 */

import { type Choice, type Problem, State } from './problem.ts'

export interface Reach {
  /** A plan, not a short one; undefined when there is none. */
  readonly plan: readonly Choice[] | undefined
  /** The newest version that can be had in each slot, -1 for none. */
  readonly levels: readonly number[]
}

export function reach(problem: Problem): Reach {
  const leftOut = new Set<Choice>()
  for (;;) {
    const state = new State(problem)
    const plan = takeAll(problem, state, leftOut)
    const levels = problem.choices.map((_, slot) => state.version(slot))
    if (state.isGoal()) return { plan, levels }
    const before = leftOut.size
    for (let slot = 0; slot < problem.slotCount; slot++) {
      const current = state.current(slot)
      if (!current || current.position === 0) continue
      if (current.needs.every((need) => state.version(need.slot) >= need.version)) continue
      leftOut.add(current)
    }
    if (leftOut.size === before) return { plan: undefined, levels }
  }
}

function takeAll(problem: Problem, state: State, leftOut: ReadonlySet<Choice>): Choice[] {
  const plan: Choice[] = []
  for (let changed = true; changed; ) {
    changed = false
    for (const [slot, choices] of problem.choices.entries()) {
      for (let position = choices.length - 1; position > (state.positions[slot] ?? 0); position--) {
        const choice = choices[position]
        if (!choice || leftOut.has(choice) || !state.accepts(choice)) continue
        state.set(choice)
        plan.push(choice)
        changed = true
        break
      }
    }
  }
  return plan
}

/** The plan without the steps that it can do without, one after the other from its end. */
export function withoutNeedless(problem: Problem, plan: readonly Choice[]): readonly Choice[] {
  let short = plan
  for (let i = short.length - 1; i >= 0; i--) {
    const shorter = short.toSpliced(i, 1)
    if (isPlan(problem, shorter)) short = shorter
  }
  return short
}

function isPlan(problem: Problem, plan: readonly Choice[]): boolean {
  const state = new State(problem)
  for (const choice of plan) {
    if (!state.accepts(choice)) return false
    state.set(choice)
  }
  return state.isGoal()
}
