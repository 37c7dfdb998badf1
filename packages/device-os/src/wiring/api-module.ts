/**
 * From the manifest to code: the module `aloe:api` for a bundle of system part 2, and the same composition without a
 * bundler.
 */
import { membersAt, type ReleasedMember } from './api-manifest.ts'
import type { ApiModule } from './compose.ts'
import type { Member } from './runtime.ts'
import type { RequestHandler } from './services.ts'

/** The name under which system part 2 imports it. */
export const apiModuleName = 'aloe:api'

const requestsSource = 'requests.ts'

const requestsOf = (members: readonly ReleasedMember[]): Map<string, string> =>
  new Map(members.flatMap(({ requests = [] }) => requests.map((request) => [request.name, request.export] as const)))

/** Groups of constants: `constants.ts` exports them by table. */
const constantGroups = (members: readonly ReleasedMember[]): Map<string, ReleasedMember[]> =>
  Map.groupBy(
    members.filter(({ kind }) => kind === 'constant'),
    ({ export: name }) => name,
  )

/**
 * The source text of the module `aloe:api` for a release: one import per member, from the file that implements it, and
 * nothing of newer members.
 *
 * @param wiringFolder absolute path of `wiring/`, from which the files are imported
 * @throws RangeError for a version that is no release
 */
export function apiModuleSource(version: string, wiringFolder: string): string {
  const members = membersAt(version)
  const from = (source: string) => JSON.stringify(`${wiringFolder.replace(/\/$/, '')}/${source}`)
  const imports: string[] = []
  const table: string[] = []
  const constants: string[] = []
  const requests: string[] = []

  members
    .filter(({ kind }) => kind === 'member')
    .forEach((member, place) => {
      imports.push(`import { ${member.export} as m${place} } from ${from(member.source)}`)
      table.push(`  ${JSON.stringify(member.name)}: m${place},`)
    })
  for (const [group, list] of constantGroups(members)) {
    imports.push(`import { ${group} as ${group}_ } from ${from(list[0]?.source ?? '')}`)
    for (const { name } of list) constants.push(`  ${name}: ${group}_.${name},`)
  }
  for (const [name, exported] of requestsOf(members)) {
    imports.push(`import { ${exported} } from ${from(requestsSource)}`)
    requests.push(`  ${JSON.stringify(name)}: ${exported},`)
  }
  return `${imports.join('\n')}
export const release = { version: ${JSON.stringify(version)} }
export const members = {
${table.join('\n')}
}
export const constants = {
${constants.join('\n')}
}
export const requests = {
${requests.join('\n')}
}
`
}

const load = async (source: string): Promise<Record<string, unknown>> => import(new URL(source, import.meta.url).href)

/** What `aloe:api` exports for a release, straight from the sources. @throws RangeError */
export async function loadApiModule(version: string): Promise<ApiModule> {
  const released = membersAt(version)
  const members: Record<string, Member> = {}
  const constants: Record<string, unknown> = {}
  const requests: Record<string, RequestHandler> = {}
  for (const member of released) {
    const implementation = (await load(member.source))[member.export]
    if (member.kind === 'constant') {
      constants[member.name] = (implementation as Record<string, unknown> | undefined)?.[member.name]
    } else {
      members[member.name] = implementation as Member
    }
  }
  const handlers = await load(requestsSource)
  for (const [name, exported] of requestsOf(released)) requests[name] = handlers[exported] as RequestHandler
  return { release: { version }, members, constants, requests }
}
