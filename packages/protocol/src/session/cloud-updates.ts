/** The update that a session carries at the cloud's end: one at a time, by the transfer that the device knows. */
import type { CoapMessage } from '../coap/message.ts'
import { type Hello, helloFlag } from '../messages/hello.ts'
import type { Millis } from '../time.ts'
import { ChunkedSender } from '../transfer/chunked-sender.ts'
import { systemError } from '../transfer/system-error.ts'
import type { SenderHandlers, TransferLink } from '../transfer/transfer.ts'
import { WindowedSender } from '../transfer/windowed-sender.ts'

export interface UpdateOptions {
  /** Numeric module function, for files that are not modules: 9 for an asset. */
  readonly moduleFunction?: number
  /** Make the device forget what it has of an earlier attempt. */
  readonly discard?: boolean
}

export interface UpdateHandle {
  /** Gives the update up, and tells the device if its transfer has a message for that. False when it had ended. */
  cancel(now: Millis): boolean
}

type Sender = WindowedSender | ChunkedSender

export class CloudUpdates {
  #sender: Sender | undefined
  #active = false

  /** True while an update runs. */
  get active(): boolean {
    return this.#active
  }

  /** Starts an update; when it cannot, `handlers.done` is told at once. */
  start(
    link: TransferLink,
    hello: Hello | undefined,
    file: Uint8Array,
    options: UpdateOptions,
    now: Millis,
    handlers: SenderHandlers,
  ): UpdateHandle {
    if (!hello) return failed(handlers, systemError.invalidState, 'the device is not connected')
    if (this.#active) return failed(handlers, systemError.busy, 'another update of the device is running')
    const observed: SenderHandlers = {
      accepted: (offset) => handlers.accepted?.(offset),
      progress: (bytes, total) => handlers.progress?.(bytes, total),
      done: (result) => {
        this.#active = false
        handlers.done(result)
      },
    }
    let sender: Sender
    try {
      sender = this.#make(link, hello, file, options, observed)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      return failed(handlers, systemError.invalidSize, error.message)
    }
    this.#sender = sender
    this.#active = true
    sender.start(now)
    return {
      cancel: (at) => {
        if (!this.#active || this.#sender !== sender) return false
        sender.cancel(at)
        return true
      },
    }
  }

  /** True when the message belonged to the update, also to one that has just ended. */
  receive(message: CoapMessage, now: Millis): boolean {
    return this.#sender?.receive(message, now) ?? false
  }

  poll(now: Millis): void {
    if (this.#active) this.#sender?.poll(now)
  }

  nextDeadline(): Millis | undefined {
    return this.#active ? this.#sender?.nextDeadline() : undefined
  }

  /** The connection is lost. */
  close(): void {
    if (this.#active) this.#sender?.disconnected()
    this.#sender = undefined
  }

  /** The Hello's flag decides, not the version: some new devices know only the old transfer (device-protocol.md 8.1). */
  #make(link: TransferLink, hello: Hello, file: Uint8Array, options: UpdateOptions, handlers: SenderHandlers): Sender {
    if (hello.flags & helloFlag.otaV3) return new WindowedSender(link, file, options, handlers)
    return new ChunkedSender(link, file, {}, handlers)
  }
}

function failed(handlers: SenderHandlers, error: number, message: string): UpdateHandle {
  handlers.done({ ok: false, code: error, message, stage: 'start' })
  return { cancel: () => false }
}
