/** particle-api-js: users, tokens, clients, teams. */
import assert from 'node:assert/strict'
import { refused, type SdkRow, works } from './sdk-stage.ts'
import type { World } from './world.ts'

const nobody = { username: 'sdk@aloe.test', password: 'long enough for now' }

export const identityRows: readonly SdkRow[] = [
  works('login', 'token, type, lifetime; wrong credentials are a 400', async ({ guest, world }) => {
    const { body } = await guest.login({ ...world.owner, tokenDuration: 60 })
    assert.match(body.access_token, /^[0-9a-f]{40}$/)
    assert.equal(body.expires_in, 60)
    const { body: wrong } = await refused(guest.login({ username: world.owner.username, password: 'wrong' }), 400)
    assert.equal(wrong.error, 'invalid_grant')
  }),
  works('createUser', 'the user can log in', async ({ guest, world, particle }) => {
    await guest.createUser({ ...nobody, accountInfo: { first_name: 'Sue' } })
    const { access_token } = (await guest.login(nobody)).body
    assert.equal((await guest.getUserInfo({ auth: access_token })).body.account_info.first_name, 'Sue')
    assert.equal((await particle.getUserInfo({})).body.username, world.owner.username)
  }),
  works('getUserInfo', 'name, account, second factor', async ({ particle, world }) => {
    const { body } = await particle.getUserInfo({})
    assert.equal(body.username, world.owner.username)
    assert.equal(body.mfa.enabled, false)
  }),
  works('setUserInfo', 'read back', async ({ particle }) => {
    await particle.setUserInfo({ accountInfo: { first_name: 'Ada' } })
    assert.equal((await particle.getUserInfo({})).body.account_info.first_name, 'Ada')
  }),
  works('trackingIdentity', 'id and e-mail', async ({ particle, world }) => {
    assert.equal((await particle.trackingIdentity({ full: true })).body.email, world.owner.username)
  }),
  works('changeUsername', 'the new name logs in', async ({ guest, client }) => {
    const { access_token } = (await guest.login(nobody)).body
    const renamed = { ...nobody, username: 'renamed@aloe.test' }
    await client(access_token).changeUsername({ username: renamed.username, currentPassword: nobody.password })
    await guest.login(renamed)
    await refused(guest.login(nobody), 400)
    await client(access_token).changeUsername({ username: nobody.username, currentPassword: nobody.password })
  }),
  works(
    'changeUserPassword',
    'only the new password logs in; a wrong present one is refused without logging out',
    async ({ guest }) => {
      const { access_token: auth } = (await guest.login(nobody)).body
      await refused(guest.changeUserPassword({ auth, currentPassword: 'wrong', password: 'another password' }), 403)
      await guest.changeUserPassword({ auth, currentPassword: nobody.password, password: 'another password' })
      await refused(guest.login(nobody), 400)
      await guest.changeUserPassword({ auth, currentPassword: 'another password', password: nobody.password })
      await guest.login(nobody)
    },
  ),
  works('resetPassword', 'answers the same for known and unknown names; the link is in the log', async ({ guest }) => {
    assert.equal((await guest.resetPassword({ username: nobody.username })).body.ok, true)
    assert.equal((await guest.resetPassword({ username: 'nobody@aloe.test' })).body.ok, true)
  }),
  works('enableMfa', 'a secret and its QR text; not on before it is confirmed', async ({ guest }) => {
    const { access_token: auth } = (await guest.login(nobody)).body
    const { body } = await guest.enableMfa({ auth })
    assert.ok(body.mfa_token)
    assert.ok(body.secret)
    assert.equal((await guest.getUserInfo({ auth })).body.mfa.enabled, false)
  }),
  works('confirmMfa', 'on with the right code, not with a wrong one', async ({ guest }) => {
    const { access_token: auth } = (await guest.login(nobody)).body
    const { body } = await guest.enableMfa({ auth })
    await assert.rejects(guest.confirmMfa({ auth, mfaToken: body.mfa_token, otp: '000000' }))
    const again = (await guest.enableMfa({ auth })).body
    secret = again.secret
    await guest.confirmMfa({ auth, mfaToken: again.mfa_token, otp: await code(secret, -1) })
    assert.equal((await guest.getUserInfo({ auth })).body.mfa.enabled, true)
    second = auth
  }),
  works('sendOtp', 'the second step of a login', async ({ guest }) => {
    const { body } = (await refused(guest.login(nobody), 403)) as unknown as {
      body: { error: string; mfa_token: string }
    }
    assert.equal(body.error, 'mfa_required')
    const { access_token } = (await guest.sendOtp({ mfaToken: body.mfa_token, otp: await code(secret, 0) })).body
    assert.equal((await guest.getUserInfo({ auth: access_token })).body.username, nobody.username)
  }),
  works('disableMfa', 'one step logs in again', async ({ guest }) => {
    await guest.disableMfa({ auth: second, currentPassword: nobody.password })
    await guest.login(nobody)
  }),
  works('deleteAccessToken', 'without credentials; it opens nothing from then on', async ({ guest }) => {
    const { access_token: auth } = (await guest.login(nobody)).body
    await guest.deleteAccessToken({ token: auth })
    await refused(guest.getUserInfo({ auth }), 401)
  }),
  works('deleteCurrentAccessToken', 'it opens nothing from then on', async ({ guest }) => {
    const { access_token: auth } = (await guest.login(nobody)).body
    await guest.deleteCurrentAccessToken({ auth })
    await refused(guest.getUserInfo({ auth }), 401)
  }),
  works('deleteActiveAccessTokens', 'none of them opens anything', async ({ guest }) => {
    const first = (await guest.login(nobody)).body.access_token
    const auth = (await guest.login(nobody)).body.access_token
    await guest.deleteActiveAccessTokens({ auth })
    await refused(guest.getUserInfo({ auth: first }), 401)
    await refused(guest.getUserInfo({ auth }), 401)
  }),
  works('listOAuthClients', 'of the user, and of the product', async ({ particle, product }) => {
    assert.ok(Array.isArray((await particle.listOAuthClients({})).body.clients))
    assert.ok(Array.isArray((await particle.listOAuthClients({ product })).body.clients))
  }),
  works('createOAuthClient', 'the secret is shown once; the list has the client', async ({ particle, product }) => {
    const { body } = await particle.createOAuthClient({ product, name: 'sdk', type: 'installed', scope: '*:*' })
    assert.ok(body.client.secret)
    oauth = { id: body.client.id, secret: body.client.secret }
    const { clients } = (await particle.listOAuthClients({ product })).body
    const listed = clients.find(({ id }: { id: string }) => id === oauth.id)
    assert.equal(listed.name, 'sdk')
    assert.equal(listed.secret, undefined)
  }),
  works('updateOAuthClient', 'read back', async ({ particle, product }) => {
    await particle.updateOAuthClient({ product, clientId: oauth.id, name: 'renamed' })
    const { clients } = (await particle.listOAuthClients({ product })).body
    assert.equal(clients.find(({ id }: { id: string }) => id === oauth.id).name, 'renamed')
  }),
  works('loginAsClientOwner', 'a token for the product, and for nothing else', async ({ world, product }) => {
    const client = await productClient(world)
    const { access_token: auth } = (await client.loginAsClientOwner()).body
    const { body } = await client.listDevices({ auth, product })
    assert.equal(body.devices[0].id, world.alpha.id)
    await assert.rejects(client.listProductFirmware({ auth, product: product + 1 }))
    await assert.rejects(client.changeUserPassword({ auth, currentPassword: 'a', password: 'b' }))
  }),
  works(
    'createCustomer',
    'with the product’s client; the customer’s token sees no device that is not theirs',
    async ({ world, product }) => {
      const client = await productClient(world)
      const { body } = await client.createCustomer({ product, email: 'customer@aloe.test', password: 'long enough' })
      assert.ok(body.access_token)
      const seen = (await client.listDevices({ auth: body.access_token })).body
      assert.deepEqual(Array.isArray(seen) ? seen : seen.devices, [])
    },
  ),
  works('deleteOAuthClient', 'it is gone, and its secret gives no token', async ({ particle, product, world }) => {
    const client = await productClient(world)
    await particle.deleteOAuthClient({ product, clientId: oauth.id })
    await assert.rejects(client.loginAsClientOwner())
  }),
  works('listTeamMembers', 'the owner among them', async ({ particle, product, world }) => {
    const { team } = (await particle.listTeamMembers({ product })).body
    assert.ok(team.some(({ username }: { username: string }) => username === world.owner.username))
  }),
  works('inviteTeamMember', 'the member sees the product', async ({ particle, guest, product }) => {
    await particle.inviteTeamMember({ product, username: nobody.username })
    const { access_token: auth } = (await guest.login(nobody)).body
    const { products } = (await guest.listProducts({ auth })).body
    assert.ok(products.some(({ id }: { id: number }) => id === product))
  }),
  works('removeTeamMember', 'and no longer', async ({ particle, guest, product }) => {
    await particle.removeTeamMember({ product, username: nobody.username })
    const { access_token: auth } = (await guest.login(nobody)).body
    await refused(guest.getProduct({ auth, product }), 403)
  }),
  works('deleteUser', 'it cannot log in any more', async ({ guest }) => {
    const { access_token: auth } = (await guest.login(nobody)).body
    await guest.deleteUser({ auth, password: nobody.password })
    await refused(guest.login(nobody), 400)
  }),
]

let secret = ''
let second = ''
let oauth = { id: '', secret: '' }

/** A one-time code, `steps` of half a minute from now (RFC 6238). */
async function code(base32: string, steps: number): Promise<string> {
  const { Secret, TOTP } = await import('otpauth')
  return new TOTP({ secret: Secret.fromBase32(base32) }).generate({ timestamp: Date.now() + steps * 30_000 })
}

async function productClient(world: World) {
  const { default: Particle } = await import('particle-api-js')
  // biome-ignore lint/suspicious/noExplicitAny: as above
  return new Particle({ baseUrl: world.url, clientId: oauth.id, clientSecret: oauth.secret }) as any
}
