/** The second factor of a user (cloud-api.md 1.2). */
import { Type } from 'typebox'
import { self } from '../access.ts'
import { userOf } from '../authentication.ts'
import { type ApiContext, iso } from '../context.ts'
import { confirmPassword } from '../credentials.ts'
import { badRequest, forbidden } from '../errors.ts'
import { type ApiServer, BooleanLike, NumberLike, OptionalText, readBoolean } from '../schemas.ts'
import { lifetimes } from '../token-answer.ts'

export function mfaRoutes(app: ApiServer, context: ApiContext): void {
  const { identity } = context

  app.get('/v1/user/mfa-enable', { config: { rate: 'credentials', access: self } }, async (request, reply) => {
    const user = userOf(request)
    if (identity.secondFactors.has(user.id)) throw badRequest('You have a second factor: disable it first')
    const { mfaToken, secret, url } = identity.secondFactors.begin(user)
    reply.header('cache-control', 'no-store')
    return { mfa_token: mfaToken, secret, qr_url: url }
  })

  const Confirm = Type.Object({
    mfa_token: OptionalText(200),
    otp: Type.Optional(NumberLike),
    invalidate_tokens: Type.Optional(BooleanLike),
  })
  app.post(
    '/v1/user/mfa-enable',
    { schema: { body: Confirm }, config: { rate: 'credentials', access: self } },
    async (request) => {
      const user = userOf(request)
      const { mfa_token = '', otp = '', invalidate_tokens } = request.body
      if (!(await identity.secondFactors.confirm(user.id, mfa_token, String(otp)))) {
        throw forbidden('The one-time code is wrong, or the enrolment is over: begin it again')
      }
      context.audit(request, 'user.mfa-enable', user.username)
      if (readBoolean(invalidate_tokens) !== true) return { enrolled: true }
      // All end, also that of this request: another takes its place.
      await identity.tokens.revokeAll(user.id)
      const { token, expiresAt } = await identity.tokens.issue(user.id, 'particle', lifetimes.access)
      return { enrolled: true, tokens: [{ token, expires_at: iso(expiresAt) }] }
    },
  )

  app.put(
    '/v1/user/mfa-disable',
    {
      schema: { body: Type.Object({ current_password: OptionalText(4_096) }) },
      config: { rate: 'credentials', access: self },
    },
    async (request) => {
      const user = userOf(request)
      await confirmPassword(request, user, request.body.current_password, context)
      await identity.secondFactors.remove(user.id)
      context.audit(request, 'user.mfa-disable', user.username)
      return { ok: true }
    },
  )
}
