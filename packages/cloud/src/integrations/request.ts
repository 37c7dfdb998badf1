/** The request that a webhook makes of an event (cloud-api.md 1.8). */
import type { RequestMethod, TriggeringEvent, WebhookSettings } from './integration.ts'
import { type RenderBudget, renderBudget, type Template, TemplateError } from './template.ts'
import { compileNamed, compileValue, type RenderedValue, type ValueTemplate } from './template-value.ts'
import { eventView, jsonOf, responseView } from './variables.ts'

export interface OutgoingRequest {
  readonly method: RequestMethod
  readonly url: URL
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  /** Undefined for none. */
  readonly body: string | undefined
  readonly rejectUnauthorized: boolean
}

export interface CompiledWebhook {
  /** @throws TemplateError when there is no request to make of it */
  request(event: TriggeringEvent): OutgoingRequest
  /** What a response says, as it is published. */
  responseText(event: TriggeringEvent, body: string): string
  /** The names, undefined when they are to be those by default. */
  responseTopic(event: TriggeringEvent): string | undefined
  errorTopic(event: TriggeringEvent): string | undefined
}

export const userAgent = 'ParticleBot/1.1 (https://docs.particle.io/webhooks)'

/** They belong to the connection, or say how long the body is: they are nobody's to choose (RFC 9110 7.6.1). */
const ownHeaders = new Set([
  'connection',
  'content-length',
  'expect',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** @throws TemplateError that names the field whose template is wrong */
export function compileWebhook(settings: WebhookSettings): CompiledWebhook {
  const { requestType: method, rejectUnauthorized, noDefaults } = settings
  const url = compileNamed(settings.url, 'url')
  const headers = settings.headers && compileValue(settings.headers, 'headers')
  const username = settings.auth && compileNamed(settings.auth.username, 'auth.username')
  const password = settings.auth && compileNamed(settings.auth.password, 'auth.password')
  const query = settings.query && compileValue(settings.query, 'query')
  const content = compileContent(settings)
  const response =
    settings.responseTemplate === undefined ? undefined : compileValue(settings.responseTemplate, 'responseTemplate')
  const topic = compileTopic(settings.responseTopic, 'responseTopic')
  const errorTopic = compileTopic(settings.errorResponseTopic, 'errorResponseTopic')
  // Most webhooks send the event as it is: then there is nothing to look for in its data.
  const constant = [url, headers, username, password, query, content].every((part) => part?.constant ?? true)

  return {
    request(event) {
      const budget = renderBudget()
      const view = constant ? [] : eventView(event)
      const target = targetOf(url.render(view, budget))
      const extra = noDefaults || content.own ? {} : defaults(event)
      const inQuery = method === 'GET'
      const pairs = { ...(inQuery && extra), ...(query ? record(query.render(view, budget)) : {}) }
      appendQuery(target, pairs)
      const { type, body } = content.render(view, budget, inQuery ? {} : extra)
      const own = headers ? headerFields(record(headers.render(view, budget))) : {}
      const credentials =
        username && password
          ? { username: username.render(view, budget), password: password.render(view, budget) }
          : credentialsOf(target)
      target.username = ''
      target.password = ''
      return {
        method,
        url: target,
        headers: {
          'user-agent': userAgent,
          accept: content.json ? 'application/json' : '*/*',
          ...(type !== undefined && { 'content-type': type }),
          ...(credentials && { authorization: basic(credentials) }),
          ...own,
        },
        body,
        rejectUnauthorized,
      }
    },
    responseText(event, body) {
      const json = response && jsonOf(body)
      if (!response || json === undefined) return body
      const rendered = response.render(responseView(event, json), renderBudget())
      return typeof rendered === 'string' ? rendered : JSON.stringify(rendered)
    },
    responseTopic: (event) => topic?.render(eventView(event), renderBudget()).trim(),
    errorTopic: (event) => errorTopic?.render(eventView(event), renderBudget()).trim(),
  }
}

function compileTopic(text: string | undefined, place: string): Template | undefined {
  return text === undefined ? undefined : compileNamed(text, place)
}

interface Content {
  /** It is the whole body: nothing is added to it. */
  readonly own: boolean
  readonly json: boolean
  readonly constant: boolean
  render(
    view: readonly unknown[],
    budget: RenderBudget,
    extra: Readonly<Record<string, RenderedValue>>,
  ): { type?: string; body: string | undefined }
}

function compileContent(settings: WebhookSettings): Content {
  const { body, json, form, requestType } = settings
  const text = body ?? (typeof json === 'string' ? json : undefined)
  if (text !== undefined) {
    const template = compileNamed(text, body === undefined ? 'json' : 'body')
    return {
      own: true,
      json: body === undefined,
      constant: template.constant,
      render(view, budget) {
        const rendered = template.render(view, budget)
        const isJson = body === undefined || typeof jsonOf(rendered) === 'object'
        return { type: isJson ? 'application/json' : 'text/plain; charset=utf-8', body: rendered }
      },
    }
  }
  if (json !== undefined && typeof json !== 'string') {
    const template = compileValue(json as Exclude<typeof json, string>, 'json')
    return {
      own: Array.isArray(json),
      json: true,
      constant: template.constant,
      render(view, budget, extra) {
        const rendered = template.render(view, budget)
        const value = Array.isArray(rendered) ? rendered : { ...extra, ...record(rendered) }
        return { type: 'application/json', body: JSON.stringify(value) }
      },
    }
  }
  const template: ValueTemplate | undefined = form && compileValue(form, 'form')
  return {
    own: false,
    json: false,
    constant: template?.constant ?? true,
    render(view, budget, extra) {
      const fields = { ...extra, ...(template ? record(template.render(view, budget)) : {}) }
      const pairs = new URLSearchParams(flatten(fields)).toString()
      if (pairs === '' && (requestType === 'GET' || template === undefined)) return { body: undefined }
      return { type: 'application/x-www-form-urlencoded', body: pairs }
    },
  }
}

/** What is sent without being asked for; products say more. */
function defaults({ name, data, publishedAt, coreid, owner, productId, version }: TriggeringEvent) {
  return {
    event: name,
    data: data ?? '',
    published_at: new Date(publishedAt).toISOString(),
    coreid,
    ...(productId !== undefined && { userid: owner ?? '', fw_version: version ?? 0, public: false }),
  }
}

function targetOf(text: string): URL {
  const url = URL.parse(text.trim())
  if (!url) throw new TemplateError(`url: ${JSON.stringify(shorten(text))} is no URL`)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new TemplateError(`url: it must begin with http:// or https://, not with ${url.protocol}`)
  }
  return url
}

function shorten(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}…` : text
}

function appendQuery(url: URL, fields: Readonly<Record<string, RenderedValue>>): void {
  const pairs = new URLSearchParams(flatten(fields)).toString()
  // What stands in the URL already is left as it is written.
  if (pairs !== '') url.search = url.search === '' ? pairs : `${url.search}&${pairs}`
}

/** Nested values by names with brackets, as the API itself takes them (cloud-api.md 0.1). */
function flatten(fields: Readonly<Record<string, RenderedValue>>): [string, string][] {
  const pairs: [string, string][] = []
  const add = (name: string, value: RenderedValue): void => {
    if (Array.isArray(value)) for (const [at, item] of value.entries()) add(`${name}[${at}]`, item)
    else if (value !== null && typeof value === 'object') {
      for (const [key, item] of Object.entries(value)) add(`${name}[${key}]`, item)
    } else pairs.push([name, String(value ?? '')])
  }
  for (const [name, value] of Object.entries(fields)) add(name, value)
  return pairs
}

function headerFields(fields: Readonly<Record<string, RenderedValue>>): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(fields)) {
    const key = name.trim().toLowerCase()
    if (key === '' || ownHeaders.has(key)) continue
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(key))
      throw new TemplateError(`headers: ${JSON.stringify(name)} is no header name`)
    headers[key] = fieldValue(typeof value === 'object' ? JSON.stringify(value) : String(value))
  }
  return headers
}

/** One line, as bytes of UTF-8: data of a device must not make further headers. */
function fieldValue(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  return Buffer.from(text.replace(/[\u0000-\u001f\u007f]+/g, ' ').trim(), 'utf8').toString('latin1')
}

function credentialsOf({ username, password }: URL): { username: string; password: string } | undefined {
  if (username === '' && password === '') return undefined
  return { username: decode(username), password: decode(password) }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** HTTP Basic, RFC 7617. */
function basic({ username, password }: { username: string; password: string }): string {
  return `Basic ${Buffer.from(`${username}:${password}`, 'utf8').toString('base64')}`
}

function record(value: RenderedValue): Record<string, RenderedValue> {
  return value as Record<string, RenderedValue>
}
