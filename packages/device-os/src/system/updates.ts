/**
 * Updates on the device's side: what is let in, where it is put together, what becomes of it
 * (modules-and-platforms.md 4.3, 4.4).
 */
import {
  installedModule,
  systemErrorMessage,
  type UpdateValidation,
  updateResult,
  validateUpdate,
} from '@aloe/firmware'
import type { UpdateError, UpdateRequest, UpdateTarget } from '@aloe/protocol'
import type { Flash } from '../flash/flash.ts'
import { isStorageError } from '../storage/storage.ts'

export interface UpdateHandlers {
  /** Whether updates are let in now: enabled by the application, or forced by the owner. */
  allowed(): boolean
  begun(): void
  /** A part has come. */
  progress(): void
  failed(error: number, message: string): void
  /** The file is with the bootloader: the device has to reset. */
  applied(): void
}

const assetFunction = 9

export class Updates implements UpdateTarget {
  readonly #flash: Flash
  readonly #handlers: UpdateHandlers
  #active = false
  /** The validated file. */
  #file: Uint8Array | undefined
  /** It is an asset, and not for the bootloader. */
  #asset = false
  /** Why the file, which is here, was found to be of no use. */
  #refusal: UpdateError | undefined
  /** The flash did not take a part of the file: it is full, or broken. */
  #notStored: UpdateError | undefined

  constructor(flash: Flash, handlers: UpdateHandlers) {
    this.#flash = flash
    this.#handlers = handlers
  }

  get active(): boolean {
    return this.#active
  }

  begin(request: UpdateRequest): { readonly offset: number } | UpdateError {
    if (!this.#handlers.allowed()) return refusal(updateResult.updatesDisabled)
    if (this.#active) return refusal(updateResult.invalidState)
    if (request.moduleFunction === assetFunction && !this.#flash.platform.assets) {
      return refusal(updateResult.unsupportedModule)
    }
    const { size, sha256, discard } = request
    const begun = this.#storing(() => {
      const offset = this.#flash.staging.begin({ size, discard, ...(sha256 && { sha256 }) })
      // An earlier module that still waits for a reset is lost (4.5).
      if (!('error' in offset)) this.#flash.clearPending()
      return offset
    })
    if ('error' in begun) return 'message' in begun ? begun : refusal(begun.error)
    this.#active = true
    this.#notStored = undefined
    this.#file = undefined
    this.#refusal = undefined
    this.#handlers.begun()
    return begun
  }

  write(offset: number, bytes: Uint8Array): void {
    if (this.#notStored) return
    const failure = this.#storing(() => this.#flash.staging.write(offset, bytes))
    if (failure) this.#notStored = failure
    else this.#handlers.progress()
  }

  /** Tests the file as a whole and every module in it against what is installed. */
  finish(): { readonly ok: true } | UpdateError {
    if (this.#notStored) return this.#notStored
    const { staging, platform } = this.#flash
    const check = staging.check()
    if (!check.ok) return this.#refuse(refusal(check.error), staging.complete)
    const file = staging.bytes()
    const installed = this.#flash.installed().map((module) => installedModule(module))
    const { result, message, modules } = validateUpdate(file, platform, installed)
    if (result !== updateResult.ok) return this.#refuse({ error: result, message }, staging.complete)
    // Assets are tested by their own store (4.7).
    this.#asset = isAsset(modules)
    const stored = this.#asset ? this.#flash.assets.check(file) : updateResult.ok
    if (stored !== updateResult.ok) return this.#refuse(refusal(stored), staging.complete)
    this.#refusal = undefined
    this.#file = file
    return { ok: true }
  }

  apply(): void {
    const file = this.#file
    if (file === undefined) return
    const result = this.#storing(() => (this.#asset ? this.#flash.addAsset(file) : this.#flash.addPending(file)))
    this.#end(true)
    if (result === updateResult.ok) this.#handlers.applied()
    else if (typeof result === 'number') this.#handlers.failed(result, systemErrorMessage(result))
    else this.#handlers.failed(result.error, result.message)
  }

  cancel(discard: boolean): void {
    if (!this.#active) return
    // A file that was refused as a whole is of no use to a later attempt. One that is whole, and whose result the cloud
    // could not acknowledge any more, is: the next attempt resumes at its end.
    const why = this.#refusal ?? this.#notStored
    this.#end(discard || why !== undefined)
    if (why) this.#handlers.failed(why.error, why.message ?? systemErrorMessage(why.error))
    else this.#handlers.failed(updateResult.error, 'the update was cancelled')
  }

  #refuse(error: UpdateError, whole: boolean): UpdateError {
    this.#refusal = whole ? error : undefined
    return error
  }

  #end(discard: boolean): void {
    this.#active = false
    this.#file = undefined
    this.#storing(() => (discard ? this.#flash.staging.discard() : this.#flash.staging.suspend()))
  }

  /** Does what writes the flash. A flash that is full ends the update, not the system; what it held of it makes room. */
  #storing<T>(work: () => T): T | (UpdateError & { readonly message: string }) {
    try {
      return work()
    } catch (error) {
      if (!isStorageError(error)) throw error
      this.#flash.staging.discard()
      return { error: updateResult.error, message: `the flash does not take it: ${error.message}` }
    }
  }
}

function isAsset(modules: UpdateValidation['modules']): boolean {
  return modules.length === 1 && modules[0]?.module?.function === 'asset'
}

const refusal = (error: number): UpdateError => ({ error, message: systemErrorMessage(error) })
