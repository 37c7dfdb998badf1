/** How the manifest describes a member of the API. */

/** The system's side of a member: handles the request that the member makes. */
export interface ApiRequest {
  readonly name: string
  /** Export of `wiring/requests.ts`. */
  readonly export: string
}

export interface ApiImplementation {
  /** The file that implements it, relative to `wiring/`. */
  readonly source: string
  /** What that file exports for it. */
  readonly export: string
  /**
   * Its TypeScript declaration as a member of its group, or (without a group) what follows `export declare`.
   * Several lines are several overloads.
   */
  readonly declaration: string
  /** What it does, for a docstring; lines are kept. */
  readonly doc: string
  readonly requests?: readonly ApiRequest[]
}

export interface ApiMember extends ApiImplementation {
  /** Path, e.g. `Particle.publish` or `delay`. */
  readonly name: string
  /** The first release that has it. */
  readonly since: string
  /** A `constant` is exported as it is; a `member` is made for each application. */
  readonly kind: 'member' | 'constant'
  /** Newer forms of the same member, oldest first. */
  readonly later?: readonly (ApiImplementation & { readonly since: string })[]
}

/** A type that declarations use. */
export interface ApiType {
  readonly name: string
  readonly since: string
  /** What follows `export`, e.g. `type PinMode = …`. */
  readonly declaration: string
  readonly doc: string
}

/** What a table of members leaves out where it is the same for most. */
export interface MemberTable {
  readonly since: string
  readonly source: string
}

export type MemberRow = readonly [
  name: string,
  exported: string,
  declaration: string,
  doc: string,
  extra?: Partial<ApiMember>,
]

/** Makes members of one file out of rows. */
export function members(table: MemberTable, rows: readonly MemberRow[]): ApiMember[] {
  return rows.map(([name, exported, declaration, doc, extra]) => ({
    name,
    since: table.since,
    source: table.source,
    export: exported,
    declaration,
    doc,
    kind: 'member',
    ...extra,
  }))
}
