/** Describes at the cloud's end: those that a device posts and those that it is asked for. */
import type { CoapMessage } from '../coap/message.ts'
import { type Describe, type DescribeKind, decodeDescribe } from '../messages/describe.ts'
import { ProtocolError } from '../protocol-error.ts'
import type { Millis } from '../time.ts'
import { DescribeFetcher, type MakeRequest } from './describe-fetch.ts'
import { PostedDescribes } from './posted-describes.ts'
import { type RequestResult, refused } from './result.ts'

export class CloudDescribes {
  readonly #request: MakeRequest
  readonly #described: (describe: Describe) => void
  #fetcher: DescribeFetcher | undefined
  #posted: PostedDescribes | undefined
  readonly #platformId: number | undefined

  /** @param platformId of the Hello; blocks of a describe before it are void, and so is whoever put them together */
  constructor(platformId: number | undefined, request: MakeRequest, described: (describe: Describe) => void) {
    this.#platformId = platformId
    this.#request = request
    this.#described = described
  }

  /** Nothing is under way: it need not be kept. */
  get idle(): boolean {
    return this.#posted === undefined && this.#fetcher === undefined
  }

  /**
   * Takes a `POST /d`.
   *
   * @returns the code to acknowledge it with, 0 when all is well
   * @throws ProtocolError when it cannot be read
   */
  posted(message: CoapMessage): number {
    this.#posted ??= new PostedDescribes()
    const posted = this.#posted.accept(message)
    if (this.#posted.idle) this.#posted = undefined
    if (posted.kind === 'refused') return posted.code
    // Empty, not 2.31, while more blocks follow: the device goes on with the acknowledgement (device-protocol.md 3.8.1).
    if (posted.kind === 'complete') this.#hand(posted.describes)
    return 0
  }

  /** Asks for a describe; without a kind, which only old devices understand, for system and application in one. */
  fetch(
    kind: DescribeKind | undefined,
    deadline: Millis,
    done: (result: RequestResult<readonly Describe[]>) => void,
  ): void {
    this.#fetcher ??= new DescribeFetcher(this.#request)
    this.#fetcher.fetch({
      kind,
      deadline,
      done: (result) => done(result.ok ? this.#read(kind, result.value) : result),
    })
  }

  #read(kind: DescribeKind | undefined, payload: Uint8Array): RequestResult<readonly Describe[]> {
    let describes: readonly Describe[]
    try {
      describes = decodeDescribe(kind, payload)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      return refused(error.message)
    }
    return { ok: true, value: this.#hand(describes) }
  }

  /** A system describe without platform gets that of the Hello (device-protocol.md 4.2). */
  #hand(describes: readonly Describe[]): readonly Describe[] {
    const platformId = this.#platformId
    const complete = describes.map((describe) =>
      describe.kind === 'system' && platformId !== undefined
        ? { ...describe, describe: { platformId, ...describe.describe } }
        : describe,
    )
    for (const describe of complete) this.#described(describe)
    return complete
  }
}
