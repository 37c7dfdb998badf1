/** The types that ship with a release: `device-os.d.ts`, an external module file. */
import { membersAt, type ReleasedMember, typesAt } from './api-manifest.ts'

/** One docstring: what it does, and since when it exists. */
function docstring(doc: string, since: string, indent: string): string {
  const lines = [...doc.split('\n'), ...(since === firstRelease ? [] : ['', `@since ${since}`])]
  if (lines.length === 1) return `${indent}/** ${lines[0]} */\n`
  return `${indent}/**\n${lines.map((line) => `${indent} * ${line}`.trimEnd()).join('\n')}\n${indent} */\n`
}

const firstRelease = '1.0.0'

/** Where each object of the API explains itself. */
const groupDocs: Readonly<Record<string, string>> = {
  Particle: 'The cloud: events, functions, variables, the connection.',
  System: 'The device itself: version, updates, resets, system events.',
  Time: 'The wall clock. Times are seconds since 1970, UTC.',
  Log: "The device's log.",
  RGB: 'The status LED.',
}

const groupOf = ({ name }: ReleasedMember): string => (name.includes('.') ? name.slice(0, name.indexOf('.')) : '')

function groupText(group: string, members: readonly ReleasedMember[]): string {
  const body = members
    .map(({ doc, since, declaration }) => {
      const overloads = declaration.split('\n').map((line) => `  ${line}`)
      return `${docstring(doc, since, '  ')}${overloads.join('\n')}`
    })
    .join('\n')
  return `${docstring(groupDocs[group] ?? group, firstRelease, '')}export interface ${group} {\n${body}\n}\nexport declare const ${group}: ${group}\n`
}

/** A declaration outside of groups: each overload of a function is declared on its own. */
function topLevelText({ doc, since, declaration }: ReleasedMember): string {
  const overloaded = declaration.startsWith('function ') ? declaration.split('\n') : [declaration]
  return `${docstring(doc, since, '')}${overloaded.map((text) => `export declare ${text}`).join('\n')}\n`
}

/**
 * The text of `device-os.d.ts` for a release: its members and no others.
 * @throws RangeError for a version that is no release
 */
export function generateTypes(version: string): string {
  const members = membersAt(version)
  const types = typesAt(version).map(
    ({ doc, since, declaration }) => `${docstring(doc, since, '')}export ${declaration}\n`,
  )
  const groups = Map.groupBy(members, groupOf)
  const grouped = [...groups].filter(([group]) => group !== '').map(([group, list]) => groupText(group, list))
  const single = (groups.get('') ?? []).map(topLevelText)
  const head = `/**\n * The application API of Device OS ${version} for Linux devices: \`import { Particle } from 'device-os'\`.\n */\n`
  return [head, ...types, ...grouped, ...single].join('\n')
}
