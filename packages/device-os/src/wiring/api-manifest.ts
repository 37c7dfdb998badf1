/**
 * The API of applications, member by member: since which release it exists, where it is implemented, what its type is.
 *
 * The only place that says so. From it come the types that ship with a release, the list in its manifest, and the
 * module `aloe:api`, which holds the code of exactly those members.
 */
import { deviceOsReleases } from '@aloe/firmware'
import { constantMembers } from './api/constants-api.ts'
import { hardwareMembers, hardwareTypes } from './api/hardware-api.ts'
import { indicationMembers, indicationTypes } from './api/indication-api.ts'
import type { ApiImplementation, ApiMember, ApiType } from './api/member.ts'
import { particleMembers, particleTypes } from './api/particle-api.ts'
import { systemMembers, systemTypes } from './api/system-api.ts'
import { timeMembers } from './api/time-api.ts'

export const apiMembers: readonly ApiMember[] = [
  ...particleMembers,
  ...systemMembers,
  ...timeMembers,
  ...indicationMembers,
  ...hardwareMembers,
  ...constantMembers,
]

export const apiTypes: readonly ApiType[] = [...particleTypes, ...systemTypes, ...indicationTypes, ...hardwareTypes]

/** Order of a release among Aloe's; a version that is none of them is an error. */
function age(version: string): number {
  const place = releaseOrder.indexOf(version)
  if (place < 0) throw new RangeError(`there is no Device OS ${version}; there are ${releaseOrder.join(', ')}`)
  return place
}

const releaseOrder: readonly string[] = [...deviceOsReleases]
  .sort((a, b) => a.systemVersion - b.systemVersion)
  .map((release) => release.version)

const exists = (since: string, version: string): boolean => age(since) <= age(version)

/** A member as one release has it. */
export interface ReleasedMember extends ApiImplementation {
  readonly name: string
  /** The release in which the member appeared, in whatever form. */
  readonly since: string
  readonly kind: ApiMember['kind']
}

/** The members that a release has, each in its newest form that the release knows. @throws RangeError */
export function membersAt(version: string): ReleasedMember[] {
  return apiMembers
    .filter((member) => exists(member.since, version))
    .map(({ later = [], ...member }) => {
      const newest = later.filter((form) => exists(form.since, version)).at(-1)
      return newest === undefined ? member : { ...member, ...newest, since: member.since }
    })
}

export function typesAt(version: string): ApiType[] {
  return apiTypes.filter((type) => exists(type.since, version))
}

/** What a release's manifest lists: every member and since when it exists. */
export function apiList(version: string): { readonly name: string; readonly since: string }[] {
  return membersAt(version).map(({ name, since }) => ({ name, since }))
}

/** The release in which a member appeared; undefined for what no release has. */
export function memberSince(name: string): string | undefined {
  return apiMembers.find((member) => member.name === name)?.since
}
