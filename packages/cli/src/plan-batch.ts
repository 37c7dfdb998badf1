/** `aloe plan --batch`: a question a line, an answer a line, in order, whatever a line holds. */

import {
  type CatalogueModule,
  createPlanner,
  type InstalledModule,
  type ModuleDependency,
  type Planner,
  type Platform,
  platformById,
  platformByName,
  readModuleReference,
  releaseOf,
} from '@aloe/firmware'

/** A longer line is no question; it would only fill the memory. */
const longestLine = 1024 * 1024

/** No device has so many modules. */
const mostModules = 100

export type PlanBatch = (line: string) => string

type Fields = Readonly<Record<string, unknown>>

/** Answers lines with a catalogue. The planners of the platforms are made when they are first asked for. */
export function createPlanBatch(catalogue: readonly CatalogueModule[]): PlanBatch {
  const planners = new Map<Platform, Planner>()
  return (line) => {
    if (line === tooLong) return refusal(`the line is longer than ${longestLine} bytes`)
    let value: unknown
    try {
      value = JSON.parse(line)
    } catch {
      return refusal('the line is no JSON')
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      return refusal('the line is no JSON object')
    const fields = value as Fields
    const platform = findPlatform(fields.platform)
    if (typeof platform === 'string') return refusal(platform)
    const planner = planners.get(platform) ?? createPlanner(platform, catalogue)
    planners.set(platform, planner)
    const installed = readInstalled(fields.installed, planner)
    if (typeof installed === 'string') return refusal(installed)
    const needs = readNeeds(fields.need)
    if (typeof needs === 'string') return refusal(needs)
    const plan = planner.plan({ installed, needs, protected: fields.protected === true })
    if (!plan.ok) return refusal(plan.reason)
    const steps = plan.steps.map((module) => {
      const { function: name, index, version } = module
      return { function: name, index, version, release: releaseOf(module) }
    })
    return JSON.stringify({ ok: true, steps })
  }
}

/** A platform by name, alias or number, or why it is none. */
export function findPlatform(value: unknown): Platform | string {
  const found =
    typeof value === 'number' ? platformById(value) : typeof value === 'string' ? platformByName(value) : undefined
  return found ?? `${JSON.stringify(value)?.slice(0, 80) ?? 'nothing'} is no platform`
}

/**
 * Installed modules out of JSON. What a module needs is taken from the catalogue unless it is given:
 * devices describe system parts and bootloaders with it, radio stacks and NCP firmware without
 * (modules-and-platforms.md 4.9).
 *
 * @returns what is wrong with them when they are none
 */
export function readInstalled(value: unknown, planner: Planner): InstalledModule[] | string {
  if (!Array.isArray(value)) return 'installed must be a list of modules'
  if (value.length > mostModules) return `installed has more than ${mostModules} modules`
  const installed: InstalledModule[] = []
  for (const item of value) {
    const module = readModuleReference(item)
    if (typeof module === 'string') return module
    const given: unknown = (item as Fields).dependencies
    let dependencies: readonly ModuleDependency[] | string = []
    if (given !== undefined) dependencies = readReferences(given, 'dependencies')
    else if (module.function === 'system_part' || module.function === 'bootloader') {
      dependencies = planner.find(module)?.dependencies ?? []
    }
    if (typeof dependencies === 'string') return dependencies
    installed.push({ ...module, dependencies })
  }
  return installed
}

/** What is to be there out of JSON, or what is wrong with it. */
export function readNeeds(value: unknown): ModuleDependency[] | string {
  return value === undefined ? [] : readReferences(value, 'need')
}

function readReferences(value: unknown, what: string): ModuleDependency[] | string {
  if (!Array.isArray(value)) return `${what} must be a list of modules`
  if (value.length > mostModules) return `${what} has more than ${mostModules} modules`
  const references: ModuleDependency[] = []
  for (const item of value) {
    const module = readModuleReference(item)
    if (typeof module === 'string') return module
    references.push(module)
  }
  return references
}

function refusal(reason: string): string {
  return JSON.stringify({ ok: false, reason })
}

/** What `linesOf` yields for a line that is too long. */
const tooLong = '\u0000too long'

/** The lines that each chunk ends, without their ends; a last line without an end counts as well. */
export async function* linesOf(input: AsyncIterable<Uint8Array>): AsyncGenerator<readonly string[]> {
  const decoder = new TextDecoder()
  let rest = ''
  let skipping = false
  for await (const chunk of input) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = parts.pop() ?? ''
    const lines = parts.map((part, i) => ((i === 0 && skipping) || part.length > longestLine ? tooLong : part))
    if (parts.length > 0) skipping = false
    if (rest.length > longestLine) skipping = true
    if (skipping) rest = ''
    if (lines.length > 0) yield lines.map((line) => line.replace(/\r$/, ''))
  }
  rest += decoder.decode()
  if (skipping || rest !== '') yield [skipping ? tooLong : rest.replace(/\r$/, '')]
}

export interface BatchOutput {
  /** False when it wants to be drained first. */
  write(text: string): boolean
  once(event: 'drain', listener: () => void): unknown
}

/** Answers all lines of `input`; the answers to what has arrived are written together. */
export async function runPlanBatch(
  input: AsyncIterable<Uint8Array>,
  output: BatchOutput,
  answer: PlanBatch,
): Promise<void> {
  for await (const lines of linesOf(input)) {
    let text = ''
    for (const line of lines) text += `${answer(line)}\n`
    if (!output.write(text)) await new Promise<void>((resolve) => output.once('drain', resolve))
  }
}
