/**
 * Semantic versions as Device OS releases carry them, pre-releases included
 * (semver.org 2.0.0; modules-and-platforms.md 3).
 */

export interface Semver {
  readonly major: number
  readonly minor: number
  readonly patch: number
  /** Identifiers after the hyphen: `['rc', 1]` for `1.1.0-rc.1`; empty for a final release. */
  readonly prerelease: readonly (string | number)[]
  /** Identifiers after the plus sign; they do not count in comparisons. */
  readonly build: readonly string[]
}

const pattern =
  /^v?(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?$/

/** Reads a version, with or without a leading `v`; undefined when it is not one. */
export function parseSemver(text: string): Semver | undefined {
  if (text.length > 256) return undefined
  const match = pattern.exec(text)
  if (!match) return undefined
  const [, major, minor, patch, prerelease, build] = match
  const identifiers: (string | number)[] = []
  for (const identifier of prerelease?.split('.') ?? []) {
    const numeric = /^\d+$/.test(identifier)
    if (numeric && identifier.length > 1 && identifier.startsWith('0')) return undefined
    identifiers.push(numeric && identifier.length <= 15 ? Number(identifier) : identifier)
  }
  return {
    major: Number(major),
    minor: Number(minor),
    patch: Number(patch),
    prerelease: identifiers,
    build: build?.split('.') ?? [],
  }
}

/**
 * Precedence of two versions: negative when `a` comes before `b`, 0 when neither does, positive
 * otherwise. A pre-release comes before its release. Text that is no version comes before all
 * versions, in the order of its characters, so that a sort always has an answer.
 */
export function compareSemver(a: string | Semver, b: string | Semver): number {
  const left = typeof a === 'string' ? parseSemver(a) : a
  const right = typeof b === 'string' ? parseSemver(b) : b
  if (!left || !right) return left ? 1 : right ? -1 : compareText(String(a), String(b))
  return (
    left.major - right.major ||
    left.minor - right.minor ||
    left.patch - right.patch ||
    comparePrerelease(left.prerelease, right.prerelease)
  )
}

/** The canonical text: `1.1.0-rc.1`. */
export function formatSemver(version: Semver): string {
  const prerelease = version.prerelease.length > 0 ? `-${version.prerelease.join('.')}` : ''
  const build = version.build.length > 0 ? `+${version.build.join('.')}` : ''
  return `${version.major}.${version.minor}.${version.patch}${prerelease}${build}`
}

function comparePrerelease(a: readonly (string | number)[], b: readonly (string | number)[]): number {
  if (a.length === 0 || b.length === 0) return b.length - a.length
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const order = compareIdentifier(a[i] ?? 0, b[i] ?? 0)
    if (order !== 0) return order
  }
  return a.length - b.length
}

// Numbers come before words, and among themselves by value (semver.org 11.4). Digits too many for a
// number were kept as text: more digits are more.
function compareIdentifier(a: string | number, b: string | number): number {
  const leftNumeric = typeof a === 'number' || /^\d+$/.test(a)
  const rightNumeric = typeof b === 'number' || /^\d+$/.test(b)
  if (leftNumeric !== rightNumeric) return leftNumeric ? -1 : 1
  if (!leftNumeric) return compareText(String(a), String(b))
  const left = String(a)
  const right = String(b)
  return left.length - right.length || compareText(left, right)
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
