import { cidSize } from './profile.ts'
import type { DtlsSession } from './session.ts'

/** Bytes of a connection id that carry the node; the others are random. */
export const cidNodeSize = 2

/** The number of the node that gave out a connection id. */
export function cidNode(cid: Uint8Array): number {
  return ((cid[0] ?? 0) << 8) | (cid[1] ?? 0)
}

/** A connection id of this node. */
export function makeCid(node: number, random: (size: number) => Uint8Array): Uint8Array {
  const cid = new Uint8Array(cidSize)
  cid[0] = node >>> 8
  cid[1] = node
  cid.set(random(cidSize - cidNodeSize), cidNodeSize)
  return cid
}

/** Sessions without connection id at one address: the known one, and new ones whose Hello has not come yet. */
const maxSessionsPerAddress = 4

/** All sessions in memory, found by what a datagram tells of them. */
export class SessionTable {
  readonly #all = new Set<DtlsSession>()
  readonly #byCid = new Map<string, DtlsSession>()
  /** Only sessions without connection id; newest first. */
  readonly #byAddress = new Map<string, DtlsSession[]>()
  readonly #byDevice = new Map<string, DtlsSession>()

  get size(): number {
    return this.#all.size
  }

  all(): IterableIterator<DtlsSession> {
    return this.#all.values()
  }

  byCid(cid: Uint8Array): DtlsSession | undefined {
    return this.#byCid.get(cidKey(cid))
  }

  byAddress(address: string): readonly DtlsSession[] {
    return this.#byAddress.get(address) ?? []
  }

  byDevice(deviceId: string): DtlsSession | undefined {
    return this.#byDevice.get(deviceId)
  }

  /** @returns sessions that had to make room */
  add(session: DtlsSession): DtlsSession[] {
    this.#all.add(session)
    if (session.cid !== undefined) this.#byCid.set(cidKey(session.cid), session)
    else this.#enterAddress(session)
    const surplus = session.cid === undefined ? this.byAddress(session.address).slice(maxSessionsPerAddress) : []
    for (const old of surplus) this.remove(old)
    return surplus
  }

  remove(session: DtlsSession): void {
    this.#all.delete(session)
    if (session.cid === undefined) this.#leaveAddress(session)
    else if (this.#byCid.get(cidKey(session.cid)) === session) this.#byCid.delete(cidKey(session.cid))
    const { deviceId } = session
    if (deviceId !== undefined && this.#byDevice.get(deviceId) === session) this.#byDevice.delete(deviceId)
  }

  move(session: DtlsSession, address: string): void {
    if (session.cid === undefined) this.#leaveAddress(session)
    session.moveTo(address)
    if (session.cid === undefined) this.#enterAddress(session)
  }

  /** @returns the session that the device had before, still in the table */
  bind(session: DtlsSession, deviceId: string): DtlsSession | undefined {
    const previous = this.#byDevice.get(deviceId)
    session.assign(deviceId)
    this.#byDevice.set(deviceId, session)
    return previous === session ? undefined : previous
  }

  #enterAddress(session: DtlsSession): void {
    const there = this.#byAddress.get(session.address)
    if (there === undefined) this.#byAddress.set(session.address, [session])
    else there.unshift(session)
  }

  #leaveAddress(session: DtlsSession): void {
    const there = this.#byAddress.get(session.address)?.filter((other) => other !== session) ?? []
    if (there.length > 0) this.#byAddress.set(session.address, there)
    else this.#byAddress.delete(session.address)
  }
}

/** A string, since maps compare arrays by identity; one character per byte. */
function cidKey(cid: Uint8Array): string {
  return Buffer.from(cid.buffer, cid.byteOffset, cid.length).toString('latin1')
}
