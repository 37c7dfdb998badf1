/** All routes of the running API, as they were registered: what the access matrix and its tests are made of. */
import type { FastifyInstance } from 'fastify'
import type { Access } from './access.ts'

export interface RouteRow {
  readonly method: string
  /** With its parameters: `/v1/devices/:id`. */
  readonly url: string
  /** Undefined for a route that does not say what it asks: then it is for people who have logged in. */
  readonly access: Access | undefined
  /** Takes files. */
  readonly upload: boolean
  /** The names of the fields that its schema has for the body and for the query. */
  readonly fields: { readonly body: readonly string[]; readonly query: readonly string[] }
}

declare module 'fastify' {
  interface FastifyInstance {
    routeTable: readonly RouteRow[]
  }
}

/** To be called before any route is registered, as it collects them. */
export function collectRoutes(app: FastifyInstance): void {
  const rows: RouteRow[] = []
  app.decorate('routeTable', rows)
  app.addHook('onRoute', (route) => {
    for (const method of [route.method].flat()) {
      // What a browser asks beforehand is answered for all paths by one route, without looking at anything.
      if (method === 'OPTIONS') continue
      rows.push({
        method,
        url: route.url,
        upload: route.config?.upload === true,
        fields: { body: fieldsOf(route.schema?.body), query: fieldsOf(route.schema?.querystring) },
        // Asked when it is wanted: a hook of a plugin may still say it.
        get access() {
          return route.config?.access
        },
      })
    }
  })
}

/** Of a JSON schema: its properties, and those of what it is put together from. */
function fieldsOf(schema: unknown): string[] {
  if (typeof schema !== 'object' || schema === null) return []
  const {
    properties = {},
    allOf = [],
    anyOf = [],
  } = schema as {
    properties?: Record<string, unknown>
    allOf?: unknown[]
    anyOf?: unknown[]
  }
  return [...new Set([...Object.keys(properties), ...[...allOf, ...anyOf].flatMap(fieldsOf)])]
}
