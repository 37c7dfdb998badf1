/** Why a file is not taken into the catalogue, or a change of it not made. */

export type ImportErrorCode =
  /** Not a module file, damaged, or for nothing that is known. */
  | 'module'
  /** Larger than any module, or unpacks to more than it may. */
  | 'too-large'
  /** An archive that cannot be read, or with names that lead out of it. */
  | 'archive'
  /** Which release it belongs to is not said anywhere. */
  | 'unknown-release'
  /** Two things say different about it. */
  | 'conflict'
  /** The release has another file for this module. */
  | 'different-file'
  | 'unreadable'
  | 'state'
  /** There is no such release. */
  | 'not-found'
  /** It came with the cloud, and cannot be removed. */
  | 'built-in'
  /** Another process has the folder. */
  | 'in-use'

export class ImportError extends Error {
  override readonly name = 'ImportError'
  readonly code: ImportErrorCode

  constructor(code: ImportErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause })
    this.code = code
  }
}
