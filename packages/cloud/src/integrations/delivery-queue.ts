/**
 * What is to be sent, to whom next, and what becomes of it.
 *
 * Each integration has a lane, and lanes take turns, so that one with thousands waiting does not keep the others from
 * theirs. A lane whose host has all the connections it may have waits at the host until one is free.
 */
import type { Clock, TimerHandle } from '../clock.ts'
import { newId } from '../store/id.ts'
import type { Delivery } from './delivery.ts'
import type { DeliveryStore } from './delivery-store.ts'
import { DueHeap } from './due-heap.ts'
import type { Integration, TriggeringEvent } from './integration.ts'
import type { OutgoingRequest } from './request.ts'
import { type RetryLimits, readRetryAfter, retryPause } from './retries.ts'
import { SendError, type Sender, type WebhookResponse } from './sender.ts'
import { TemplateError } from './template.ts'
import { HostThrottle } from './throttle.ts'

export interface QueueLimits extends RetryLimits {
  /** Requests under way at a time, in all and to one host and port. */
  readonly concurrency: number
  readonly concurrencyPerHost: number
  /** Deliveries that wait, for one integration and in all. What comes when it is full is not taken. */
  readonly waitingPerIntegration: number
  readonly waiting: number
  /** Bytes of the events of all that wait. */
  readonly waitingBytes: number
  /** Dead letters kept for one integration; the oldest go first. */
  readonly deadLetters: number
}

export const defaultQueueLimits: QueueLimits = {
  attempts: 8,
  longestPause: 60 * 60_000,
  concurrency: 200,
  concurrencyPerHost: 20,
  waitingPerIntegration: 5_000,
  waiting: 50_000,
  waitingBytes: 64 * 1024 * 1024,
  deadLetters: 1_000,
}

/** What became of a try. */
export type Outcome =
  | { readonly type: 'success'; readonly response: WebhookResponse }
  /** `final`: it is not tried again. */
  | { readonly type: 'error'; readonly text: string; readonly response?: WebhookResponse; readonly final: boolean }
  | { readonly type: 'sleep'; readonly final: boolean }

export interface Try {
  readonly delivery: Delivery
  readonly integration: Integration
  /** Undefined when none could be made. */
  readonly request: OutgoingRequest | undefined
  readonly startedAt: number
}

export interface QueueOptions {
  readonly store: DeliveryStore
  readonly sender: Sender
  readonly clock: Clock
  /** From 0 to 1. */
  readonly random: () => number
  readonly limits: QueueLimits
  /** The integration of a delivery, as it is now. */
  integration(id: string): Integration | undefined
  /** @throws TemplateError */
  request(integration: Integration, event: TriggeringEvent): OutgoingRequest
  /** The request has left. */
  sent(attempt: Try): void
  /** A try has ended. */
  ended(attempt: Try, outcome: Outcome): void
  readonly onError: (error: unknown) => void
}

interface Lane {
  readonly id: string
  ready: Delivery[]
  /** All that wait or are under way. */
  size: number
  /** It is in the row of those that have their turn, or waits at a host. */
  queued: boolean
}

interface Host {
  active: number
  readonly parked: Lane[]
}

export class DeliveryQueue {
  readonly #options: QueueOptions
  readonly #throttle = new HostThrottle()
  readonly #lanes = new Map<string, Lane>()
  readonly #hosts = new Map<string, Host>()
  readonly #later = new DueHeap<Delivery>()
  readonly #live = new Set<Delivery>()
  readonly #running = new Set<Promise<void>>()
  #turns: Lane[] = []
  #bytes = 0
  #active = 0
  #timer: TimerHandle | undefined
  #pumping: NodeJS.Immediate | undefined
  #closing = false

  constructor(options: QueueOptions) {
    this.#options = options
  }

  /** Deliveries that wait or are under way. */
  get size(): number {
    return this.#live.size
  }

  /** Requests under way. */
  get active(): number {
    return this.#active
  }

  sizeOf(integrationId: string): number {
    return this.#lanes.get(integrationId)?.size ?? 0
  }

