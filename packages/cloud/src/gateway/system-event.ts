/**
 * What a device tells the cloud through events with reserved names (device-protocol.md 3.16, modules-and-platforms.md
 * 4.6): read here, acted upon by the gateway.
 */

export type SystemEvent =
  /** The device runs no application, because something that it needs is missing or because it was told so. */
  | { readonly kind: 'safe-mode' }
  /** The device was set up by somebody: it belongs to whom the code was made for. */
  | { readonly kind: 'claim'; readonly code: string }
  | { readonly kind: 'updates-flag'; readonly flag: 'enabled' | 'forced'; readonly on: boolean }
  /** The application asks the cloud for something: the answer is an event of the same name. */
  | { readonly kind: 'question'; readonly about: 'name' | 'ip' | 'random' }
  /** Shown to the owner as it is. */
  | { readonly kind: 'shown' }
  /** For the log only. */
  | { readonly kind: 'noted' }

const shown: SystemEvent = { kind: 'shown' }
const noted: SystemEvent = { kind: 'noted' }

/**
 * Reads a device's event with a reserved name. Names that mean nothing to the cloud are `noted`: an application cannot
 * speak under the system's names (3.9).
 */
export function readSystemEvent(name: string, data: string): SystemEvent {
  switch (name.toLowerCase()) {
    case 'spark/device/safemode':
      return { kind: 'safe-mode' }
    case 'spark/device/claim/code':
      return { kind: 'claim', code: data.trim() }
    case 'particle/device/updates/enabled':
      return { kind: 'updates-flag', flag: 'enabled', on: data === 'true' }
    case 'particle/device/updates/forced':
      return { kind: 'updates-flag', flag: 'forced', on: data === 'true' }
    case 'particle/device/name':
    case 'spark/device/name':
      return { kind: 'question', about: 'name' }
    case 'particle/device/ip':
    case 'spark/device/ip':
      return { kind: 'question', about: 'ip' }
    case 'particle/device/random':
    case 'spark/device/random':
      return { kind: 'question', about: 'random' }
    case 'spark/device/last_reset':
      return shown
    default:
      return noted
  }
}
