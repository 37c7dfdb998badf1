/** Says which release has a function that the release compiled for lacks. */

/** A name of the application API as a release's manifest lists it, e.g. `System.uptime` since `1.1.0`. */
export interface ApiFunction {
  readonly name: string
  readonly since: string
  /** The first final release that has it, when `since` is a pre-release. */
  readonly final?: string
}

/** What an application asked of `device-os` and did not get. */
export interface MissingName {
  /** The name itself, e.g. `uptime`. */
  readonly name: string
  /** What stands before the dot, when something does, e.g. `System`; it may be a name of the application's own. */
  readonly owner?: string
  /** The type that lacks the name, when it is all that is known. */
  readonly type?: string
  /** That the object comes from `device-os` is proven. */
  readonly certain?: boolean
}

/**
 * Words for a missing function, e.g. "System.uptime is not in Device OS 1.0.0; it came with 1.1.0".
 *
 * @param missing names that the target lacks and other releases have
 * @returns undefined when no release has such a function
 */
export function explainMissing(
  wanted: MissingName,
  target: string,
  missing: readonly ApiFunction[],
): string | undefined {
  const found = find(wanted, missing)
  if (found === undefined) return undefined
  return `${found.name} is not in Device OS ${target}; it came with ${found.since}. Compile for ${found.final ?? found.since} or newer to use it.`
}

function find({ name, owner, type, certain }: MissingName, missing: readonly ApiFunction[]): ApiFunction | undefined {
  if (owner === undefined && type === undefined) {
    const exact = missing.find((entry) => entry.name === name)
    const member = missing.find((entry) => entry.name.startsWith(`${name}.`))
    return exact ?? (member && { ...member, name })
  }
  const named = missing.filter((entry) => lastSegment(entry.name) === name && entry.name.includes('.'))
  const byOwner = named.find((entry) => firstSegment(entry.name) === owner)
  if (byOwner !== undefined) return byOwner
  // `const { uptime } = System`: the checker says e.g. "on type 'SystemApi'".
  const byType = type === undefined ? undefined : named.find((entry) => type.startsWith(firstSegment(entry.name)))
  if (byType !== undefined) return byType
  return certain === true && named.length === 1 ? named[0] : undefined
}

function firstSegment(name: string): string {
  return name.slice(0, name.indexOf('.'))
}

function lastSegment(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1)
}
