/** What the cloud knows of an integration (cloud-api.md 1.8). Of Particle's kinds, Aloe has webhooks. */

export const requestMethods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const
export type RequestMethod = (typeof requestMethods)[number]

/** A JSON value whose texts (and keys) are templates. */
export type TemplateValue =
  | string
  | number
  | boolean
  | null
  | readonly TemplateValue[]
  | { readonly [key: string]: TemplateValue }
export type TemplateObject = { readonly [key: string]: TemplateValue }

export interface WebhookSettings {
  /** Events whose names begin with it trigger the webhook. */
  readonly event: string
  readonly name: string
  readonly url: string
  readonly requestType: RequestMethod
  /** Only events of this device. */
  readonly deviceId?: string
  readonly headers?: TemplateObject
  readonly auth?: { readonly username: string; readonly password: string }
  readonly query?: TemplateObject
  /** At most one of these three is there. A text in place of JSON is rendered and sent as it is. */
  readonly form?: TemplateObject
  readonly json?: TemplateObject | readonly TemplateValue[] | string
  readonly body?: string
  readonly noDefaults: boolean
  readonly rejectUnauthorized: boolean
  readonly responseTemplate?: string | TemplateObject
  readonly responseTopic?: string
  readonly errorResponseTopic?: string
  readonly disabled: boolean
}

/** Whose an integration is. */
export type IntegrationOwner =
  | { readonly kind: 'user'; readonly userId: string }
  | { readonly kind: 'product'; readonly productId: number }

export interface Integration {
  /** 24 hex characters. */
  readonly id: string
  readonly owner: IntegrationOwner
  readonly settings: WebhookSettings
  /** Unix milliseconds. */
  readonly createdAt: number
  readonly updatedAt: number
}

/** Whether both are the same user or the same product. */
export function sameOwner(a: IntegrationOwner, b: IntegrationOwner): boolean {
  return a.kind === 'user'
    ? b.kind === 'user' && a.userId === b.userId
    : b.kind === 'product' && a.productId === b.productId
}

/** The event that a delivery is about: what templates can say of it, and what must survive a restart. */
export interface TriggeringEvent {
  readonly name: string
  readonly data: string | null
  /** Unix milliseconds. */
  readonly publishedAt: number
  readonly coreid: string
  /** User id of the device's owner; absent for a product's unclaimed device. */
  readonly owner?: string
  readonly productId?: number
  readonly version?: number
}

/** The integration cannot be as it is asked for; the message says what to do. */
export class IntegrationError extends Error {
  readonly code: 'invalid' | 'unsupported' | 'too-many'

  constructor(code: IntegrationError['code'], message: string) {
    super(message)
    this.name = 'IntegrationError'
    this.code = code
  }
}
