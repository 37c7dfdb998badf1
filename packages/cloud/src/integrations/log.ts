/** What a webhook's owner can see of its last deliveries. In memory: counters and logs are no durable state. */

export type DeliveryOutcome = 'success' | 'error' | 'sleep'

export interface LoggedDelivery {
  readonly time: number
  readonly type: DeliveryOutcome
  readonly event: { readonly name: string; readonly data: string | null; readonly coreid: string }
  readonly attempt: number
  /** Milliseconds that it took. */
  readonly duration: number
  /** Method, URL and body, without headers, which hold credentials. */
  readonly request: string
  readonly response: string
}

export interface DayCounter {
  /** UTC, "2026-11-21". */
  readonly date: string
  success: number
  error: number
  sleep: number
}

const keptLogs = 10
const keptDays = 7
const keptText = 1_024

export class DeliveryLog {
  readonly #logs: LoggedDelivery[] = []
  readonly #days: DayCounter[] = []
  /** Days since 1970 of the newest. */
  #day = 0

  add(entry: LoggedDelivery): void {
    this.#today(entry.time)[entry.type]++
    const { event } = entry
    this.#logs.unshift({
      ...entry,
      event: { ...event, data: event.data === null ? null : cut(event.data) },
      request: cut(entry.request),
      response: cut(entry.response),
    })
    if (this.#logs.length > keptLogs) this.#logs.pop()
  }

  /** The newest first. */
  get logs(): readonly LoggedDelivery[] {
    return this.#logs
  }

  /** The newest day first, of the last seven on which something happened. */
  get days(): readonly DayCounter[] {
    return this.#days
  }

  #today(time: number): DayCounter {
    const [newest] = this.#days
    const number = Math.floor(time / 86_400_000)
    if (newest && number === this.#day) return newest
    this.#day = number
    const date = new Date(time).toISOString().slice(0, 10)
    const day = { date, success: 0, error: 0, sleep: 0 }
    this.#days.unshift(day)
    if (this.#days.length > keptDays) this.#days.pop()
    return day
  }
}

function cut(text: string): string {
  return text.length > keptText ? `${text.slice(0, keptText)}…` : text
}