  /**
   * Takes an event for an integration. Hot: the request is made later.
   *
   * @returns false when the queue is full, and nothing was taken
   */
  add(integration: Integration, event: TriggeringEvent): boolean {
    const { limits, clock, store } = this.#options
    const full =
      this.sizeOf(integration.id) >= limits.waitingPerIntegration ||
      this.#live.size >= limits.waiting ||
      this.#bytes >= limits.waitingBytes
    if (full || this.#closing) return false
    const now = clock.now()
    const delivery: Delivery = {
      id: newId(),
      integrationId: integration.id,
      event,
      attempts: 0,
      dueAt: now,
      error: null,
      createdAt: now,
    }
    store.save(delivery)
    this.take(delivery)
    return true
  }

  /** Takes a delivery that is in the store already: over from a process that has ended, or back from the dead. */
  take(delivery: Delivery): void {
    const { integrationId: id } = delivery
    let lane = this.#lanes.get(id)
    if (!lane) {
      lane = { id, ready: [], size: 0, queued: false }
      this.#lanes.set(id, lane)
    }
    lane.size++
    this.#live.add(delivery)
    this.#bytes += sizeOf(delivery)
    if (delivery.dueAt <= this.#options.clock.now()) this.#ready(lane, delivery)
    else this.#postpone(delivery)
  }

  /** Nothing more is sent for this integration; what is under way ends, and is forgotten. */
  forget(integrationId: string): void {
    const lane = this.#lanes.get(integrationId)
    if (!lane) return
    lane.ready = []
    for (const delivery of this.#live) if (delivery.integrationId === integrationId) this.#drop(delivery)
  }

  /** Ends what is under way, which will be tried again after the next start. */
  async close(): Promise<void> {
    this.#closing = true
    this.#options.clock.clearTimeout(this.#timer)
    clearImmediate(this.#pumping)
    this.#options.sender.close()
    await Promise.all(this.#running)
  }

  /** Resolves when nothing is under way. For tests. */
  async idle(): Promise<void> {
    while (this.#running.size > 0 || this.#pumping) await new Promise((resolve) => setImmediate(resolve))
  }

  #ready(lane: Lane, delivery: Delivery): void {
    lane.ready.push(delivery)
    this.#queue(lane)
  }

  #queue(lane: Lane): void {
    if (lane.queued || lane.ready.length === 0) return
    lane.queued = true
    this.#turns.push(lane)
    this.#pumpSoon()
  }

  #pumpSoon(): void {
    if (this.#pumping || this.#closing) return
    this.#pumping = setImmediate(() => {
      this.#pumping = undefined
      this.#pump()
    })
  }

  #pump(): void {
    const { limits } = this.#options
    let turns = this.#turns
    let at = 0
    this.#turns = []
    while (at < turns.length && this.#active < limits.concurrency && !this.#closing) {
      const lane = turns[at++]
      if (!lane) continue
      lane.queued = false
      this.#turn(lane)
      if (at === turns.length) {
        turns = this.#turns
        this.#turns = []
        at = 0
      }
    }
    this.#turns = [...turns.slice(at), ...this.#turns]
  }

  /** Starts the lane's first delivery, or finds out that it cannot be sent. */
  #turn(lane: Lane): void {
    const [delivery] = lane.ready
    if (!delivery) {
      if (lane.size === 0) this.#lanes.delete(lane.id)
      return
    }
    const { clock, limits, integration: find } = this.#options
    const integration = find(lane.id)
    if (!integration) {
      this.forget(lane.id)
      return
    }
    const startedAt = clock.now()
    let request: OutgoingRequest
    try {
      if (integration.settings.disabled) throw new TemplateError('the webhook is disabled')
      request = this.#options.request(integration, delivery.event)
    } catch (error) {
      lane.ready.shift()
      this.#queue(lane)
      const text = `error ${error instanceof Error ? error.message : String(error)}`
      this.#failed({ delivery, integration, request: undefined, startedAt }, text, { permanent: true })
      return
    }
    const attempt: Try = { delivery, integration, request, startedAt }
    const { host: place, hostname } = request.url
    const sleeps = this.#throttle.sleeps(hostname, startedAt)
    if (sleeps > 0) {
      lane.ready.shift()
      this.#queue(lane)
      this.#slept(attempt, sleeps)
      return
    }
    let host = this.#hosts.get(place)
    if (!host) {
      host = { active: 0, parked: [] }
      this.#hosts.set(place, host)
    }
    if (host.active >= limits.concurrencyPerHost) {
      lane.queued = true
      host.parked.push(lane)
      return
    }
    lane.ready.shift()
    this.#queue(lane)
    host.active++
    this.#active++
    const run = this.#run(attempt, request).finally(() => {
      this.#running.delete(run)
      this.#active--
      host.active--
      this.#unpark(place, host)
      if (this.#turns.length > 0) this.#pumpSoon()
    })
    this.#running.add(run)
  }

  /** As many lanes as there is room for get their turn; all of them when nobody is left who could wake them. */
  #unpark(place: string, host: Host): void {
    const room = host.active === 0 ? host.parked.length : this.#options.limits.concurrencyPerHost - host.active
    for (const lane of host.parked.splice(0, room)) {
      lane.queued = false
      if (lane.ready.length > 0) this.#queue(lane)
      else if (lane.size === 0) this.#lanes.delete(lane.id)
    }
    if (host.active === 0) this.#hosts.delete(place)
  }

  async #run(attempt: Try, request: OutgoingRequest): Promise<void> {
    const { sender, clock } = this.#options
    const { hostname } = request.url
    try {
      const headers = { ...request.headers, 'x-aloe-delivery': attempt.delivery.id }
      const response = await sender.send(
        { ...request, headers },
        { sent: () => this.#tell(() => this.#options.sent(attempt)) },
      )
      const now = clock.now()
      if (response.status >= 200 && response.status < 300) {
        this.#throttle.success(hostname, now)
        this.#succeeded(attempt, response)
        return
      }
      this.#throttle.failure(hostname, now)
      const asked = readRetryAfter(response.retryAfter, now)
      this.#failed(attempt, `error status ${response.status} from ${response.host}`, {
        response,
        ...(asked !== undefined && { asked }),
      })
    } catch (error) {
      // The sender throws nothing else.
      if (!(error instanceof SendError)) throw error
      // It was not the host that failed.
      if (error.code === 'ALOE_STOPPED') return
      if (!error.permanent) this.#throttle.failure(hostname, clock.now())
      const what = error.code.startsWith('ALOE_') ? error.message : `${error.code} from ${error.host}`
      this.#failed(attempt, `error ${what}`, { permanent: error.permanent })
    }
  }

  #succeeded(attempt: Try, response: WebhookResponse): void {
    const { delivery } = attempt
    delivery.attempts++
    this.#drop(delivery)
    this.#tell(() => this.#options.ended(attempt, { type: 'success', response }))
  }

  /** What others do with it must not stop the queue. */
  #tell(tell: () => void): void {
    try {
      tell()
    } catch (error) {
      this.#options.onError(error)
    }
  }

  #failed(
    attempt: Try,
    text: string,
    { permanent = false, asked, response }: { permanent?: boolean; asked?: number; response?: WebhookResponse },
  ): void {
    const final = this.#again(attempt, text, permanent, asked)
    this.#tell(() => this.#options.ended(attempt, { type: 'error', text, final, ...(response && { response }) }))
  }

  /** The host is left alone for now: this counts as a try, and comes back when others would. */
  #slept(attempt: Try, sleeps: number): void {
    const final = this.#again(attempt, 'the host had too many errors', false, sleeps)
    this.#tell(() => this.#options.ended(attempt, { type: 'sleep', final }))
  }

  /** @returns whether there is no further try */
  #again({ delivery }: Try, error: string, permanent: boolean, asked?: number): boolean {
    const { clock, limits, random, store } = this.#options
    // Deleted meanwhile.
    if (!this.#live.has(delivery)) return true
    delivery.attempts++
    delivery.error = error
    const pause = permanent ? undefined : retryPause(delivery.attempts, limits, random(), asked)
    if (pause === undefined) {
      delivery.dueAt = clock.now()
      this.#leave(delivery)
      store.bury(delivery)
      return true
    }
    delivery.dueAt = clock.now() + pause
    store.save(delivery)
    this.#postpone(delivery)
    return false
  }

  #postpone(delivery: Delivery): void {
    this.#later.push(delivery)
    if (this.#later.first === delivery) this.#arm()
  }

  #arm(): void {
    const { clock } = this.#options
    clock.clearTimeout(this.#timer)
    this.#timer = undefined
    const next = this.#later.first
    if (!next || this.#closing) return
    // The longest that a timer can be.
    const wait = Math.min(Math.max(0, next.dueAt - clock.now()), 2 ** 31 - 1)
    this.#timer = clock.setTimeout(() => this.#wake(), wait)
  }

  #wake(): void {
    const now = this.#options.clock.now()
    for (let next = this.#later.first; next && next.dueAt <= now; next = this.#later.first) {
      this.#later.pop()
      const lane = this.#lanes.get(next.integrationId)
      if (lane && this.#live.has(next)) this.#ready(lane, next)
    }
    this.#arm()
  }

  /** It is done, or nobody wants it any more. */
  #drop(delivery: Delivery): void {
    if (this.#leave(delivery)) this.#options.store.remove(delivery.id)
  }

  #leave(delivery: Delivery): boolean {
    if (!this.#live.delete(delivery)) return false
    this.#bytes -= sizeOf(delivery)
    const lane = this.#lanes.get(delivery.integrationId)
    if (lane && --lane.size <= 0 && !lane.queued) this.#lanes.delete(lane.id)
    return true
  }
}

/** Bytes that an event holds, roughly. */
function sizeOf({ event }: Delivery): number {
  return 300 + 2 * (event.data?.length ?? 0)
}
