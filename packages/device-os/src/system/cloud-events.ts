/** What the cloud tells a device through events (device-protocol.md 3.16). Pure. */
import { cloudSystemEvent } from '@aloe/protocol'

export type CloudCommand =
  | { readonly kind: 'restart' }
  | { readonly kind: 'safe mode' }
  | { readonly kind: 'reconnect' }
  | { readonly kind: 'unsupported'; readonly what: string }
  | { readonly kind: 'updates forced'; readonly on: boolean }
  | { readonly kind: 'updates pending'; readonly on: boolean }
  | { readonly kind: 'claimed' }

const decoder = new TextDecoder()

/** Boards compare only as many characters as there are, so that no data counts as true. */
const isTrue = (data: string): boolean => 'true'.startsWith(data)

function resetCommand(data: string): CloudCommand {
  if (data === 'reboot') return { kind: 'restart' }
  if (data === 'safe mode') return { kind: 'safe mode' }
  if (data === 'network') return { kind: 'reconnect' }
  return { kind: 'unsupported', what: `reset to ${JSON.stringify(data)}` }
}

/** The command in an event; undefined for events that are none. */
export function cloudCommand(name: string, data: Uint8Array): CloudCommand | undefined {
  const text = decoder.decode(data)
  if (name === cloudSystemEvent.reset) return resetCommand(text)
  if (name === cloudSystemEvent.updatesForced) return { kind: 'updates forced', on: isTrue(text) }
  if (name === cloudSystemEvent.updatesPending) return { kind: 'updates pending', on: isTrue(text) }
  if (name.startsWith(cloudSystemEvent.claim)) return { kind: 'claimed' }
  if (name.startsWith(cloudSystemEvent.keyRestore)) return { kind: 'unsupported', what: 'restore of the server key' }
  return undefined
}
