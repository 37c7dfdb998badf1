/**
 * Webhooks: from an event on the bus to a request, and from its response back to events (cloud-api.md 1.8).
 *
 * An event becomes a delivery in memory, which is sent at once and written with the next group; what is delivered before
 * that is never written. Deliveries outlive the process, are tried again, and end in a list of dead letters.
 */
import { randomUUID } from 'node:crypto'
import type { Bus } from '../bus/bus.ts'
import { type Clock, systemClock } from '../clock.ts'
import type { CloudEvent } from '../events/event.ts'
import type { Store } from '../store/store.ts'
import type { AddressPolicyOptions } from './addresses.ts'
import type { DeadLetter } from './delivery.ts'
import { DeliveryQueue, defaultQueueLimits, type Outcome, type QueueLimits, type Try } from './delivery-queue.ts'
import { DeliveryStore, leaseLength } from './delivery-store.ts'
import {
  type Integration,
  type IntegrationOwner,
  sameOwner,
  type TriggeringEvent,
  type WebhookSettings,
} from './integration.ts'
import { IntegrationStore } from './integration-store.ts'
import { DeliveryLog } from './log.ts'
import { Matcher } from './matcher.ts'
import { type CompiledWebhook, compileWebhook, type OutgoingRequest } from './request.ts'
import { errorEvents, responseEvents, sentEvent, sleepingText } from './responses.ts'
import { SendError, Sender, type SenderLimits } from './sender.ts'
import { TemplateError } from './template.ts'

export interface IntegrationLimits extends QueueLimits, SenderLimits {
  /** Integrations of one user or product. */
  readonly perOwner: number
}

export interface IntegrationsOptions extends AddressPolicyOptions {
  readonly store: Store
  readonly bus: Bus
  readonly onError: (error: unknown) => void
  readonly clock?: Clock
  /** From 0 to 1. */
  readonly random?: () => number
  readonly limits?: Partial<IntegrationLimits>
  /** Other nodes use the same store: see DeliveryStore. */
  readonly shared?: boolean
}

/** Since the start. */
export interface IntegrationStatistics {
  readonly integrations: number
  /** Tries by what became of them, and deliveries that were not taken or are tried no more. */
  readonly deliveries: {
    readonly success: number
    readonly error: number
    readonly sleep: number
    readonly dropped: number
    readonly dead: number
  }
  /** Deliveries that wait or are under way, and requests under way. */
  readonly waiting: number
  readonly active: number
  readonly deadLetters: number
}

export interface TestResult {
  readonly pass: boolean
  /** What was answered, as it would be published. */
  readonly data: string
  readonly error?: string
}

const fullText = 'error too many events wait for this webhook: this one was not taken'
/** Milliseconds between two events that say so for one webhook. */
const fullTextEvery = 1_000
/** Dead letters that come back at once. */
const revivedAtOnce = 500

export class Integrations {
  readonly #options: IntegrationsOptions
  readonly #clock: Clock
  readonly #limits: IntegrationLimits
  readonly #integrations: IntegrationStore
  readonly #deliveries: DeliveryStore
  readonly #queue: DeliveryQueue
  readonly #sender: Sender
  readonly #matcher = new Matcher()
  readonly #compiled = new WeakMap<Integration, CompiledWebhook>()
  readonly #logs = new Map<string, DeliveryLog>()
  readonly #dead = new Map<string, number>()
  readonly #toldFull = new Map<string, number>()
  readonly #counts = { success: 0, error: 0, sleep: 0, dropped: 0, dead: 0 }
  readonly #unsubscribe: () => void
  #adoption: unknown
  #trimming: Promise<unknown> = Promise.resolve()
  #closed = false

