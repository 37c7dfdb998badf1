/**
 * The tables, as Kysely sees them. One schema for SQLite and PostgreSQL: only types that both have, so booleans are the
 * integers 0 and 1, times are Unix milliseconds, and structured values are JSON text.
 */
import type { Generated } from 'kysely'
import type { IdentityTables } from './tables/identity.ts'
import type { IntegrationTables } from './tables/integrations.ts'
import type { ProductTables } from './tables/products.ts'
import type { RolloutTables } from './tables/rollouts.ts'
import type { TelemetryTables } from './tables/telemetry.ts'
import type { UpdateTables } from './tables/updates.ts'

export interface Schema
  extends IdentityTables,
    ProductTables,
    IntegrationTables,
    TelemetryTables,
    UpdateTables,
    RolloutTables {
  readonly users: UserTable
  readonly access_tokens: AccessTokenTable
  readonly devices: DeviceTable
  readonly claim_codes: ClaimCodeTable
  readonly binaries: BinaryTable
  readonly update_jobs: UpdateJobTable
  readonly device_sessions: DeviceSessionTable
}

export interface UserTable {
  id: string
  /** 'person', 'api-user', 'customer' or 'client'. */
  kind: Generated<string>
  product_id: Generated<number | null>
  /** Lower case; of others than people behind what makes it unique. */
  username: string
  /** argon2id in PHC string form. */
  password_hash: string
  /** JSON object. */
  account_info: string
  is_administrator: number
  created_at: number
  updated_at: number
}

export interface AccessTokenTable {
  /** SHA-256 of the token, hex: the token itself is nowhere. */
  hash: string
  /** The first characters, so that its owner can tell tokens apart in a list. */
  hint: string
  kind: 'access' | 'refresh'
  user_id: string
  client: string
  created_at: number
  expires_at: number | null
  /** What an access token and its refresh tokens have in common. */
  family: string | null
}

export interface DeviceTable {
  id: string
  name: string | null
  /** The name in lower case: names are unique per owner. */
  name_key: string | null
  owner_id: string | null
  platform_id: number | null
  product_id: number | null
  product_version: number | null
  serial_number: string | null
  pinned_build_target: string | null
  notes: string | null
  /** SPKI DER, base64. */
  public_key: string | null
  key_algorithm: 'rsa' | 'ecc' | null
  provisioned_by: string | null
  last_ip: string | null
  last_heard_at: number | null
  last_handshake_at: number | null
  /** JSON array of names. */
  functions: string | null
  /** JSON object: name to type. */
  variables: string | null
  /** JSON of a SystemDescribe. */
  describe: string | null
  status: 'normal' | 'safe_mode'
  updates_enabled: number
  updates_forced: number
  created_at: number
  updated_at: number
}

export interface ClaimCodeTable {
  code: string
  user_id: string
  /** The device that used it; it may say it again until it has heard that it may forget it. */
  device_id: string | null
  /** The product that the device joins. */
  product_id: number | null
  created_at: number
  expires_at: number
}

export interface BinaryTable {
  id: string
  user_id: string
  platform_id: number
  target: string
  content: Uint8Array
  created_at: number
  expires_at: number
}

/** Owned by `updates/`: flash and heal jobs that survive a restart. */
export interface UpdateJobTable {
  id: string
  device_id: string
  kind: string
  state: string
  requested_by: string | null
  /** Empty since 0007: files lie in `update_files`. */
  file: Uint8Array | null
  file_hash: string | null
  /** JSON object of what else the job knows: plan, attempts, error. */
  detail: string
  created_at: number
  updated_at: number
  finished_at: number | null
}

/** Owned by `gateway/`: sessions on UDP, which outlive connections and the cloud's process. */
export interface DeviceSessionTable {
  device_id: string
  /** Hex; null for devices before Device OS 3.1. */
  connection_id: string | null
  /** Where its last datagram came from: `host port`. */
  address: string
  /** The DTLS session as it serializes itself: keys, sequence numbers, replay window. */
  secrets: Uint8Array
  /** Payload of the device's Hello. */
  hello: Uint8Array
  /** JSON array of subscriptions (gateway/stored-subscriptions.ts). */
  subscriptions: string
  /** Bits: 1 in safe mode, 2 described itself, 4 online. */
  state: number
  used_at: number
}
