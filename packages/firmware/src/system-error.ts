/**
 * Result codes of an update and the general system errors that a device answers with
 * (modules-and-platforms.md 4.3). They travel in the JSON payload of an error response.
 */

export const updateResult = {
  ok: 0,
  /** No slot for the module, or no valid prefix where one is expected. */
  moduleNotFound: -1300,
  /** A compressed module of a function that cannot be; NCP where it cannot be updated; too many combined. */
  unsupportedModule: -1310,
  validationFailed: -1320,
  /** CRC-32, or SHA-256 of the transferred file. */
  integrityCheckFailed: -1330,
  /** The final hash of a resumed transfer is wrong: begin again at offset 0. */
  resumedUpdateFailed: -1331,
  dependencyCheckFailed: -1340,
  invalidAddress: -1350,
  /** Size 0, or larger than the OTA region. */
  invalidSize: -1351,
  invalidPlatform: -1360,
  /** For example a vector table before a module that says DROP_MODULE_INFO or COMPRESSED. */
  invalidFormat: -1370,
  /** System.disableUpdates() and not forced. */
  updatesDisabled: -1380,
  error: -1390,
  /** Device protection forbids it. */
  protected: -1801,
  busy: -110,
  notSupported: -120,
  notAllowed: -130,
  timeout: -160,
  notFound: -170,
  tooLarge: -190,
  invalidState: -210,
  flashIo: -219,
  protocol: -240,
  noMemory: -260,
  invalidArgument: -270,
  badData: -280,
} as const

export type UpdateResult = (typeof updateResult)[keyof typeof updateResult]

const messages: Readonly<Record<number, string>> = {
  [updateResult.ok]: 'OK',
  [updateResult.moduleNotFound]: 'Module not found',
  [updateResult.unsupportedModule]: 'Unsupported module',
  [updateResult.validationFailed]: 'Module validation failed',
  [updateResult.integrityCheckFailed]: 'Integrity check failed',
  [updateResult.resumedUpdateFailed]: 'Resumed update failed',
  [updateResult.dependencyCheckFailed]: 'Dependency check failed',
  [updateResult.invalidAddress]: 'Invalid module address',
  [updateResult.invalidSize]: 'Invalid module size',
  [updateResult.invalidPlatform]: 'Invalid platform',
  [updateResult.invalidFormat]: 'Invalid module format',
  [updateResult.updatesDisabled]: 'Updates are disabled',
  [updateResult.error]: 'Update error',
  [updateResult.protected]: 'Device is protected',
  [updateResult.busy]: 'Busy',
  [updateResult.notSupported]: 'Not supported',
  [updateResult.notAllowed]: 'Not allowed',
  [updateResult.timeout]: 'Timed out',
  [updateResult.notFound]: 'Not found',
  [updateResult.tooLarge]: 'Too large',
  [updateResult.invalidState]: 'Invalid state',
  [updateResult.flashIo]: 'Flash error',
  [updateResult.protocol]: 'Protocol error',
  [updateResult.noMemory]: 'Out of memory',
  [updateResult.invalidArgument]: 'Invalid argument',
  [updateResult.badData]: 'Bad data',
}

/** Words for a code, our own; an unknown code gives `Error -123`. */
export function systemErrorMessage(code: number): string {
  return messages[code] ?? `Error ${code}`
}
