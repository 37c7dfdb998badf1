/** Passwords at rest: argon2id (RFC 9106) in the PHC string form, so that the cost can rise without a migration. */
import { type Argon2Parameters, argon2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

export interface PasswordCost {
  /** KiB. */
  readonly memory: number
  readonly passes: number
  readonly parallelism: number
}

/** OWASP's password storage cheat sheet: 19 MiB, two passes, one lane. */
export const defaultCost: PasswordCost = { memory: 19_456, passes: 2, parallelism: 1 }

const derive = promisify(argon2) as (algorithm: 'argon2id', parameters: Argon2Parameters) => Promise<Buffer>
const tagLength = 32
/** Derivations at the same time: each holds its memory and a thread of the pool. */
const concurrency = 2

let running = 0
const waiting: (() => void)[] = []

/** @returns for example `$argon2id$v=19$m=19456,t=2,p=1$<salt>$<tag>` */
export async function hashPassword(password: string, cost: PasswordCost = defaultCost): Promise<string> {
  const salt = randomBytes(16)
  const tag = await bounded(password, salt, cost, tagLength)
  const { memory, passes, parallelism } = cost
  return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${unpadded(salt)}$${unpadded(tag)}`
}

/** Takes as long for a wrong password as for the right one; false for a hash that is not of ours. */
export async function verifyPassword(password: string, hash: string): Promise<boolean> {
  const match = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([\w+/]+)\$([\w+/]+)$/.exec(hash)
  if (!match) return false
  const [, memory, passes, parallelism, salt = '', tag = ''] = match
  const expected = Buffer.from(tag, 'base64')
  const cost = { memory: Number(memory), passes: Number(passes), parallelism: Number(parallelism) }
  return timingSafeEqual(expected, await bounded(password, Buffer.from(salt, 'base64'), cost, expected.length))
}

async function bounded(password: string, nonce: Buffer, cost: PasswordCost, length: number): Promise<Buffer> {
  if (running >= concurrency) await new Promise<void>((resolve) => waiting.push(resolve))
  else running++
  try {
    // Unicode can spell one password in two ways; keyboards differ in which they send.
    return await derive('argon2id', { message: password.normalize('NFC'), nonce, tagLength: length, ...cost })
  } finally {
    const next = waiting.shift()
    if (next) next()
    else running--
  }
}

function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '')
}
