/**
 * The cloud's own keys: RSA-2048 for devices on TCP, EC P-256 for devices on DTLS (device-protocol.md 1.1, 2.2).
 *
 * Devices carry the public halves in their flash, so a lost key locks all of them out: the private PEM files are the
 * ones to back up. Everything else in the folder is derived from them, for tools that want another form.
 */
import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto'
import { chmod, mkdir, open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const generate = promisify(generateKeyPair)

export interface ServerKey {
  readonly privateKey: KeyObject
  /** SubjectPublicKeyInfo, PEM text. */
  readonly publicPem: string
  /** SubjectPublicKeyInfo, DER: what a device stores. */
  readonly publicDer: Uint8Array
}

export interface ServerKeys {
  /** RSA-2048. */
  readonly tcp: ServerKey
  /** EC P-256. */
  readonly udp: ServerKey
}

/** The keys cannot be used; the message says which file and what to do. */
export class ServerKeyError extends Error {
  override readonly name = 'ServerKeyError'
  readonly code = 'server-key'
}

type Kind = keyof ServerKeys

/**
 * Reads the keys of a data folder, `<folder>/{tcp,udp}.pem`; makes them when there are none yet.
 * Beside them lie `.der` (private: PKCS#1 or SEC1), `.pub.pem` and `.pub.der`. All files have mode 600.
 *
 * @throws ServerKeyError when a key is damaged, of the wrong kind, or missing although its public half is there
 */
export async function openServerKeys(folder: string): Promise<ServerKeys> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await chmod(folder, 0o700)
  return { tcp: await openKey(folder, 'tcp'), udp: await openKey(folder, 'udp') }
}

async function openKey(folder: string, kind: Kind): Promise<ServerKey> {
  const path = join(folder, `${kind}.pem`)
  const known = await readIfThere(path)
  if (!known && (await readIfThere(join(folder, `${kind}.pub.der`)))) {
    throw new ServerKeyError(
      `${path} is missing, but devices may know its public key: restore it, or remove ${kind}.pub.der to make a new one`,
    )
  }
  const privateKey = known ? readKey(path, known, kind) : await makeKey(kind)
  const publicKey = createPublicKey(privateKey)
  const publicPem = publicKey.export({ type: 'spki', format: 'pem' }).toString()
  const publicDer = new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }))
  const der = privateKey.export({ type: kind === 'tcp' ? 'pkcs1' : 'sec1', format: 'der' } as {
    type: 'pkcs1'
    format: 'der'
  })
  if (!known) await write(path, privateKey.export({ type: 'pkcs8', format: 'pem' }))
  await writeIfOther(join(folder, `${kind}.der`), der)
  await writeIfOther(join(folder, `${kind}.pub.pem`), Buffer.from(publicPem))
  await writeIfOther(join(folder, `${kind}.pub.der`), publicDer)
  return { privateKey, publicPem, publicDer }
}

function readKey(path: string, pem: Buffer, kind: Kind): KeyObject {
  let key: KeyObject
  try {
    key = createPrivateKey(pem)
  } catch (error) {
    throw new ServerKeyError(`${path} is no private key in PEM: ${(error as Error).message}`)
  }
  const { modulusLength, publicExponent, namedCurve } = key.asymmetricKeyDetails ?? {}
  const fits =
    kind === 'tcp'
      ? key.asymmetricKeyType === 'rsa' && modulusLength === 2_048 && publicExponent === 65_537n
      : key.asymmetricKeyType === 'ec' && namedCurve === 'prime256v1'
  if (fits) return key
  throw new ServerKeyError(`${path} must be ${kind === 'tcp' ? 'RSA-2048 with exponent 65537' : 'an EC key on P-256'}`)
}

async function makeKey(kind: Kind): Promise<KeyObject> {
  const { privateKey } =
    kind === 'tcp'
      ? await generate('rsa', { modulusLength: 2_048, publicExponent: 65_537 })
      : await generate('ec', { namedCurve: 'prime256v1' })
  return privateKey
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

async function writeIfOther(path: string, content: Uint8Array): Promise<void> {
  const present = await readIfThere(path)
  if (!present?.equals(content)) await write(path, content)
}

/** Whole or not at all, also when the power fails: a half-written key would be a lost one. */
async function write(path: string, content: string | Uint8Array): Promise<void> {
  const temporary = `${path}.new`
  const file = await open(temporary, 'w', 0o600)
  try {
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, path)
}
