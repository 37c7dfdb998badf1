/** What the cloud derives from a device's record: small answers and event data. */
import { randomBytes } from 'node:crypto'
import type { SystemDescribe } from '@aloe/firmware'
import type { DeviceRecord } from '../devices/device.ts'

/** Answers of the conventions in device-protocol.md 3.16. */
export function answerQuestion(
  about: 'name' | 'ip' | 'random',
  device: DeviceRecord,
  address: string,
): string | Uint8Array {
  switch (about) {
    case 'name':
      return device.name ?? ''
    case 'ip':
      return address
    case 'random':
      return randomBytes(40)
  }
}

/**
 * The hash of the device's application when it is another valid one than before, for `spark/device/app-hash`
 * (modules-and-platforms.md 5.5: only when it changed and the application is valid).
 */
export function newAppHash(before: SystemDescribe | null | undefined, now: SystemDescribe): string | undefined {
  const hash = validAppHash(now)
  return hash !== undefined && hash !== (before ? validAppHash(before) : undefined) ? hash : undefined
}

function validAppHash(describe: SystemDescribe): string | undefined {
  return describe.modules.find((m) => m.function === 'user_part' && m.store === 'main' && m.checked === m.passed)?.hash
}
