/** Names, passwords and clients as requests bring them (cloud-api.md 0.2). */
import type { FastifyRequest } from 'fastify'
import type { KnownClient } from '../identity/clients.ts'
import type { Identity } from '../identity/identity.ts'
import type { LoginResult } from '../identity/logins.ts'
import type { User } from '../identity/users.ts'
import { basicCredentials } from './authentication.ts'
import { forbidden, mfaRequired, oauthError, tooMany } from './errors.ts'
import { type ApiLimits, throttledHost } from './limits.ts'

/** The OAuth client of a request, in the header or in the form; undefined when it names none that is known. */
export function clientOf(
  request: FastifyRequest,
  body: { client_id?: unknown; client_secret?: unknown },
  identity: Identity,
): KnownClient | undefined {
  const basic = basicCredentials(request)
  const id = basic?.name ?? body.client_id
  const secret = basic?.password ?? body.client_secret
  return typeof id === 'string' && typeof secret === 'string' ? identity.clients.check(id, secret) : undefined
}

export const badClient = () => oauthError(400, 'invalid_client', 'Client credentials are invalid')

/**
 * The user whose name and password come as HTTP Basic; undefined without these.
 * @param otp the code, of a user who needs one
 * @throws ApiError 403 for wrong ones: a 401 would make the CLI forget its login
 */
export async function userByBasic(
  request: FastifyRequest,
  otp: string | undefined,
  { identity, limits }: { identity: Identity; limits: ApiLimits },
): Promise<User | undefined> {
  const basic = basicCredentials(request)
  if (!basic) return undefined
  const login = await identity.login(basic.name, basic.password, throttledHost(request, limits), otp)
  if (login.ok) return login.user
  if (login.error === 'mfa-required') throw mfaRequired()
  throw login.error === 'too-many-failures' ? tooMany(login.retryAfter) : forbidden('User credentials are invalid')
}

/** Asks a user who is logged in for the password once more. @throws ApiError 403 or 429 */
export async function confirmPassword(
  request: FastifyRequest,
  user: User,
  password: string | undefined,
  { identity, limits }: { identity: Identity; limits: ApiLimits },
): Promise<void> {
  const login: LoginResult = await identity.logins.checkPassword(user, password ?? '', throttledHost(request, limits))
  if (login.ok) return
  throw login.error === 'too-many-failures' ? tooMany(login.retryAfter) : forbidden('The current password is wrong')
}
