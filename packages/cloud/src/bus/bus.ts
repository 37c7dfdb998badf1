/** What joins the parts of the cloud: in this process now, between nodes later. */
import type { CloudEvent } from '../events/event.ts'

export interface Bus {
  /** Hands the event to every subscriber, in order of subscription, before it returns. */
  publish(event: CloudEvent): void
  /** @returns a function that ends the subscription */
  subscribe(handler: (event: CloudEvent) => void): () => void
}

/**
 * A bus within one process.
 *
 * @param onError told what a subscriber threw; the other subscribers still get the event
 */
export function createLocalBus(onError: (error: unknown, event: CloudEvent) => void): Bus {
  let handlers: readonly ((event: CloudEvent) => void)[] = []
  return {
    publish(event) {
      for (const handler of handlers) {
        try {
          handler(event)
        } catch (error) {
          onError(error, event)
        }
      }
    },
    subscribe(handler) {
      // Wrapped, so that the same function subscribed twice ends one subscription at a time.
      const own = (event: CloudEvent): void => handler(event)
      handlers = [...handlers, own]
      return () => {
        handlers = handlers.filter((other) => other !== own)
      }
    },
  }
}
