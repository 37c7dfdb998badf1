/** Clients, teams, customers, second factors, password resets, audit log: tables and what makes them. */
import type { Kysely } from 'kysely'
import type { ColumnTypes } from '../column-types.ts'

export interface IdentityTables {
  readonly team_members: TeamMemberTable
  readonly api_users: ApiUserTable
  readonly oauth_clients: OAuthClientTable
  readonly customers: CustomerTable
  readonly second_factors: SecondFactorTable
  readonly password_resets: PasswordResetTable
  readonly audit_log: AuditTable
}

/** People in the team of a product, besides its owner, whom the product itself names. */
export interface TeamMemberTable {
  product_id: number
  user_id: string
  role: string
  created_at: number
}

/** What an API user may do; the rest of it is its row in `users`. */
export interface ApiUserTable {
  user_id: string
  product_id: number
  friendly_name: string
  /** JSON array. */
  scopes: string
  created_at: number
}

export interface OAuthClientTable {
  id: string
  name: string
  type: string
  redirect_uri: string | null
  /** JSON array. */
  scopes: string
  /** SHA-256 of the secret, hex: it is random, so that nobody can guess it from its hash. */
  secret_hash: string
  /** Whose client it is; of a product's client its own row in `users`, which holds its tokens. */
  user_id: string
  product_id: number | null
  created_at: number
}

/** A customer of a product; the rest of it is its row in `users`. */
export interface CustomerTable {
  user_id: string
  product_id: number
  /** Lower case; unique in the product. */
  email: string
  created_at: number
}

export interface SecondFactorTable {
  user_id: string
  /** Base32, RFC 4648. It has to be known to check a code: whoever reads the database can make codes. */
  secret: string
  /** The last time step of which a code was taken: none of it or before is taken again (RFC 6238 section 5.2). */
  last_step: number
  created_at: number
}

export interface PasswordResetTable {
  /** SHA-256 of the link's token, hex. */
  hash: string
  user_id: string
  created_at: number
  expires_at: number
}

export interface AuditTable {
  /** Sorts by time. */
  id: string
  at: number
  actor_kind: string
  actor_id: string | null
  actor_name: string | null
  action: string
  target: string
  /** The person whom it concerns besides the actor. */
  user_id: string | null
  product_id: number | null
  ip: string | null
  request_id: string | null
  /** JSON object. */
  detail: string
}

export async function up(db: Kysely<unknown>, _types: ColumnTypes): Promise<void> {
  // Everybody who can hold a token has a row in `users`: people, API users, customers, and the clients of products.
  await db.schema
    .alterTable('users')
    .addColumn('kind', 'text', (c) => c.notNull().defaultTo('person'))
    .execute()
  await db.schema.alterTable('users').addColumn('product_id', 'integer').execute()

  // An access token and the refresh tokens that came with and of it end together.
  await db.schema.alterTable('access_tokens').addColumn('family', 'text').execute()

  await db.schema
    .createTable('team_members')
    .addColumn('product_id', 'integer', (c) => c.notNull())
    .addColumn('user_id', 'text', (c) => c.notNull().references('users.id').onDelete('cascade'))
    .addColumn('role', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addPrimaryKeyConstraint('team_members_key', ['product_id', 'user_id'])
    .execute()
  await db.schema.createIndex('team_members_user').on('team_members').column('user_id').execute()

  await db.schema
    .createTable('api_users')
    .addColumn('user_id', 'text', (c) => c.primaryKey().references('users.id').onDelete('cascade'))
    .addColumn('product_id', 'integer', (c) => c.notNull())
    .addColumn('friendly_name', 'text', (c) => c.notNull())
    .addColumn('scopes', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .execute()

  await db.schema
    .createTable('oauth_clients')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('name', 'text', (c) => c.notNull())
    .addColumn('type', 'text', (c) => c.notNull())
    .addColumn('redirect_uri', 'text')
    .addColumn('scopes', 'text', (c) => c.notNull())
    .addColumn('secret_hash', 'text', (c) => c.notNull())
    .addColumn('user_id', 'text', (c) => c.notNull().references('users.id').onDelete('cascade'))
    .addColumn('product_id', 'integer')
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .execute()

  await db.schema
    .createTable('customers')
    .addColumn('user_id', 'text', (c) => c.primaryKey().references('users.id').onDelete('cascade'))
    .addColumn('product_id', 'integer', (c) => c.notNull())
    .addColumn('email', 'text', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addUniqueConstraint('customers_email', ['product_id', 'email'])
    .execute()

  await db.schema
    .createTable('second_factors')
    .addColumn('user_id', 'text', (c) => c.primaryKey().references('users.id').onDelete('cascade'))
    .addColumn('secret', 'text', (c) => c.notNull())
    .addColumn('last_step', 'bigint', (c) => c.notNull())
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .execute()

  await db.schema
    .createTable('password_resets')
    .addColumn('hash', 'text', (c) => c.primaryKey())
    .addColumn('user_id', 'text', (c) => c.notNull().references('users.id').onDelete('cascade'))
    .addColumn('created_at', 'bigint', (c) => c.notNull())
    .addColumn('expires_at', 'bigint', (c) => c.notNull())
    .execute()

  await db.schema
    .createTable('audit_log')
    .addColumn('id', 'text', (c) => c.primaryKey())
    .addColumn('at', 'bigint', (c) => c.notNull())
    .addColumn('actor_kind', 'text', (c) => c.notNull())
    .addColumn('actor_id', 'text')
    .addColumn('actor_name', 'text')
    .addColumn('action', 'text', (c) => c.notNull())
    .addColumn('target', 'text', (c) => c.notNull())
    .addColumn('user_id', 'text')
    .addColumn('product_id', 'integer')
    .addColumn('ip', 'text')
    .addColumn('request_id', 'text')
    .addColumn('detail', 'text', (c) => c.notNull())
    .execute()
  await db.schema.createIndex('audit_log_actor').on('audit_log').columns(['actor_id', 'id']).execute()
  await db.schema.createIndex('audit_log_user').on('audit_log').columns(['user_id', 'id']).execute()
  await db.schema.createIndex('audit_log_product').on('audit_log').columns(['product_id', 'id']).execute()
}
