/**
 * Who may call what: for every route that the running API has, and for everybody, what is expected is worked out of what
 * the route asks (`config.access`) and the tables of roles and scopes, and compared with what happens.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { lowestRole, roles, type Scope } from '../identity/scopes.ts'
import type { Access } from './access.ts'
import { accessMatrix, matrixFile } from './access-matrix.ts'
import { gateOnly, makeWorld, showsTooMuch, type Who, type World } from './access-world.ts'
import type { RouteRow } from './route-table.ts'

/** Written out once more: what customers may do with their own devices (docs/identity.md). */
const ofCustomers: readonly Scope[] = [
  ...(['devices:list', 'devices:get', 'devices:update', 'devices:release', 'devices:remove', 'devices:claim'] as const),
  ...(['devices:ping', 'devices.function:call', 'devices.variable:get', 'devices.diagnostics:get'] as const),
  ...(['events:get', 'events:send', 'updates:get'] as const),
]

/** 0 for one that is let in, else the status of the refusal. */
function expected(access: Access, who: Who): 0 | 400 | 403 {
  if (access.to === 'anyone') return 0
  if (who.kind === 'nobody') return 400
  switch (access.to) {
    case 'holder':
      return 0
    case 'self':
      return who.kind === 'person' ? 0 : 403
    case 'administrators':
      return who.kind === 'person' && who.administrator ? 0 : 403
    case 'owner':
      if (who.kind === 'customer') return ofCustomers.includes(access.scope) ? 0 : 403
      return who.kind === 'person' ? 0 : 403
    case 'product':
      return onProduct(access.scope, who) ? 0 : 403
  }
}

function onProduct(scope: Scope, who: Exclude<Who, { kind: 'nobody' }>): boolean {
  switch (who.kind) {
    case 'person':
      return who.role !== undefined && roles.indexOf(who.role) >= roles.indexOf(lowestRole[scope])
    case 'customer':
      return scope === 'devices:claim' && !who.foreign
    default:
      return who.scopes.has(scope) && !who.foreign
  }
}

const named = ({ method, url }: RouteRow): string => `${method} ${url}`
const tooMuch = (row: RouteRow, who: Who, text: string): string =>
  `${named(row)} shows ${who.name} what is not theirs: ${text.slice(0, 500)}`
/** A stream would stay open. */
const isStream = ({ method, url }: RouteRow): boolean => method === 'GET' && /\/events(\/|$)/.test(url)

