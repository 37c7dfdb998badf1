/** Names of the events between devices and the cloud (device-protocol.md 3.16). */

/** From the device. */
export const deviceSystemEvent = {
  claimCode: 'spark/device/claim/code',
  ident: 'spark/device/ident/0',
  maxBinary: 'spark/hardware/max_binary',
  otaChunkSize: 'spark/hardware/ota_chunk_size',
  cc3000PatchVersion: 'spark/cc3000-patch-version',
  safeMode: 'spark/device/safemode',
  lastReset: 'spark/device/last_reset',
  updatesEnabled: 'particle/device/updates/enabled',
  updatesForced: 'particle/device/updates/forced',
  keyError: 'spark/device/key/error',
  otaResult: 'spark/device/ota_result',
} as const

/** From the cloud. */
export const cloudSystemEvent = {
  /** Data: `safe mode`, `dfu`, `reboot` or `network`. */
  reset: 'spark/device/reset',
  /** Data: `true` or `false`, never empty: old devices take empty data for `true`. */
  updatesForced: 'particle/device/updates/forced',
  updatesPending: 'particle/device/updates/pending',
  /** Prefix: the claim code was accepted, the device erases it. */
  claim: 'spark/device/claim/',
  keyRestore: 'spark/device/key/restore',
} as const

/** True for names that belong to the system, upper case or lower: users' events may not use them (3.9). */
export function isSystemEvent(name: string): boolean {
  const first = name.charCodeAt(0) | 0x20
  // 's' and 'p': most names are told apart by their first letter.
  if (first !== 0x73 && first !== 0x70) return false
  const lower = name.slice(0, 8).toLowerCase()
  return lower.startsWith('spark') || lower === 'particle'
}
