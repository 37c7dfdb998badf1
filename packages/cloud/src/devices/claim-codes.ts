/** Claim codes: a device that sends one becomes the user's who made it. Good for a day, and for one device. */
import { randomInt } from 'node:crypto'
import type { Selectable } from 'kysely'
import type { ClaimCodeTable } from '../store/schema.ts'
import type { Store } from '../store/store.ts'

/** cloud-api.md 4. */
const codeLength = 63
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
const lifetime = 24 * 60 * 60 * 1_000

export type ClaimCode = Selectable<ClaimCodeTable>

/** @param productId the product for whose devices alone the code is; null for any device */
export async function createClaimCode(
  { db }: Store,
  userId: string,
  productId: number | null,
  now: number,
): Promise<string> {
  let code = ''
  for (let i = 0; i < codeLength; i++) code += alphabet[randomInt(alphabet.length)]
  await db.deleteFrom('claim_codes').where('expires_at', '<=', now).execute()
  const row = { code, user_id: userId, device_id: null, product_id: productId }
  await db
    .insertInto('claim_codes')
    .values({ ...row, created_at: now, expires_at: now + lifetime })
    .execute()
  return code
}

/** A code that the device may use: nobody has, or it did itself and says it until it heard that it may forget it. */
export async function usableClaimCode(
  { db }: Store,
  text: string,
  deviceId: string,
  now: number,
): Promise<ClaimCode | undefined> {
  const query = db.selectFrom('claim_codes').selectAll()
  const code = await query.where('code', '=', text.slice(0, codeLength + 1)).executeTakeFirst()
  if (!code || code.expires_at <= now) return undefined
  return code.device_id === null || code.device_id === deviceId ? code : undefined
}

/** Who made the codes for a product's devices is not of the product any more. */
export async function revokeClaimCodes({ db }: Store, userId: string, productId: number): Promise<void> {
  await db.deleteFrom('claim_codes').where('user_id', '=', userId).where('product_id', '=', productId).execute()
}
