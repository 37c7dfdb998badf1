/** Reads what clients send to make or replace a webhook, in all its spellings (cloud-api.md 1.8). */
import { isReservedEventName } from '../events/event.ts'
import { IntegrationError, requestMethods, type TemplateObject, type WebhookSettings } from './integration.ts'
import { compileWebhook } from './request.ts'
import { TemplateError } from './template.ts'

/** Kinds that Particle's cloud has and this one has not. */
const otherKinds = new Set(['GoogleCloudPubSub', 'GoogleMaps', 'AzureIotHub'])

const longestUrl = 8_192

export interface InputOptions {
  /** The id of one of the caller's devices, by its id or name; undefined when there is none. */
  deviceId(idOrName: string): string | undefined
  /** What is replaced: it says what is asked for when the client does not. */
  readonly existing?: WebhookSettings
}

/** @throws IntegrationError that says what is wrong, and how it would be right */
export function readWebhook(body: Readonly<Record<string, unknown>>, options: InputOptions): WebhookSettings {
  const kind = text(body, 'integration_type') ?? 'Webhook'
  if (otherKinds.has(kind)) throw new IntegrationError('unsupported', `Aloe has no integrations of the type ${kind}`)
  if (kind !== 'Webhook') invalid(`"integration_type" must be "Webhook", not ${JSON.stringify(kind)}`)

  const event = text(body, 'event') ?? text(body, 'eventName') ?? options.existing?.event
  if (event === undefined) invalid('"event" is missing: the beginning of the names of the events that trigger it')
  if (!/^[\x20-\x7e]{1,64}$/.test(event)) invalid('"event" must be 1 to 64 printable ASCII characters')
  const url = text(body, 'url') ?? options.existing?.url
  if (url === undefined) invalid('"url" is missing: where the request goes to')
  checkUrl(url)

  const form = fields(body, 'form')
  const json = jsonContent(body)
  const custom = text(body, 'body', false)
  const given = [form && 'form', json !== undefined && 'json', custom !== undefined && 'body'].filter(Boolean)
  if (given.length > 1)
    invalid(`A request has one body: give either "form", "json" or "body", not ${given.join(' and ')}`)

  const device = text(body, 'deviceID') ?? text(body, 'deviceId') ?? text(body, 'deviceid')
  const settings: WebhookSettings = {
    event,
    name: text(body, 'name') ?? `${event} for ${domainOf(url)}`,
    url,
    requestType: methodOf(body),
    ...(device !== undefined && device !== 'mine' && { deviceId: deviceOf(device, options) }),
    ...optional('headers', fields(body, 'headers')),
    ...optional('auth', authOf(body)),
    ...optional('query', fields(body, 'query')),
    ...optional('form', form),
    ...optional('json', json),
    ...optional('body', custom),
    noDefaults: flag(body, 'noDefaults', false),
    rejectUnauthorized: flag(body, 'rejectUnauthorized', true),
    ...optional('responseTemplate', responseTemplateOf(body)),
    ...optional('responseTopic', topic(body, 'responseTopic')),
    ...optional('errorResponseTopic', topic(body, 'errorResponseTopic')),
    disabled: flag(body, 'disabled', false),
  }
  if (settings.name.length > 200) invalid('"name" is longer than 200 characters')
  try {
    compileWebhook(settings)
  } catch (error) {
    if (error instanceof TemplateError) invalid(`The template is wrong in ${error.message}`)
    throw error
  }
  return settings
}

function invalid(message: string): never {
  throw new IntegrationError('invalid', message)
}

function optional<K extends keyof WebhookSettings>(key: K, value: WebhookSettings[K] | undefined): object {
  return value === undefined ? {} : { [key]: value }
}

/** A text, undefined when it is absent or empty. */
function text(body: Readonly<Record<string, unknown>>, key: string, trim = true): string | undefined {
  const value = body[key]
  if (value === undefined || value === null) return undefined
  if (typeof value === 'number') return String(value)
  if (typeof value !== 'string') invalid(`"${key}" must be a text`)
  const read = trim ? value.trim() : value
  return read === '' ? undefined : read
}

