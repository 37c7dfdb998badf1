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
        // Asked when it is wanted: a hook of a plugin may still say it.
        get access() {
          return route.config?.access
        },
      })
    }
  })
}
