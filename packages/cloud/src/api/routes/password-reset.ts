/** A new password by a link (cloud-api.md 1.2): for who has forgotten theirs. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { IdentityError } from '../../identity/identity-error.ts'
import type { PasswordReset } from '../../identity/password-resets.ts'
import type { User } from '../../identity/users.ts'
import { administrators, anyone } from '../access.ts'
import { type ApiContext, iso } from '../context.ts'
import { badRequest, notFound } from '../errors.ts'
import { passwordPage } from '../password-page.ts'
import { type ApiServer, OptionalText, pathOf } from '../schemas.ts'

const path = '/v1/user/password-reset'
const sent = 'If there is such a user, a link to set a new password was sent'

export function passwordResetRoutes(app: ApiServer, context: ApiContext): void {
  const { identity, options } = context
  const Ask = Type.Object({ username: OptionalText(1_000), token: OptionalText(200), password: OptionalText(4_096) })

  /** Without a token it asks for a link; with one, as the page's form sends it, it sets the password. */
  app.post(path, { schema: { body: Ask }, config: { rate: 'credentials', access: anyone } }, async (request, reply) => {
    const { username, token, password } = request.body
    if (token !== undefined) return finish(request, reply, token, password)
    if (!username) throw badRequest('"username" is required')
    const user = identity.users.find(username)
    // The answer is the same for everybody, and takes as long: it tells nobody who is a user here.
    if (user) void send(request, user).catch((error) => request.log.error({ err: error }, 'no password link was sent'))
    return { ok: true, message: sent }
  })

  app.put(path, { schema: { body: Ask }, config: { rate: 'credentials', access: anyone } }, async (request, reply) =>
    finish(request, reply, request.body.token ?? '', request.body.password),
  )

  app.get(
    path,
    {
      schema: { querystring: Type.Object({ token: OptionalText(200) }) },
      config: { rate: 'credentials', access: anyone },
    },
    async (request, reply) => {
      const { token = '' } = request.query
      const userId = await identity.passwordResets.find(token)
      const user = userId === undefined ? undefined : identity.users.get(userId)
      if (wantsPage(request)) return page(reply, user ? { token, username: user.username } : { over: true })
      if (!user) throw notFound('The link is not good any more: ask for another')
      return { ok: true, username: user.username }
    },
  )

  // Who runs the cloud helps a user without mail: the link is for them to hand over.
  app.post(
    '/v1/aloe/users/:username/password-reset',
    { schema: { params: pathOf('username') }, config: { rate: 'credentials', access: administrators } },
    async (request) => {
      const user = identity.users.find(request.params.username)
      if (!user) throw notFound('There is no such user')
      const reset = await identity.passwordResets.create(user.id)
      context.audit(request, 'user.password-link', user.username, {}, { userId: user.id })
      return { ok: true, username: user.username, url: linkOf(reset), expires_at: iso(reset.expiresAt) }
    },
  )

  async function send(request: FastifyRequest, user: User): Promise<void> {
    // Anybody can ask for them, from many addresses.
    if (await identity.passwordResets.tooMany(user.id)) return
    const reset = await identity.passwordResets.create(user.id)
    const url = linkOf(reset)
    context.audit(request, 'user.password-link', user.username, {}, { userId: user.id })
    if (!options.sendMail) {
      // Nothing else reaches the user: whoever reads the log of this cloud passes it on.
      request.log.warn(
        { username: user.username, url, expiresAt: iso(reset.expiresAt) },
        'a new password was asked for',
      )
      return
    }
    await options.sendMail({
      to: user.username,
      subject: 'Your password',
      text: [
        `Somebody, probably you, asked for a new password for ${user.username}.`,
        'Set it here, within an hour:',
        '',
        url,
        '',
        'If it was not you, you need not do anything.',
      ].join('\n'),
    })
  }

  async function finish(request: FastifyRequest, reply: FastifyReply, token: string, password: string | undefined) {
    const userId = await identity.passwordResets.find(token)
    const user = userId === undefined ? undefined : identity.users.get(userId)
    if (!user) {
      if (wantsPage(request)) return page(reply, { over: true })
      throw badRequest('The link is not good any more: ask for another')
    }
    if (!password) throw badRequest('"password" is required')
    try {
      identity.users.checkPassword(password)
      // Of two at the same time one has used it up.
      if ((await identity.passwordResets.use(token)) !== user.id) {
        throw badRequest('The link is not good any more: ask for another')
      }
      await identity.setPassword(user.id, password)
    } catch (error) {
      if (error instanceof IdentityError && wantsPage(request)) {
        return page(reply.code(400), { token, username: user.username, problem: error.message })
      }
      throw error
    }
    // Whoever made the change necessary may hold a token.
    await identity.tokens.revokeAll(user.id)
    context.audit(request, 'user.password-reset', user.username, {}, { userId: user.id })
    if (wantsPage(request)) return page(reply, { done: true })
    return { ok: true, message: 'The password is set' }
  }

  /** Never by the address that the request names: it is the asker's text, and the link goes to somebody else. */
  function linkOf({ token }: PasswordReset): string {
    const base = options.publicUrl?.replace(/\/+$/, '') ?? app.listeningOrigin
    return `${base}${path}?token=${token}`
  }
}

function wantsPage({ headers }: FastifyRequest): boolean {
  return /\btext\/html\b/.test(headers.accept ?? '')
}

function page(reply: FastifyReply, state: Parameters<typeof passwordPage>[0]): FastifyReply {
  return reply
    .headers({
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
      'x-frame-options': 'DENY',
      'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'",
    })
    .type('text/html; charset=utf-8')
    .send(passwordPage(state))
}