function flag(body: Readonly<Record<string, unknown>>, key: string, absent: boolean): boolean {
  const value = body[key]
  if (value === undefined || value === null || value === '') return absent
  if (value === true || value === 1 || value === '1' || value === 'true') return true
  if (value === false || value === 0 || value === '0' || value === 'false') return false
  return invalid(`"${key}" must be true or false`)
}

/** An object; forms may send its JSON as a text. */
function fields(body: Readonly<Record<string, unknown>>, key: string): TemplateObject | undefined {
  let value = body[key]
  if (typeof value === 'string') value = value.trim() === '' ? undefined : parsed(value, key)
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'object' || Array.isArray(value)) invalid(`"${key}" must be an object of names and values`)
  return Object.keys(value).length === 0 ? undefined : (value as TemplateObject)
}

function parsed(value: string, key: string): unknown {
  try {
    return JSON.parse(value)
  } catch {
    return invalid(`"${key}" must be an object of names and values; this text is no JSON`)
  }
}

function jsonContent({ json }: Readonly<Record<string, unknown>>): WebhookSettings['json'] | undefined {
  if (json === undefined || json === null) return undefined
  if (typeof json === 'string') return json.trim() === '' ? undefined : json
  if (typeof json !== 'object') return invalid('"json" must be an object, or a text that renders to JSON')
  return Object.keys(json).length === 0 ? undefined : (json as TemplateObject)
}

function responseTemplateOf(body: Readonly<Record<string, unknown>>): WebhookSettings['responseTemplate'] | undefined {
  const { responseTemplate } = body
  if (typeof responseTemplate === 'object') return fields(body, 'responseTemplate')
  return text(body, 'responseTemplate', false)
}

function authOf(body: Readonly<Record<string, unknown>>): WebhookSettings['auth'] | undefined {
  const auth = fields(body, 'auth')
  if (!auth) return undefined
  const username = text(auth, 'username', false) ?? ''
  const password = text(auth, 'password', false) ?? ''
  if (username === '' && password === '') invalid('"auth" needs a "username" and a "password"')
  return { username, password }
}

function methodOf(body: Readonly<Record<string, unknown>>): WebhookSettings['requestType'] {
  const given = (text(body, 'requestType') ?? 'POST').toUpperCase()
  const method = requestMethods.find((each) => each === given)
  return method ?? invalid(`"requestType" must be one of ${requestMethods.join(', ')}`)
}

function topic(body: Readonly<Record<string, unknown>>, key: string): string | undefined {
  const value = text(body, key)
  if (value !== undefined && isReservedEventName(value)) {
    invalid(`"${key}" must not begin with "spark" or "particle": such events are the system's`)
  }
  return value
}

function deviceOf(idOrName: string, { deviceId }: InputOptions): string {
  return deviceId(idOrName) ?? invalid(`"deviceID": there is no device ${JSON.stringify(idOrName)}`)
}

/** As far as it can be told before there are data: they may say any part of it. */
function checkUrl(url: string): void {
  if (url.length > longestUrl) invalid(`"url" is longer than ${longestUrl} characters`)
  if (url.startsWith('{{')) return
  if (!/^https?:\/\//i.test(url)) invalid('"url" must begin with http:// or https://')
  if (!URL.canParse(withoutTags(url))) invalid(`"url" is no URL: ${url.slice(0, 200)}`)
}

function withoutTags(url: string): string {
  return url.replace(/\{\{[^}]{0,1000}\}+/g, '0')
}

/** For the name of a webhook that got none. */
function domainOf(url: string): string {
  const host = /^https?:\/\/([^/?#]*)/i.exec(url)?.[1] ?? url
  return host.slice(host.lastIndexOf('@') + 1).slice(0, 100)
}
