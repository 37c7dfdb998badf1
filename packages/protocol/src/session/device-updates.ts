/** The update that a session receives at the device's end, by the transfer that its Hello announces. */
import type { CoapMessage } from '../coap/message.ts'
import { helloFlag } from '../messages/hello.ts'
import type { Millis } from '../time.ts'
import { ChunkedReceiver } from '../transfer/chunked-receiver.ts'
import type { ReceiverHandlers, TransferLink, UpdateTarget } from '../transfer/transfer.ts'
import { WindowedReceiver } from '../transfer/windowed-receiver.ts'

export interface DeviceUpdates {
  /** True when the message belonged to an update and was answered. */
  receive(message: CoapMessage, now: Millis): boolean
  poll(now: Millis): void
  nextDeadline(): Millis | undefined
  /** The connection is lost: what arrived may be kept for a resume. */
  disconnected(): void
}

/** @param flags of the device's Hello */
export function deviceUpdates(
  flags: number,
  link: TransferLink,
  target: UpdateTarget,
  handlers: ReceiverHandlers,
): DeviceUpdates {
  const Receiver = flags & helloFlag.otaV3 ? WindowedReceiver : ChunkedReceiver
  return new Receiver(link, target, handlers)
}
