/**
 * The firmware update engine of a real board: when it takes a file, what it keeps of an interrupted one, with which code
 * it refuses, and where the modules go (modules-and-platforms.md 4.3 to 4.5, 4.7).
 */
import {
  type AcceptanceRules,
  type FirmwareModule,
  moduleFlags,
  sha256,
  slotOf,
  splitModules,
  systemErrorMessage,
  updateResult,
  updateRules,
  validateUpdate,
} from '@aloe/firmware'
import type { Millis, UpdateError, UpdateRequest, UpdateTarget } from '@aloe/protocol'
import { type PendingSlot, slotFlags, writePending } from './pending-slots.ts'
import type { TwinFlash } from './twin-flash.ts'

export interface TwinUpdateHandlers {
  now(): Millis
  /** Updates are enabled, or forced. */
  allowed(): boolean
  /** The board can go on with an interrupted transfer. */
  resumes(): boolean
  /** A module was taken in; the board resets. @param direct it is in its place already, or an asset */
  applied(modules: readonly FirmwareModule[], direct: boolean): void
  /** The file came to its end and was of no use. */
  refused(code: number): void
}

/** What was received is noted so often (4.4). */
const saveEvery: Millis = 30_000
const assetFunction = 9
const tooLarge = -190

export class TwinUpdates implements UpdateTarget {
  readonly #flash: TwinFlash
  readonly #handlers: TwinUpdateHandlers
  readonly #rules: AcceptanceRules
  #request: UpdateRequest | undefined
  #resumedAt = 0
  /** Bytes from the start without a gap, and what lies behind gaps. */
  #contiguous = 0
  readonly #beyond = new Map<number, number>()
  #savedAt: Millis = 0
  #validated: readonly FirmwareModule[] | undefined
  #refusal: number | undefined

  /** @param rules of acceptance; those that boards have unless a test turns one off */
  constructor(flash: TwinFlash, handlers: TwinUpdateHandlers, rules: AcceptanceRules = updateRules) {
    this.#flash = flash
    this.#handlers = handlers
    this.#rules = rules
  }

  get active(): boolean {
    return this.#request !== undefined
  }

  begin(request: UpdateRequest): { readonly offset: number } | UpdateError {
    const { platform } = this.#flash
    if (!this.#handlers.allowed()) return refusal(updateResult.updatesDisabled)
    if (request.size === 0 || request.size > platform.otaRegionSize) return refusal(updateResult.invalidSize)
    if (this.active) return refusal(updateResult.invalidState)
    if (request.moduleFunction === assetFunction) {
      if (!platform.assets) return refusal(updateResult.unsupportedModule)
      if (request.size > platform.assets.maxSingle) return refusal(tooLarge)
    }
    // An earlier module that still waits for a reset is lost, before its bytes are.
    writePending(this.#flash.storage, [])
    const offset = this.#resume(request)
    this.#request = request
    this.#resumedAt = offset
    this.#contiguous = offset
    this.#beyond.clear()
    this.#savedAt = this.#handlers.now()
    this.#validated = undefined
    this.#refusal = undefined
    return { offset }
  }

  #resume({ size, sha256: hash, discard }: UpdateRequest): number {
    const kept = this.#flash.transfer()
    if (kept && hash && !discard && this.#handlers.resumes() && kept.size === size && equal(kept.hash, hash)) {
      const partial = this.#flash.received(0, kept.partialSize)
      if (partial.length === kept.partialSize && equal(sha256(partial), kept.partialHash)) return kept.partialSize
    }
    this.#flash.saveTransfer(undefined)
    return 0
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#flash.receive(offset, bytes)
    this.#beyond.set(offset, Math.max(this.#beyond.get(offset) ?? 0, offset + bytes.length))
    for (let end = this.#beyond.get(this.#contiguous); end !== undefined; end = this.#beyond.get(this.#contiguous)) {
      this.#beyond.delete(this.#contiguous)
      this.#contiguous = end
    }
    if (this.#handlers.now() - this.#savedAt >= saveEvery) this.#save()
  }

  #save(): void {
    const request = this.#request
    if (!request?.sha256 || !this.#handlers.resumes() || this.#contiguous === 0) return
    this.#savedAt = this.#handlers.now()
    this.#flash.saveTransfer({
      hash: request.sha256,
      partialHash: sha256(this.#flash.received(0, this.#contiguous)),
      size: request.size,
      partialSize: this.#contiguous,
    })
  }

  finish(): { readonly ok: true } | UpdateError {
    const request = this.#request
    if (!request) return refusal(updateResult.invalidState)
    const file = this.#flash.received(0, request.size)
    if (request.sha256 && !equal(sha256(file), request.sha256)) {
      const resumed = this.#resumedAt > 0
      return this.#refuse(resumed ? updateResult.resumedUpdateFailed : updateResult.integrityCheckFailed)
    }
    const { platform } = this.#flash
    const { result, message, modules } = validateUpdate(file, platform, this.#flash.installed(), this.#rules)
    if (result !== updateResult.ok) return this.#refuse(result, message)
    this.#validated = modules.flatMap(({ module }) => module ?? [])
    return { ok: true }
  }

  #refuse(code: number, message = systemErrorMessage(code)): UpdateError {
    this.#refusal = code
    return { error: code, message }
  }

  apply(): void {
    const request = this.#request
    const modules = this.#validated
    this.#request = undefined
    if (!request || !modules) return
    this.#flash.saveTransfer(undefined)
    const file = this.#flash.received(0, request.size)
    const pending: PendingSlot[] = []
    let direct = false
    let offset = 0
    for (const [index, bytes] of splitModules(file).entries()) {
      const module = modules[index]
      if (!module) break
      if (module.function === 'asset') {
        this.#flash.storeAsset(bytes, this.#wantedAssets())
        direct = true
      } else if (module.function === 'ncp_firmware') {
        // Streamed to the co-processor, which has a place for the old one and one for the new one.
        const slot = slotOf(this.#flash.platform, module)
        if (slot) this.#flash.replace(slot, bytes)
        direct = true
      } else {
        const flags = slotFlags(module.flags & ~moduleFlags.combined)
        const { function: name, startAddress: destination } = module
        pending.push({ offset, length: module.bytes.length, function: name, destination, ...flags })
      }
      offset += module.bytes.length
    }
    writePending(this.#flash.storage, pending)
    this.#handlers.applied(modules, direct)
  }

  #wantedAssets() {
    return this.#flash
      .installed()
      .filter((module) => module.function === 'user_part')
      .flatMap((module) => module.assetDependencies ?? [])
  }

  cancel(discard: boolean): void {
    if (!this.#request) return
    const refused = this.#refusal
    if (discard || refused !== undefined) this.#flash.saveTransfer(undefined)
    else this.#save()
    this.#request = undefined
    this.#validated = undefined
    if (refused !== undefined) this.#handlers.refused(refused)
  }

  /** The board loses its power or is reset from outside: nobody is told, and nothing is noted. */
  abandon(): void {
    this.#request = undefined
    this.#validated = undefined
  }
}

const refusal = (error: number): UpdateError => ({ error, message: systemErrorMessage(error) })

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index])
}