  private constructor(options: IntegrationsOptions, integrations: IntegrationStore, limits: IntegrationLimits) {
    const { store, bus, clock = systemClock, random = Math.random, onError } = options
    this.#options = options
    this.#clock = clock
    this.#limits = limits
    this.#integrations = integrations
    this.#deliveries = new DeliveryStore({
      store,
      clock,
      node: randomUUID(),
      onError,
      ...(options.shared && { shared: true }),
    })
    this.#sender = new Sender({ ...options, clock, limits })
    this.#queue = new DeliveryQueue({
      store: this.#deliveries,
      sender: this.#sender,
      clock,
      random,
      limits,
      integration: (id) => integrations.get(id),
      request: (integration, event) => this.#compile(integration).request(event),
      sent: ({ integration, delivery }) => bus.publish(sentEvent(integration, delivery.event, clock.now())),
      ended: (attempt, outcome) => this.#ended(attempt, outcome),
      onError,
    })
    for (const integration of integrations.all()) this.#matcher.add(integration)
    this.#unsubscribe = bus.subscribe((event) => this.#matcher.forEach(event, (found) => this.#take(found, event)))
  }

  /** Goes on with the deliveries that waited when the last process ended. */
  static async open(options: IntegrationsOptions): Promise<Integrations> {
    const limits = { ...defaultLimits, ...options.limits }
    const now = (options.clock ?? systemClock).now
    const integrations = await IntegrationStore.open({ store: options.store, now, perOwner: limits.perOwner })
    const opened = new Integrations(options, integrations, limits)
    for (const [id, count] of await opened.#deliveries.countDead()) opened.#dead.set(id, count)
    await opened.#adopt()
    if (options.shared) opened.#adoptLater()
    return opened
  }

  /** In the order in which they were made. */
  list(owner: IntegrationOwner): Integration[] {
    return this.#integrations.list(owner)
  }

  /** Undefined also when it is somebody else's. */
  find(id: string, owner: IntegrationOwner): Integration | undefined {
    const integration = this.#integrations.get(id)
    return integration && sameOwner(integration.owner, owner) ? integration : undefined
  }

  /** @throws IntegrationError when the owner has too many */
  async create(owner: IntegrationOwner, settings: WebhookSettings): Promise<Integration> {
    const integration = await this.#integrations.create(owner, settings)
    this.#matcher.add(integration)
    return integration
  }

  /** What waits for it is sent as it is from now on. @returns undefined when it was deleted meanwhile */
  async replace(before: Integration, settings: WebhookSettings): Promise<Integration | undefined> {
    const after = await this.#integrations.replace(before.id, settings)
    this.#matcher.remove(before)
    if (after) this.#matcher.add(after)
    return after
  }

  /** With all that waits for it, and its dead letters. */
  async delete(integration: Integration): Promise<void> {
    await this.#integrations.delete(integration.id)
    await this.#forget(integration)
  }

  /** The user or the product is no more: neither are its integrations. */
  async ownerDeleted(owner: IntegrationOwner): Promise<void> {
    for (const integration of this.list(owner)) await this.delete(integration)
  }

  /** What became of its last deliveries. */
  log({ id }: Integration): Pick<DeliveryLog, 'logs' | 'days'> {
    return this.#logs.get(id) ?? new DeliveryLog()
  }

  waiting({ id }: Integration): number {
    return this.#queue.sizeOf(id)
  }

  deadCount({ id }: Integration): number {
    return this.#dead.get(id) ?? 0
  }

  statistics(): IntegrationStatistics {
    return {
      integrations: this.#integrations.size,
      deliveries: { ...this.#counts },
      waiting: this.#queue.size,
      active: this.#queue.active,
      deadLetters: [...this.#dead.values()].reduce((sum, count) => sum + count, 0),
    }
  }

  /** Why a webhook to this URL would be refused, as far as the URL tells; undefined when it would not. */
  refusal(url: string): string | undefined {
    const { hostname } = URL.parse(url) ?? { hostname: '' }
    try {
      this.#sender.policy.checkLiteral(hostname === 'localhost' ? '127.0.0.1' : hostname)
      return undefined
    } catch (error) {
      return error instanceof Error ? error.message : String(error)
    }
  }

  /** Sends one request, at once and once, whatever waits; no event tells of it. */
  async test(integration: Integration, { data, coreid }: { data: string; coreid: string }): Promise<TestResult> {
    const { owner, settings } = integration
    const product = owner.kind === 'product' ? { productId: owner.productId } : { owner: owner.userId }
    const startedAt = this.#clock.now()
    const event: TriggeringEvent = { name: settings.event, data, publishedAt: startedAt, coreid, ...product }
    let request: OutgoingRequest | undefined
    const logged = (type: 'success' | 'error', response: string): void =>
      this.#logOf(integration).add({ ...this.#logged(event, request, startedAt), type, attempt: 1, response })
    try {
      request = this.#compile(integration).request(event)
      const response = await this.#sender.send(request)
      const pass = response.status >= 200 && response.status < 300
      logged(pass ? 'success' : 'error', `${response.status} ${response.body}`)
      if (!pass) return { pass, data: response.body, error: `error status ${response.status} from ${response.host}` }
      return { pass, data: this.#compile(integration).responseText(event, response.body) }
    } catch (error) {
      if (!(error instanceof SendError || error instanceof TemplateError)) throw error
      logged('error', error.message)
      return { pass: false, data: '', error: error.message }
    }
  }

  /** The newest first. */
  deadLetters({ id }: Integration, { limit, offset }: { limit: number; offset: number }): Promise<DeadLetter[]> {
    return this.#deliveries.deadLetters(id, limit, offset)
  }

  deadLetter({ id }: Integration, letterId: string): Promise<DeadLetter | undefined> {
    return this.#deliveries.deadLetter(id, letterId)
  }

  /**
   * Sends dead letters again, as the integration is now, with all tries before them.
   *
   * @param letterId one of them, or undefined for all
   * @returns how many
   */
  async replay({ id }: Integration, letterId?: string): Promise<number> {
    let count = 0
    for (;;) {
      const room = Math.min(revivedAtOnce, this.#limits.waitingPerIntegration - this.#queue.sizeOf(id))
      if (room <= 0) break
      const revived = await this.#deliveries.revive(id, letterId, room)
      this.#count(id, -revived.length)
      for (const delivery of revived) this.#queue.take(delivery)
      count += revived.length
      if (revived.length < room) break
    }
    return count
  }

  /** @returns how many there were */
  async deleteDeadLetters({ id }: Integration, letterId?: string): Promise<number> {
    const count = await this.#deliveries.deleteDead(id, letterId)
    this.#count(id, -count)
    return count
  }

  /** Breaks off what is under way, and writes what waits. */
  async close(): Promise<void> {
    this.#closed = true
    this.#unsubscribe()
    this.#clock.clearTimeout(this.#adoption)
    await this.#queue.close()
    await this.#trimming
    await this.#deliveries.close()
  }

  /** Resolves when nothing is under way and all is written. For tests. */
  async settled(): Promise<void> {
    await this.#queue.idle()
    await this.#deliveries.flush()
    await this.#trimming
  }

  /** Hot: for every event that triggers something. */
  #take(integration: Integration, event: CloudEvent): void {
    const { name, data, publishedAt, coreid, owner, productId, version } = event
    const ofProduct = integration.owner.kind === 'product'
    const taken = this.#queue.add(integration, {
      name,
      data,
      publishedAt,
      coreid,
      ...(owner !== undefined && { owner }),
      ...(ofProduct && productId !== undefined && { productId }),
      ...(ofProduct && version !== undefined && { version }),
    })
    if (taken) return
    this.#counts.dropped++
    const now = this.#clock.now()
    if (now - (this.#toldFull.get(integration.id) ?? Number.NEGATIVE_INFINITY) < fullTextEvery) return
    this.#toldFull.set(integration.id, now)
    this.#publish(errorEvents(integration, event, fullText, undefined, now))
  }

  #ended(attempt: Try, outcome: Outcome): void {
    const { delivery, integration, request, startedAt } = attempt
    const { event } = delivery
    const now = this.#clock.now()
    this.#counts[outcome.type]++
    if (outcome.type !== 'success' && outcome.final) this.#died(integration)
    const log = { ...this.#logged(event, request, startedAt), type: outcome.type, attempt: delivery.attempts }
    if (outcome.type === 'success') {
      const { response } = outcome
      this.#logOf(integration).add({ ...log, response: `${response.status} ${response.body}` })
      const compiled = this.#compile(integration)
      let text: string
      try {
        text = compiled.responseText(event, response.body)
      } catch (error) {
        if (!(error instanceof TemplateError)) throw error
        this.#publish(errorEvents(integration, event, `error responseTemplate: ${error.message}`, undefined, now))
        return
      }
      this.#publish(
        responseEvents(
          integration,
          event,
          text,
          topicOf(() => compiled.responseTopic(event)),
          now,
        ),
      )
      return
    }
    const text = outcome.type === 'sleep' ? sleepingText : outcome.text
    const body = outcome.type === 'error' && outcome.response ? ` ${outcome.response.body}` : ''
    this.#logOf(integration).add({ ...log, response: `${text}${body}` })
    const topic = topicOf(() => this.#compile(integration).errorTopic(event))
    this.#publish(errorEvents(integration, event, text, topic, now))
  }

  #died({ id }: Integration): void {
    this.#counts.dead++
    // Deleted meanwhile: its letters went with it.
    if (!this.#integrations.get(id)) return
    this.#count(id, 1)
    const { deadLetters } = this.#limits
    if ((this.#dead.get(id) ?? 0) <= deadLetters) return
    this.#dead.set(id, deadLetters)
    this.#trimming = this.#trimming.then(() => this.#deliveries.trimDead(id, deadLetters).catch(this.#options.onError))
  }

  #count(id: string, more: number): void {
    const count = (this.#dead.get(id) ?? 0) + more
    if (count > 0) this.#dead.set(id, count)
    else this.#dead.delete(id)
  }

  async #forget(integration: Integration): Promise<void> {
    const { id } = integration
    this.#matcher.remove(integration)
    this.#queue.forget(id)
    this.#logs.delete(id)
    this.#dead.delete(id)
    this.#toldFull.delete(id)
    await this.#deliveries.forget(id)
  }

  /** Takes over what is nobody's. */
  async #adopt(): Promise<void> {
    for (;;) {
      const deliveries = await this.#deliveries.adopt()
      for (const delivery of deliveries) {
        if (this.#integrations.get(delivery.integrationId)) this.#queue.take(delivery)
        else this.#deliveries.remove(delivery.id)
      }
      if (deliveries.length === 0) return
    }
  }

  #adoptLater(): void {
    this.#adoption = this.#clock.setTimeout(() => {
      this.#adopt()
        .catch(this.#options.onError)
        .finally(() => {
          if (!this.#closed) this.#adoptLater()
        })
    }, leaseLength / 2)
  }

  #compile(integration: Integration): CompiledWebhook {
    let compiled = this.#compiled.get(integration)
    if (!compiled) {
      compiled = compileWebhook(integration.settings)
      this.#compiled.set(integration, compiled)
    }
    return compiled
  }

  #logOf({ id }: Integration): DeliveryLog {
    let log = this.#logs.get(id)
    if (!log) {
      log = new DeliveryLog()
      // Of one that was deleted meanwhile nothing is kept.
      if (this.#integrations.get(id)) this.#logs.set(id, log)
    }
    return log
  }

  #logged(event: TriggeringEvent, request: OutgoingRequest | undefined, startedAt: number) {
    const { name, data, coreid } = event
    return {
      time: startedAt,
      event: { name, data, coreid },
      duration: this.#clock.now() - startedAt,
      request: request ? `${request.method} ${request.url.href}\n${request.body ?? ''}` : '',
    }
  }

  #publish(events: readonly CloudEvent[]): void {
    for (const event of events) this.#options.bus.publish(event)
  }
}

/** A topic that cannot be rendered is as one that is none: the events come under their own names. */
function topicOf(render: () => string | undefined): string | undefined {
  try {
    return render()
  } catch (error) {
    if (error instanceof TemplateError) return undefined
    throw error
  }
}

const defaultLimits: IntegrationLimits = {
  ...defaultQueueLimits,
  timeout: 20_000,
  responseBytes: 1024 * 1024,
  redirects: 3,
  keepAlive: 15_000,
  perOwner: 500,
}
