/** What went wrong with a module file, or with the description of one to be built. */

export type ModuleFormatErrorCode =
  /** The file ends before something that must be there. */
  | 'truncated'
  /** The addresses in the prefix make no sense. */
  | 'address'
  /** The prefix names no function. */
  | 'function'
  /** A dependency without a function has an index or a version. */
  | 'dependency'
  /** The suffix is shorter than a suffix can be, or longer than the file has room for. */
  | 'suffix-size'
  /** An extension is shorter than its own header, or the list does not end. */
  | 'extension'
  /** The stored CRC-32 is not the one of the bytes. */
  | 'crc'
  /** The flags contradict the rest of the module. */
  | 'flags'
  /** The header or stream of a compressed module is damaged. */
  | 'compression'
  /** What would come out is larger than allowed. */
  | 'too-large'
  /** An asset module without a name, without a hash, or with another content than its hash says. */
  | 'asset'
  /** A bundle (zip) is damaged or lacks what a bundle must have. */
  | 'bundle'

/** A file is not a module, or a damaged one. `offset` is where in the file the fault was seen. */
export class ModuleFormatError extends Error {
  override readonly name = 'ModuleFormatError'
  readonly code: ModuleFormatErrorCode
  readonly offset: number

  constructor(code: ModuleFormatErrorCode, offset: number, message: string) {
    super(`${message} (at offset ${offset})`)
    this.code = code
    this.offset = offset
  }
}

/** A module cannot be built as described. `field` names the part of the description that is wrong. */
export class ModuleSpecError extends Error {
  override readonly name = 'ModuleSpecError'
  readonly field: string

  constructor(field: string, message: string) {
    super(`${field}: ${message}`)
    this.field = field
  }
}
