/** Puts the members of a release together to what `import … from 'device-os'` gives. */
import type { Member, Release, Runtime } from './runtime.ts'
import type { RequestHandler } from './services.ts'

/** What the module `aloe:api` exports: generated from the manifest for one release. */
export interface ApiModule {
  readonly release: Release
  /** Members by path, e.g. `Particle.publish`. */
  readonly members: Readonly<Record<string, Member>>
  /** Constants by name, e.g. `D7`. */
  readonly constants: Readonly<Record<string, unknown>>
  /** The system's side of members that need one, by the name of the request. */
  readonly requests: Readonly<Record<string, RequestHandler>>
}

export function composeApi(module: ApiModule, runtime: Runtime): Record<string, unknown> {
  const api: Record<string, unknown> = { ...module.constants }
  for (const [path, make] of Object.entries(module.members)) {
    const dot = path.indexOf('.')
    if (dot < 0) {
      api[path] = make(runtime)
      continue
    }
    const group = path.slice(0, dot)
    const target = (api[group] ?? {}) as Record<string, unknown>
    target[path.slice(dot + 1)] = make(runtime)
    api[group] = target
  }
  return api
}
