/** The page of docs that says for every route who may call it: made of the route table, and compared with it by a test. */
import { fileURLToPath } from 'node:url'
import { customerMay, lowestRole, roleMay } from '../identity/scopes.ts'
import type { Access } from './access.ts'
import type { RouteRow } from './route-table.ts'

export const matrixFile = fileURLToPath(new URL('../../../../docs/access-matrix.md', import.meta.url))

const start = `# Who may call what

Made of the routes of the running cloud by \`npm run access-matrix\`; \`access-matrix.test.ts\` calls every route as everybody and compares. What the words mean is in [identity.md](identity.md).

- **anyone** needs no token. A route may still ask for a name and password, a client's secret, or a link's code.
- **token** is whoever holds a good one, of any kind; **people** are users who have logged in; **administrators** those of the cloud.
- **own** is about what is one's own: people, and customers where it says so. A thing of somebody else is answered as if it were not there.
- In a product, the lowest role whose holders may is named; API users and clients need the scope. \`*:*\` of a client is what a Developer may do.

`

/** The whole page. */
export function accessMatrix(rows: readonly RouteRow[]): string {
  const lines = rows
    .filter(({ url }) => !url.startsWith('/docs'))
    .map((row) => ({ row, key: `${row.url} ${row.method}` }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ row }) => `| \`${row.method} ${row.url}\` | ${cellsOf(row.access).join(' | ')} |`)
  const table = [
    '| route | who | scope | role in the product | `*:*` | customers |',
    '|---|---|---|---|---|---|',
    ...lines,
  ]
  return `${start}${table.join('\n')}\n`
}

function cellsOf(access: Access | undefined): string[] {
  switch (access?.to) {
    case undefined:
      return ['**not said**', '', '', '', '']
    case 'anyone':
      return ['anyone', '', '', '', '']
    case 'holder':
      return ['token', '', '', '', 'yes']
    case 'self':
      return ['people', '', '', '', '']
    case 'administrators':
      return ['administrators', '', '', '', '']
    case 'owner':
      return ['own', access.scope, '', '', customerMay(access.scope, 'owner') ? 'yes' : '']
    case 'product': {
      const { scope, orClient } = access
      const client = roleMay('Developer', scope) ? 'yes' : ''
      const who = orClient ? 'product, or its client’s secret' : 'product'
      return [who, scope, lowestRole[scope], client, customerMay(scope, 'product') ? 'yes' : '']
    }
  }
}
