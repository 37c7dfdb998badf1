/** All routes about who may come in (`docs/identity.md`). */
import type { ApiContext } from '../context.ts'
import type { ApiServer } from '../schemas.ts'
import { auditRoutes } from './audit.ts'
import { clientRoutes } from './clients.ts'
import { customerRoutes } from './customers.ts'
import { mfaRoutes } from './mfa.ts'
import { oauthRoutes } from './oauth.ts'
import { passwordResetRoutes } from './password-reset.ts'
import { teamRoutes } from './team.ts'
import { tokenRoutes } from './tokens.ts'
import { userRoutes } from './users.ts'

export function identityRoutes(app: ApiServer, context: ApiContext): void {
  oauthRoutes(app, context)
  tokenRoutes(app, context)
  userRoutes(app, context)
  passwordResetRoutes(app, context)
  mfaRoutes(app, context)
  clientRoutes(app, context)
  teamRoutes(app, context)
  customerRoutes(app, context)
  auditRoutes(app, context)
}
