/** One event on its way to one webhook. */
import type { Selectable } from 'kysely'
import type { WebhookDeliveryTable } from '../store/tables/integrations.ts'
import type { TriggeringEvent } from './integration.ts'

export interface Delivery {
  /** 24 hex characters; the receiver sees it in `X-Aloe-Delivery`, the same in every try. */
  readonly id: string
  readonly integrationId: string
  readonly event: TriggeringEvent
  /** Tries that have been made. */
  attempts: number
  /** Unix milliseconds, as all times here: when it is tried next. */
  dueAt: number
  /** What went wrong last. */
  error: string | null
  readonly createdAt: number
}

/** A delivery that is tried no more, until somebody asks for it. */
export interface DeadLetter {
  readonly id: string
  readonly integrationId: string
  readonly event: TriggeringEvent
  readonly attempts: number
  readonly error: string
  readonly createdAt: number
  readonly diedAt: number
}

export function deliveryFromRow(row: Selectable<WebhookDeliveryTable>): Delivery {
  return {
    id: row.id,
    integrationId: row.integration_id,
    event: JSON.parse(row.event) as TriggeringEvent,
    attempts: row.attempts,
    dueAt: row.due_at,
    error: row.error,
    createdAt: row.created_at,
  }
}

export function deadLetterFromRow(row: Selectable<WebhookDeliveryTable>): DeadLetter {
  const { dueAt, error, ...rest } = deliveryFromRow(row)
  return { ...rest, error: error ?? '', diedAt: dueAt }
}
