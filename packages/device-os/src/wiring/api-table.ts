/** The API as a table in Markdown, for the documentation. */
import { apiMembers } from './api-manifest.ts'

const firstSentence = (doc: string): string => {
  const text = doc.replaceAll('\n', ' ')
  const end = text.search(/(?<!e\.g)\.( |$)/)
  return end < 0 ? text : text.slice(0, end + 1)
}

/** Members without constants, in the manifest's order; newer forms of a member in lines of their own. */
export function apiTable(): string {
  const rows = apiMembers
    .filter(({ kind }) => kind === 'member')
    .flatMap(({ name, since, doc, later = [] }) => [
      `| \`${name}\` | ${since} | ${firstSentence(doc)} |`,
      ...later.map((form) => `| \`${name}\` | ${form.since} | ${form.doc.split('\n').at(-1)} |`),
    ])
  const constants = Object.entries(Object.groupBy(apiMembers, ({ kind, doc, since }) => `${kind} ${since} ${doc}`))
    .filter(([key]) => key.startsWith('constant'))
    .map(([, list = []]) => {
      const names = list.map(({ name }) => `\`${name}\``).join(' ')
      return `| ${names} | ${list[0]?.since} | ${list[0]?.doc} |`
    })
  return ['| member | since | what it does |', '|---|---|---|', ...rows, ...constants].join('\n')
}