describe('access', () => {
  let world: World
  let rows: readonly RouteRow[]
  before(async () => {
    world = await makeWorld()
    rows = world.api.app.routeTable
  })
  after(() => world.close())

  async function call(row: RouteRow, path: string, who: Who, headers: Record<string, string> = {}) {
    const sends = row.method !== 'GET' && row.method !== 'HEAD'
    const answer = await world.api.app.inject({
      method: row.method as 'GET',
      url: path,
      headers: {
        ...headers,
        ...(who.token !== null && { authorization: `Bearer ${who.token}` }),
        ...(sends && { 'content-type': 'application/json' }),
      },
      // What would change something, if it came to that.
      ...(sends && { payload: JSON.stringify({ name: 'stolen', notes: 'stolen', event: 'e', role: 'Administrator' }) }),
    })
    return { status: answer.statusCode, text: answer.body }
  }

  it('is said by every route', () => {
    const silent = rows.filter(({ access }) => access === undefined).map(named)
    assert.deepEqual(
      silent,
      [],
      `these routes do not say who may call them: add \`config: { access: … }\` with the makers of api/access.ts`,
    )
    for (const row of rows) {
      const product = row.url.startsWith('/v1/products/:')
      assert.equal(product && row.access?.to !== 'product', false, `${named(row)} is under a product: use ofProduct(…)`)
      if (row.access && 'scope' in row.access) {
        assert.ok(
          Object.hasOwn(lowestRole, row.access.scope),
          `${named(row)}: identity/scopes.ts has no ${row.access.scope}`,
        )
      }
    }
    assert.ok(rows.length > 100)
  })

  it('is given to whom the tables say, and to nobody else, whose calls change nothing and show nothing', async () => {
    const before = await world.snapshot()
    const wrong: string[] = []
    for (const row of rows) {
      if (!row.access) continue
      for (const who of world.callers) {
        const wanted = expected(row.access, who)
        // Those who are let in are stopped behind the gate; the others are not, and would do it if they could.
        const headers: Record<string, string> = wanted === 0 ? { [gateOnly]: '1' } : {}
        const { status, text } = await call(row, world.path(row), who, headers)
        const admitted = status === 200 && (row.method === 'HEAD' || text === '{"admitted":true}')
        if (wanted === 0 ? !admitted : status !== wanted) {
          wrong.push(
            `${named(row)} by ${who.name}: expected ${wanted || 'to be let in'}, was ${status} ${text.slice(0, 120)}`,
          )
        }
        if (showsTooMuch(text, who) && wanted !== 0) wrong.push(tooMuch(row, who, text))
        if (/access token/i.test(text) && wanted === 403)
          wrong.push(`${named(row)} by ${who.name}: the CLI would log out`)
      }
    }
    assert.deepEqual(wrong.slice(0, 20), [])
    assert.equal(await world.snapshot(), before, 'somebody changed what is not theirs')
  })

  it('ends where another’s things begin: their ids are refused, and nothing of them shows', async () => {
    const before = await world.snapshot()
    const wrong: string[] = []
    const others = world.callers.filter(
      (who) => who.token !== null && who.name !== 'the owner' && (who.kind === 'person' || who.kind === 'customer'),
    )
    for (const row of rows) {
      const { access, url } = row
      if (access?.to !== 'owner' && access?.to !== 'self') continue
      const hasId = /\/:(?!org)/.test(url)
      for (const who of others) {
        if (expected(access, who) !== 0) continue
        // Registering a device's key is theirs too (docs/api.md).
        if (url === '/v1/provisioning/:id' && who.kind === 'person' && who.administrator) continue
        // Who runs the cloud may see what was done in it.
        if (url === '/v1/aloe/audit' && who.kind === 'person' && who.administrator) continue
        if (hasId ? false : isStream(row) || row.method !== 'GET') continue
        const { status, text } = await call(row, world.path(row), who)
        if (showsTooMuch(text, who)) wrong.push(tooMuch(row, who, text))
        if (hasId && status < 400) wrong.push(`${named(row)} with the owner’s ids by ${who.name}: ${status} ${text}`)
        if (status >= 500 && status !== 501) wrong.push(`${named(row)} by ${who.name}: ${status} ${text}`)
      }
    }
    assert.deepEqual(wrong.slice(0, 20), [])
    assert.equal(await world.snapshot(), before, 'somebody changed what is not theirs')
  })

  it('to one product gives nothing of another: ids of one are refused under the other', async () => {
    const before = await world.snapshot()
    const stranger = world.callers.find(({ name }) => name === 'a stranger')
    assert.ok(stranger)
    const wrong: string[] = []
    for (const row of rows) {
      if (row.access?.to !== 'product' || !/:product\/.*:/.test(row.url)) continue
      // Versions are numbers of each product, and no ids.
      if (/:version/.test(row.url)) continue
      const { status, text } = await call(row, world.path(row, 'foreign'), stranger)
      if (showsTooMuch(text, stranger)) wrong.push(tooMuch(row, stranger, text))
      if (status < 400 || status >= 500) wrong.push(`${named(row)} with ids of another product: ${status} ${text}`)
    }
    assert.deepEqual(wrong.slice(0, 20), [])
    assert.equal(await world.snapshot(), before, 'somebody changed what is of another product')
  })

  it('is what docs/access-matrix.md says', () => {
    const there = readFileSync(matrixFile, 'utf8')
    assert.ok(there === accessMatrix(rows), 'routes have changed: write it anew with `npm run access-matrix`')
  })
})
