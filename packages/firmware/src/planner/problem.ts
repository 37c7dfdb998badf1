/**
 * A planning problem as numbers: what a device has, what it needs, and what it may be sent. The rules
 * are those of `acceptsUpdate` and `missingDependencies`, compiled so that a search can ask them a
 * million times a second; every plan is checked against the originals before anyone sees it.
 */

import type { InstalledModules } from '../dependencies/installed.ts'
import type { ModuleDependency } from '../module-function.ts'
import { type Entry, isSystemKey, type Need, needsOf, slotKey } from './catalogue-index.ts'

/** A need with its slot's number. */
interface SlotNeed {
  readonly slot: number
  readonly version: number
  readonly enforced: boolean
}

/** One choice for a slot. */
export interface Choice {
  readonly slot: number
  /** Position in `Problem.choices[slot]`, from 1; 0 is what is installed. */
  readonly position: number
  readonly version: number
  readonly needs: readonly SlotNeed[]
  readonly entry?: Entry
}

export interface Problem {
  readonly slotCount: number
  /** `slotKey` of each slot. */
  readonly keys: readonly number[]
  /** For each slot: what is installed (version -1 when nothing is), then the newer ones, ascending. */
  readonly choices: readonly (readonly [Choice, ...Choice[]])[]
  /** All choices but the installed ones, in order of preference. */
  readonly moves: readonly Choice[]
  /**
   * Floors that the plan must reach: those of the request, and those of installed modules that nothing
   * can replace. What the other modules need counts as long as they are there.
   */
  readonly goals: readonly SlotNeed[]
  /**
   * Where an installed system part finds another one too old: until it is replaced itself, the device
   * takes no version of that other one that is still too old (4.2, `full`).
   */
  readonly guards: readonly { readonly slot: number; readonly by: number; readonly version: number }[]
}

/**
 * @param goals what the request asks for
 * @param floors versions below which nothing may be sent, by slot key: of modules that are damaged
 */
export function compileProblem(
  installed: InstalledModules,
  goals: readonly ModuleDependency[],
  candidates: readonly Entry[],
  floors: ReadonlyMap<number, number> = new Map(),
): Problem {
  const slots = new Map<number, number>()
  const slotNumber = (key: number): number => {
    const known = slots.get(key)
    if (known !== undefined) return known
    slots.set(key, slots.size)
    return slots.size - 1
  }
  const slotNeeds = (needs: readonly Need[]): SlotNeed[] =>
    needs.map(({ key, version, enforced }) => ({ slot: slotNumber(key), version, enforced }))

  const first: Choice[] = []
  for (const module of installed) {
    if (module.intact === false) continue
    const slot = slotNumber(slotKey(module))
    // Of two modules in one slot the rules look at the first; both ask for what they need.
    const needs = [...(first[slot]?.needs ?? []), ...slotNeeds(needsOf(module.dependencies))]
    first[slot] = { slot, position: 0, version: first[slot]?.version ?? module.version, needs }
  }
  const asked = goals.map((goal) => ({ slot: slotNumber(slotKey(goal)), version: goal.version, enforced: true }))
  const newer: Choice[][] = []
  const moves: Choice[] = []
  for (const entry of [...candidates].sort((a, b) => a.version - b.version || b.rank - a.rank)) {
    const slot = slotNumber(entry.key)
    const least = Math.max(first[slot]?.version ?? -1, (floors.get(entry.key) ?? 0) - 1)
    if (entry.version <= least) continue
    const list = newer[slot] ?? []
    newer[slot] = list
    const needs = slotNeeds(entry.needs)
    const choice = { slot, position: list.length + 1, version: entry.version, needs, entry }
    list.push(choice)
    moves.push(choice)
  }
  moves.sort((a, b) => (a.entry?.rank ?? 0) - (b.entry?.rank ?? 0))

  const keys = [...slots.keys()]
  const absent = (slot: number): Choice => ({ slot, position: 0, version: -1, needs: [] })
  const choices = keys.map((_, slot): [Choice, ...Choice[]] => [first[slot] ?? absent(slot), ...(newer[slot] ?? [])])
  const guards: Problem['guards'][number][] = []
  for (const [by, key] of keys.entries()) {
    if (!isSystemKey(key)) continue
    for (const { slot, version } of choices[by]?.[0].needs ?? []) {
      const installedVersion = choices[slot]?.[0].version ?? -1
      if (slot !== by && isSystemKey(keys[slot] ?? 0) && installedVersion < version) guards.push({ slot, by, version })
    }
  }
  const lasting = choices.flatMap(([own, ...others]) => (others.length === 0 ? own.needs : []))
  return { slotCount: keys.length, keys, choices, moves, goals: [...asked, ...lasting], guards }
}

/** What is installed at some point of a plan. */
export class State {
  readonly positions: Uint16Array
  readonly #problem: Problem
  readonly #current: Choice[]

  constructor(problem: Problem) {
    this.#problem = problem
    this.positions = new Uint16Array(problem.slotCount)
    this.#current = problem.choices.map(([installed]) => installed)
  }

  /** Version in a slot, -1 when it is empty. */
  version(slot: number): number {
    return this.#current[slot]?.version ?? -1
  }

  current(slot: number): Choice | undefined {
    return this.#current[slot]
  }

  set(choice: Choice): void {
    this.positions[choice.slot] = choice.position
    this.#current[choice.slot] = choice
  }

  /** Whether the device takes it now (4.2), and it is an upgrade. */
  accepts(choice: Choice): boolean {
    if (choice.version <= this.version(choice.slot)) return false
    for (const need of choice.needs) {
      if (need.enforced && this.version(need.slot) < need.version) return false
    }
    for (const { slot, by, version } of this.#problem.guards) {
      if (slot === choice.slot && version > choice.version && this.positions[by] === 0) return false
    }
    return true
  }

  /** Whether nothing is missing. */
  isGoal(): boolean {
    for (const goal of this.#problem.goals) if (this.version(goal.slot) < goal.version) return false
    for (const { needs } of this.#current) {
      for (const need of needs) if (this.version(need.slot) < need.version) return false
    }
    return true
  }

  /** Equal for equal states of one problem. */
  key(): string {
    return String.fromCharCode(...this.positions)
  }
}
