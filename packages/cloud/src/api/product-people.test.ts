/** Who works on a product and who uses it: teams, API users, clients, customers. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import Particle from 'particle-api-js'
import { type ApiFixture, devicePem, password, startApi, username } from './api-fixture.ts'

// biome-ignore lint/suspicious/noExplicitAny: the assertions are the types
async function bodyOf(promise: Promise<{ body: unknown }>): Promise<any> {
  return (await promise).body
}

async function statusOf(promise: Promise<unknown>): Promise<number> {
  return promise.then(
    () => assert.fail('it succeeded'),
    (error: { statusCode: number }) => error.statusCode,
  )
}

const id = '422b00000000000000000001'
const json = (body: object) => ({ headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })

describe('the people of a product', () => {
  let api: ApiFixture
  let particle: Particle
  let auth: string
  let product: string
  let productId: number
  let base: string

  before(async () => {
    api = await startApi()
    auth = api.token
    particle = new Particle({ baseUrl: api.url, auth })
    const made = await api.request('POST', '/v1/products', json({ name: 'Garden lamps', platform_id: 43 }))
    product = made.body.product.slug
    productId = made.body.product.id
    base = `/v1/products/${product}`
    await api.registry.provision(id, devicePem(), { id: api.user.id, administrator: false }, 43)
    await api.request('POST', `${base}/devices`, json({ id }))
  })
  after(() => api.close())

  async function account(name: string): Promise<string> {
    const { id: userId } = await api.identity.users.create(name, password)
    return (await api.identity.tokens.issue(userId, 'particle', null)).token
  }
  const post = (path: string, body: object, token = auth) => api.request('POST', path, { token, ...json(body) })
  const put = (path: string, body: object, token = auth) => api.request('PUT', path, { token, ...json(body) })
  const grant = async (body: Record<string, string>) =>
    api.request('POST', '/oauth/token', { token: null, body: new URLSearchParams(body) })

  describe('in the team', () => {
    it('are invited, listed, given another role, and removed', async () => {
      const token = await account('dev@example.com')
      assert.equal((await api.request('GET', base, { token })).status, 403)
      const invited = await bodyOf(particle.inviteTeamMember({ product, username: 'dev@example.com' }))
      assert.deepEqual(invited, { ok: true, invited: { username: 'dev@example.com' } })
      assert.equal((await api.request('GET', base, { token })).status, 200)
      assert.equal(
        (await post(`${base}/groups`, { name: 'g' }, token)).status,
        403,
        'the least role, when none is named',
      )

      const changed = await put(`${base}/team/dev@example.com`, { role: 'Developer' })
      assert.deepEqual(changed.body.updated.role, { id: 'Developer', name: 'Developer' })
      assert.equal((await post(`${base}/groups`, { name: 'g' }, token)).status, 201)
      const { team } = await bodyOf(particle.listTeamMembers({ product }))
      assert.deepEqual(
        team.map((member: { username: string; role: { id: string } }) => [member.username, member.role.id]),
        [
          [username, 'Owner'],
          ['dev@example.com', 'Developer'],
        ],
      )
      await particle.removeTeamMember({ product, username: 'dev@example.com' })
      assert.equal((await api.request('GET', base, { token })).status, 403)
    })

    it('are people whom the cloud knows, once each; and its owner stays what they are', async () => {
      assert.equal(await statusOf(particle.inviteTeamMember({ product, username: 'nobody@example.com' })), 400)
      assert.equal(await statusOf(particle.inviteTeamMember({ product, username })), 400)
      assert.equal((await put(`${base}/team/${username}`, { role: 'View-only' })).status, 403)
      assert.equal(await statusOf(particle.removeTeamMember({ product, username })), 403)
      assert.equal(await statusOf(particle.removeTeamMember({ product, username: 'nobody@example.com' })), 404)
      await account('role@example.com')
      assert.equal((await post(`${base}/team`, { username: 'role@example.com', role: 'Owner' })).status, 400)
      assert.equal((await post(`${base}/team`, {})).status, 400)
    })

    it('keep their roles over a restart of the identity', async () => {
      await account('lasting@example.com')
      await post(`${base}/team`, { username: 'lasting@example.com', role: 'Support' })
      const { Teams } = await import('../identity/teams.ts')
      const user = api.identity.users.find('lasting@example.com')
      const again = await Teams.open(api.store, Date.now)
      const found = api.products.find(product)
      assert.equal(found && again.roleOf(found, user?.id ?? ''), 'Support')
      assert.deepEqual(again.productsOf(user?.id ?? ''), [productId])
    })
  })

  describe('as API users', () => {
    it('have one token that does not expire, which another takes the place of with other scopes', async () => {
      const made = await post(`${base}/team`, { friendly_name: 'CI robot', scopes: ['devices:list'] })
      const { created } = made.body
      assert.match(created.username, /^ci-robot\+[0-9a-f]{10}@api\.particle\.io$/)
      assert.equal(created.is_programmatic, true)
      const [{ token }] = created.tokens
      assert.equal((await api.request('GET', `${base}/devices`, { token })).status, 200)
      const current = await api.request('GET', '/v1/access_tokens/current', { token })
      assert.equal(current.body.expires_at, null)
      assert.deepEqual(current.body.scopes, ['devices:list'])

      const refused = await api.request('GET', base, { token })
      assert.equal(refused.status, 403)
      assert.deepEqual(refused.body, {
        error: 'unauthorized',
        error_description: 'API users are not allowed to call this endpoint',
      })
      const path = `${base}/team/${encodeURIComponent(created.username)}`
      const renamed = await put(path, { friendly_name: 'Robot' })
      assert.equal(renamed.body.updated.tokens, undefined)
      const changed = await put(path, { scopes: ['products:get'] })
      const [{ token: second }] = changed.body.updated.tokens
      assert.equal((await api.request('GET', `${base}/devices`, { token })).status, 401)
      assert.equal((await api.request('GET', base, { token: second })).status, 200)
      const rotated = await put(`${path}/token`, {})
      assert.equal((await api.request('GET', base, { token: second })).status, 401)
      const [{ token: third }] = rotated.body.updated.tokens
      assert.equal((await api.request('GET', base, { token: third })).status, 200)
      await particle.removeTeamMember({ product, username: created.username })
      assert.equal((await api.request('GET', base, { token: third })).status, 401)
    })

    it('cannot log in, and have at least one scope that there is', async () => {
      const { created } = (await post(`${base}/team`, { friendly_name: 'x', scopes: ['devices:list'] })).body
      const client = { client_id: 'particle', client_secret: 'particle' }
      const login = await grant({ grant_type: 'password', username: created.username, password: 'x', ...client })
      assert.equal(login.body.error, 'invalid_grant')
      assert.equal((await post(`${base}/team`, { friendly_name: 'x', scopes: [] })).status, 400)
      assert.match(
        (await post(`${base}/team`, { friendly_name: 'x', scopes: ['all'] })).body.error,
        /"all" is no scope/,
      )
    })

    it('give nobody more than they have, nor take it over', async () => {
      const scopes = [
        'teams.users:invite',
        'teams.users:update',
        'teams.users:remove',
        'teams.users:list',
        'devices:list',
      ]
      const [{ token }] = (await post(`${base}/team`, { friendly_name: 'hr', scopes })).body.created.tokens
      const strong = (await post(`${base}/team`, { friendly_name: 'strong', scopes: ['firmware:release'] })).body
        .created
      await account('chosen@example.com')
      const path = `${base}/team`
      assert.equal((await post(path, { friendly_name: 'a', scopes: ['devices:list'] }, token)).status, 200)
      assert.equal((await post(path, { friendly_name: 'a', scopes: ['devices:get'] }, token)).status, 403)
      assert.equal((await post(path, { username: 'chosen@example.com', role: 'Administrator' }, token)).status, 403)
      const other = `${path}/${encodeURIComponent(strong.username)}`
      assert.equal((await put(`${other}/token`, {}, token)).status, 403)
      assert.equal((await put(other, { scopes: ['devices:list'] }, token)).status, 403)
      assert.equal((await api.request('DELETE', other, { token })).status, 403)
    })
  })

  describe('through OAuth clients', () => {
    const client = async (body: object, path = `${base}/clients`) =>
      (await post(path, { name: 'c', ...body })).body.client
    const asClient = ({ id: client_id, secret: client_secret }: { id: string; secret: string }, body: object = {}) =>
      grant({ grant_type: 'client_credentials', client_id, client_secret, ...body })

    it('of a product get tokens for the product alone', async () => {
      const { id: clientId, secret: clientSecret } = await client({ name: 'Server', scope: '*:*' })
      assert.match(clientSecret, /^[0-9a-f]{40}$/)
      const own = new Particle({ baseUrl: api.url, clientId, clientSecret })
      const { access_token: token, expires_in, refresh_token } = await bodyOf(own.loginAsClientOwner({}))
      assert.equal(expires_in, 7_776_000)
      assert.equal((await bodyOf(particle.listDevices({ product, auth: token }))).devices.length, 1)
      assert.equal(await statusOf(particle.listDevices({ auth: token })), 403)
      assert.equal(
        await statusOf(particle.inviteTeamMember({ product, username: 'dev@example.com', auth: token })),
        403,
      )
      const current = await api.request('GET', '/v1/access_tokens/current', { token })
      assert.deepEqual(current.body.scopes, ['*:*'])

      const again = { grant_type: 'refresh_token', refresh_token, client_id: clientId, client_secret: clientSecret }
      const refreshed = (await grant(again)).body.access_token
      assert.equal((await api.request('GET', base, { token: refreshed })).status, 200)
      await particle.deleteOAuthClient({ product, clientId })
      assert.equal((await api.request('GET', base, { token: refreshed })).status, 401)
      assert.equal((await asClient({ id: clientId, secret: clientSecret })).body.error, 'invalid_client')
    })

    it('may do what their scopes say, which count at once', async () => {
      const made = await client({ scope: 'devices:list, firmware:list' })
      const { access_token: token } = (await asClient(made)).body
      assert.equal((await api.request('GET', `${base}/devices`, { token })).status, 200)
      const refused = await api.request('GET', base, { token })
      assert.equal(refused.status, 403)
      assert.equal(refused.body.error, 'insufficient_scope')
      const scope = 'none' as unknown as Record<string, string>
      await particle.updateOAuthClient({ product, clientId: made.id, name: 'other', scope })
      assert.equal((await api.request('GET', `${base}/devices`, { token })).status, 403)
      const { clients } = await bodyOf(particle.listOAuthClients({ product }))
      const listed = clients.find((one: { id: string }) => one.id === made.id)
      assert.deepEqual(listed, { id: made.id, name: 'other', type: 'installed', scope: null })
    })

    it('of a user act for the user when they were given all scopes', async () => {
      const created = await bodyOf(particle.createOAuthClient({ name: 'mine', type: 'installed', redirect_uri: '' }))
      assert.equal(created.ok, true)
      assert.equal((await asClient(created.client)).body.error, 'unauthorized_client')
      const full = await client({ scope: '*:*' }, '/v1/clients')
      const { access_token: token } = (await asClient(full)).body
      assert.equal((await bodyOf(particle.getUserInfo({ auth: token }))).username, username)
      // With it the user logs in too, as with the clients that everybody knows.
      const login = { grant_type: 'password', username, password, client_id: full.id, client_secret: full.secret }
      assert.equal((await grant(login)).status, 200)
      await particle.deleteOAuthClient({ clientId: full.id })
      assert.equal((await api.request('GET', '/v1/user', { token })).status, 401)
      assert.equal(await statusOf(particle.deleteOAuthClient({ clientId: full.id })), 404)
    })

    it('are refused when they make no sense', async () => {
      for (const body of [
        { name: '' },
        { name: 'x', type: 'other' },
        { name: 'x', type: 'web' },
        { name: 'x', scope: 'all' },
      ]) {
        assert.equal((await post(`${base}/clients`, body)).status, 400, JSON.stringify(body))
      }
      const wrong = await asClient({ id: 'particle', secret: 'particle' })
      assert.equal(wrong.body.error, 'unauthorized_client')
      assert.equal((await asClient(await client({}), { scope: 'all' })).body.error, 'invalid_scope')
    })

    it('keep their secrets to themselves: the store has digests', async () => {
      const { id: clientId, secret } = await client({})
      const rows = await api.store.db.selectFrom('oauth_clients').selectAll().execute()
      assert.ok(rows.some((row) => row.id === clientId))
      assert.equal(JSON.stringify(rows).includes(secret), false)
    })
  })

  describe('as customers', () => {
    const app = { id: '', secret: '' }
    const server = { id: '', secret: '' }
    const credentials = ({ id: client_id, secret: client_secret }: typeof app) => ({ client_id, client_secret })
    before(async () => {
      const make = async (scope: string) => (await post(`${base}/clients`, { name: 'app', scope })).body.client
      Object.assign(app, await make('customers:create'))
      Object.assign(server, await make('*:*'))
    })
    const login = (email: string, word: string) =>
      grant({ grant_type: 'password', username: email, password: word, ...credentials(app) })

    it('sign up through the application, and log in there and nowhere else', async () => {
      const sdk = new Particle({ baseUrl: api.url, clientId: app.id, clientSecret: app.secret })
      const made = await sdk.createCustomer({ product, email: 'Ann@example.com', password })
      assert.equal(made.statusCode, 201)
      const body = await bodyOf(Promise.resolve(made))
      assert.equal(body.token_type, 'bearer')
      assert.equal(await statusOf(sdk.createCustomer({ product, email: 'ann@example.com', password })), 400)
      const { access_token: token } = await bodyOf(sdk.login({ username: 'ann@example.com', password }))
      assert.deepEqual((await api.request('GET', '/v1/devices', { token })).body, [])
      assert.equal((await login('ann@example.com', 'wrong')).body.error, 'invalid_grant')
      const elsewhere = { client_id: 'particle', client_secret: 'particle' }
      const outside = await grant({ grant_type: 'password', username: 'ann@example.com', password, ...elsewhere })
      assert.equal(outside.body.error, 'invalid_grant')
      assert.equal((await login(username, 'a password')).body.error, 'invalid_grant', 'users are no customers')
      assert.equal((await api.request('GET', '/v1/user', { token })).status, 403)
    })

    it('see and use the devices that they claimed of that product', async () => {
      const { access_token: token } = (await login('ann@example.com', password)).body
      const code = await api.request('POST', `${base}/device_claims`, { token })
      assert.match(code.body.claim_code, /^.{63}$/)
      assert.notEqual(await api.registry.claimByCode(id, code.body.claim_code), undefined)
      const devices = await api.request('GET', '/v1/devices', { token })
      assert.deepEqual(
        devices.body.map((device: { id: string }) => device.id),
        [id],
      )
      assert.equal((await put(`/v1/devices/${id}`, { name: 'lamp' }, token)).body.name, 'lamp')
      const file = new FormData()
      file.append('file', new Blob(['module']), 'a.bin')
      assert.equal((await api.request('PUT', `/v1/devices/${id}`, { token, body: file })).status, 403)
      const { customers, devices: theirs } = (await api.request('GET', `${base}/customers`)).body
      assert.deepEqual(customers[0].devices, [id])
      assert.equal(theirs[0].id, id)
      // A device that is in no product is not for customers of one.
      const other = '422b0000000000000000000a'
      await api.registry.provision(other, devicePem(), { id: 'x', administrator: true }, 43)
      const claimed = await post('/v1/devices', { id: other }, token)
      assert.equal(claimed.status >= 400, true, claimed.text)
    })

    it('are logged in by the product’s own server, without a password of their own', async () => {
      const without = { email: 'bob@example.com', no_password: 'true' }
      const made = await api.request('POST', `${base}/customers`, {
        token: null,
        body: new URLSearchParams({ ...without, ...credentials(server) }),
      })
      assert.equal(made.status, 201)
      assert.equal((await login('bob@example.com', '')).status, 400)
      const scope = 'customer=bob@example.com'
      const { body } = await grant({ grant_type: 'client_credentials', scope, ...credentials(server) })
      assert.equal((await api.request('GET', '/v1/devices', { token: body.access_token })).status, 200)
      const byApp = await grant({ grant_type: 'client_credentials', scope, ...credentials(app) })
      assert.equal(byApp.body.error, 'unauthorized_client', 'everybody who has the application has its secret')
      const unknown = { grant_type: 'client_credentials', scope: 'customer=x@example.com', ...credentials(server) }
      assert.equal((await grant(unknown)).body.error, 'invalid_grant')
    })

    it('are made by nobody without the product’s client or a right', async () => {
      const path = `${base}/customers`
      const form = (body: Record<string, string>) =>
        api.request('POST', path, {
          token: null,
          body: new URLSearchParams({ email: 'c@example.com', password, ...body }),
        })
      assert.equal((await form({})).body.error, 'invalid_request')
      assert.equal((await form({ client_id: app.id, client_secret: 'wrong' })).body.error, 'invalid_client')
      const everybodys = await form({ client_id: 'particle', client_secret: 'particle' })
      assert.equal(everybodys.body.error, 'invalid_client')
      assert.equal((await post(path, { email: 'no address', password })).status, 400)
      assert.equal((await post(path, { email: 'c@example.com' })).status, 400)
    })

    it('get a new password from the product, lose their tokens by it, and leave their devices behind', async () => {
      const { access_token: token, refresh_token } = (await login('ann@example.com', password)).body
      const path = `${base}/customers/ann@example.com`
      assert.equal((await api.request('GET', `${path}/aloe/tokens`)).body.tokens.length >= 1, true)
      assert.deepEqual((await put(path, { password: 'a better password' })).body, { ok: true })
      assert.equal((await api.request('GET', '/v1/devices', { token })).status, 401)
      const refresh = { grant_type: 'refresh_token', refresh_token, ...credentials(app) }
      assert.equal((await grant(refresh)).status, 400)
      const again = (await login('ann@example.com', 'a better password')).body.access_token
      assert.deepEqual((await api.request('DELETE', `${path}/aloe/tokens`)).body, { ok: true })
      assert.equal((await api.request('GET', '/v1/devices', { token: again })).status, 401)
      const last = (await login('ann@example.com', 'a better password')).body.access_token
      assert.deepEqual((await api.request('DELETE', path)).body, { ok: true })
      assert.equal((await api.request('GET', '/v1/devices', { token: last })).status, 401)
      assert.equal(api.registry.get(id)?.ownerId, null)
      assert.equal((await api.request('DELETE', path)).status, 404)
    })
  })

  it('go with the product', async () => {
    const made = await post('/v1/products', { name: 'Short', platform_id: 43 })
    const path = `/v1/products/${made.body.product.id}`
    await account('member@example.com')
    await post(`${path}/team`, { username: 'member@example.com', role: 'Support' })
    const robot = (await post(`${path}/team`, { friendly_name: 'r', scopes: ['products:get'] })).body.created.tokens[0]
      .token
    const customer = (await post(`${path}/customers`, { email: 'c@example.com', password })).body.access_token
    assert.equal((await api.request('DELETE', path)).status, 204)
    for (const token of [robot, customer]) {
      assert.equal((await api.request('GET', '/v1/access_tokens/current', { token })).status, 401)
    }
    for (const table of ['team_members', 'api_users', 'customers'] as const) {
      const rows = await api.store.db.selectFrom(table).selectAll().execute()
      assert.equal(
        rows.some((row) => row.product_id === made.body.product.id),
        false,
      )
    }
    const audit = await api.request('GET', '/v1/aloe/audit?action=product.remove')
    assert.equal(audit.body.entries[0].target, String(made.body.product.id))
  })

  it('see in its audit log who did what, when they manage it', async () => {
    const { body } = await api.request('GET', `${base}/aloe/audit?per_page=1000`)
    const actions = new Set(body.entries.map(({ action }: { action: string }) => action))
    for (const action of [
      'team.invite',
      'team.create-api-user',
      'client.create',
      'customer.create',
      'customer.remove',
    ]) {
      assert.equal(actions.has(action), true, action)
    }
    assert.ok(body.entries.every((entry: { product_id: number }) => entry.product_id === productId))
  })
})
