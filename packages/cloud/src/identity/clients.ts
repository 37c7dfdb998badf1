/**
 * OAuth clients: those that the documents and tools of Particle name, which anybody may use to log in; those that users
 * make; and those of products, which can have tokens of their own. Durable, with a copy in memory.
 */
import { randomBytes } from 'node:crypto'
import type { Selectable } from 'kysely'
import type { Store } from '../store/store.ts'
import type { OAuthClientTable } from '../store/tables/identity.ts'
import { IdentityError } from './identity-error.ts'
import type { GrantedScope, ScopeGrant } from './scopes.ts'
import { digestOf, matches, newSecret } from './secrets.ts'
import type { Users } from './users.ts'

export type ClientType = 'installed' | 'web'

export interface OAuthClient {
  readonly id: string
  readonly name: string
  readonly type: ClientType
  readonly redirectUri: string | null
  readonly scopes: ScopeGrant
  /** Whose it is; of a product's client the user of kind 'client' that holds its tokens, with the same id. */
  readonly userId: string
  readonly productId: number | null
  readonly createdAt: number
}

export interface NewClient {
  readonly name: string
  readonly type: ClientType
  readonly redirectUri: string | null
  readonly scopes: ScopeGrant
}

/** Who a client id and secret that were right belong to. */
export type KnownClient = { readonly id: string; readonly own: OAuthClient | undefined }

/** Client and secret, as the documents, the SDK and the CLI send them (cloud-api.md 1.1); any of them will do. */
const publicClients: Readonly<Record<string, string>> = {
  particle: 'particle',
  'particle-api': 'particle-api',
  'particle-cli': 'particle-cli',
}

const clientsPerOwner = 100
const limits = { name: 64, redirectUri: 2_000 }

interface StoredClient extends OAuthClient {
  readonly secretHash: string
}

export class Clients {
  readonly #store: Store
  readonly #now: () => number
  readonly #users: Users
  readonly #byId = new Map<string, StoredClient>()

  private constructor(store: Store, now: () => number, users: Users) {
    this.#store = store
    this.#now = now
    this.#users = users
  }

  static async open(store: Store, now: () => number, users: Users): Promise<Clients> {
    const clients = new Clients(store, now, users)
    for (const row of await store.db.selectFrom('oauth_clients').selectAll().orderBy('created_at').execute()) {
      clients.#byId.set(row.id, fromRow(row))
    }
    return clients
  }

  get(id: string): OAuthClient | undefined {
    return this.#byId.get(id)
  }

  /** The client with this id and secret; undefined when there is none. */
  check(id: string, secret: string): KnownClient | undefined {
    const own = this.#byId.get(id)
    if (own) return matches(secret, own.secretHash) ? { id, own } : undefined
    // These are printed in every document: there is nothing to find out by the time it takes.
    return Object.hasOwn(publicClients, id) && publicClients[id] === secret ? { id, own: undefined } : undefined
  }

  /** A person's clients, or a product's, in the order in which they were made. */
  list(of: { readonly userId: string } | { readonly productId: number }): OAuthClient[] {
    return [...this.#byId.values()].filter((client) =>
      'productId' in of ? client.productId === of.productId : client.productId === null && client.userId === of.userId,
    )
  }

  /**
   * @returns the secret too, which is nowhere else
   * @throws IdentityError 'bad-client'
   */
  async create(
    { name, type, redirectUri, scopes }: NewClient,
    of: { readonly userId: string } | { readonly productId: number },
  ): Promise<{ client: OAuthClient; secret: string }> {
    checkName(name)
    if (redirectUri !== null && redirectUri.length > limits.redirectUri) throw badClient('"redirect_uri" is too long')
    if (type === 'web' && !redirectUri) throw badClient('A client of type "web" needs a "redirect_uri"')
    if (this.list(of).length >= clientsPerOwner) throw badClient(`There can be ${clientsPerOwner} clients at most`)
    const id = newClientId(name)
    const productId = 'productId' in of ? of.productId : null
    if (productId !== null)
      await this.#users.createOfProduct({ kind: 'client', productId, id, username: id, password: null })
    const secret = newSecret()
    const stored: StoredClient = {
      id,
      name,
      type,
      redirectUri,
      scopes,
      userId: 'userId' in of ? of.userId : id,
      productId,
      createdAt: this.#now(),
      secretHash: digestOf(secret),
    }
    await this.#store.db
      .insertInto('oauth_clients')
      .values({
        id,
        name,
        type,
        redirect_uri: redirectUri,
        scopes: JSON.stringify([...scopes]),
        secret_hash: stored.secretHash,
        user_id: stored.userId,
        product_id: productId,
        created_at: stored.createdAt,
      })
      .execute()
    this.#byId.set(id, stored)
    return { client: stored, secret }
  }

  /** @throws IdentityError 'bad-client' */
  async update(id: string, { name, scopes }: { name?: string; scopes?: ScopeGrant }): Promise<OAuthClient> {
    const before = this.#byId.get(id)
    if (!before) throw badClient('There is no such client')
    if (name !== undefined) checkName(name)
    const after = { ...before, name: name ?? before.name, scopes: scopes ?? before.scopes }
    await this.#store.db
      .updateTable('oauth_clients')
      .set({ name: after.name, scopes: JSON.stringify([...after.scopes]) })
      .where('id', '=', id)
      .execute()
    this.#byId.set(id, after)
    return after
  }

  /** Its own tokens go with it; those that users got through it are the caller's to end. */
  async remove(id: string): Promise<void> {
    const client = this.#byId.get(id)
    if (!client) return
    await this.#store.db.deleteFrom('oauth_clients').where('id', '=', id).execute()
    if (client.productId !== null) await this.#users.remove(id)
    this.#byId.delete(id)
  }

  /** A person or a product is gone, and with their rows in the store these of theirs. */
  forget(of: { readonly userId: string } | { readonly productId: number }): void {
    for (const { id } of this.list(of)) this.#byId.delete(id)
  }
}

function checkName(name: string): void {
  if (name.trim() === '' || name.length > limits.name || /\p{Cc}/u.test(name)) {
    throw badClient(`A client's name has 1 to ${limits.name} characters`)
  }
}

function badClient(message: string): IdentityError {
  return new IdentityError('bad-client', message)
}

/** A word out of its name, and a number that makes it unique, as Particle's are. */
function newClientId(name: string): string {
  const words =
    name
      .normalize('NFKD')
      .toLowerCase()
      .match(/[a-z0-9]+/g) ?? []
  return [...words.join('-').slice(0, 40).split('-').filter(Boolean), randomBytes(5).toString('hex')].join('-')
}

function fromRow(row: Selectable<OAuthClientTable>): StoredClient {
  return {
    id: row.id,
    name: row.name,
    type: row.type as ClientType,
    redirectUri: row.redirect_uri,
    scopes: new Set(JSON.parse(row.scopes) as GrantedScope[]),
    userId: row.user_id,
    productId: row.product_id,
    createdAt: row.created_at,
    secretHash: row.secret_hash,
  }
}
