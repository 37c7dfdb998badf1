import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { mayOnOwn, mayOnProduct } from './access-rules.ts'
import type { Caller } from './caller.ts'
import { covers, customerMay, grants, readScopes, rightsOf, roleMay, type Scope, scopes, teamRoles } from './scopes.ts'
import type { Teams } from './teams.ts'
import type { User } from './users.ts'

/** cloud-api.md 5.3, as it is written there. */
const table: readonly (readonly [string, readonly Scope[], string])[] = [
  [
    'view',
    [
      'devices:list',
      'devices:get',
      'firmware:list',
      'integrations:list',
      'clients:list',
      'customers:list',
      'products:get',
    ],
    'yyyy',
  ],
  ['view the team, streams and vitals', ['teams.users:list', 'events:get', 'devices.diagnostics:get'], 'yyyy'],
  [
    'refresh vitals, read variables, call functions, ping',
    ['devices.diagnostics:update', 'devices.variable:get', 'devices.function:call', 'devices:ping'],
    'yyyn',
  ],
  ['SIM state and data limit', ['sims:update'], 'yyyn'],
  [
    'devices, groups, publishing',
    [
      'devices:import',
      'devices:update',
      'devices:remove',
      'groups:create',
      'groups:update',
      'groups:remove',
      'events:send',
    ],
    'yynn',
  ],
  [
    'firmware, integrations, clients, customers',
    [
      'firmware:create',
      'firmware:release',
      'firmware:update',
      'integrations:create',
      'clients:create',
      'customers:update',
    ],
    'yynn',
  ],
  [
    'the team and the settings',
    ['teams.users:invite', 'teams.users:update', 'teams.users:remove', 'products:update'],
    'ynnn',
  ],
]

const user = { id: 'u', username: 'u' } as User

describe('scopes and roles', () => {
  for (const [what, names, wanted] of table) {
    it(`allow to ${what} as the table says`, () => {
      for (const scope of names) {
        const allowed = teamRoles.map((role) => (roleMay(role, scope) ? 'y' : 'n')).join('')
        assert.equal(allowed, wanted, scope)
      }
    })
  }

  it('leave nothing to a lower role that a higher one may not', () => {
    for (const scope of scopes) {
      const allowed = teamRoles.map((role) => (roleMay(role, scope) ? 'y' : 'n')).join('')
      assert.match(allowed, /^y*n*$/, scope)
      assert.equal(roleMay('Owner', scope), true)
    }
  })

  it('are read from lists and text; one that there is not is named', () => {
    assert.deepEqual(
      readScopes('devices:list, events:get  firmware:list'),
      new Set(['devices:list', 'events:get', 'firmware:list']),
    )
    assert.deepEqual(readScopes(['devices:list']), new Set(['devices:list']))
    for (const none of ['none', '', null, undefined, []]) assert.deepEqual(readScopes(none), new Set())
    assert.deepEqual(readScopes('devices:list everything'), { unknown: 'everything' })
    assert.deepEqual(readScopes('__proto__'), { unknown: '__proto__' })
    assert.deepEqual(readScopes([{}]), { unknown: '[object Object]' })
  })

  it('all at once are what a Developer may do, and what else was given by name', () => {
    assert.deepEqual(rightsOf(new Set(['*:*'] as const)), rightsOf('Developer'))
    assert.equal(grants(new Set(['*:*', 'teams.users:invite'] as const), 'teams.users:invite'), true)
    assert.equal(grants(new Set(['*:*'] as const), 'teams.users:invite'), false)
  })

  it('can be passed on by who has them', () => {
    assert.equal(covers(rightsOf('Administrator'), rightsOf('Developer')), true)
    assert.equal(covers(rightsOf('Developer'), rightsOf('Administrator')), false)
    assert.equal(covers(rightsOf(new Set(['devices:list'] as const)), rightsOf('View-only')), false)
    assert.equal(covers(rightsOf('View-only'), new Set()), true)
  })
})

describe('access', () => {
  const product = { id: 10_000, slug: 'p', ownerId: 'owner' }
  const nobody = { roleOf: () => undefined } as unknown as Teams
  const all = new Set(['*:*'] as const)

  it('of programs ends at their product', () => {
    const robot: Caller = { kind: 'api-user', user, productId: 10_001, scopes: new Set(scopes) }
    const client: Caller = { kind: 'product', clientId: 'c', productId: 10_000, scopes: all }
    assert.deepEqual(mayOnProduct(robot, 'devices:list', product, nobody), { ok: false, reason: 'not-yours' })
    assert.deepEqual(mayOnProduct(client, 'devices:list', product, nobody), { ok: true })
    assert.deepEqual(mayOnProduct(client, 'products:update', product, nobody), { ok: false, reason: 'missing-scope' })
    for (const scope of scopes) {
      assert.equal(mayOnOwn(robot, scope).ok, false, scope)
      assert.equal(mayOnOwn(client, scope).ok, false, scope)
    }
  })

  it('of customers is to use devices, never to manage a product', () => {
    const customer: Caller = { kind: 'customer', customerId: 'u', user, productId: 10_000 }
    const allowed = scopes.filter((scope) => mayOnProduct(customer, scope, product, nobody).ok)
    assert.deepEqual(allowed, ['devices:claim'])
    for (const scope of scopes) {
      if (/^(firmware|products|teams|clients|integrations|groups|audit|customers)/.test(scope)) {
        assert.equal(customerMay(scope, 'owner'), false, scope)
      }
    }
  })

  it('of people to a product is their role in it', () => {
    const person: Caller = { kind: 'user', user }
    const supporting = { roleOf: () => 'Support' } as unknown as Teams
    assert.deepEqual(mayOnProduct(person, 'devices:list', product, nobody), { ok: false, reason: 'not-yours' })
    assert.deepEqual(mayOnProduct(person, 'devices:ping', product, supporting), { ok: true })
    assert.deepEqual(mayOnProduct(person, 'devices:update', product, supporting), { ok: false, reason: 'role-too-low' })
  })
})
