/**
 * Turns the body of an installed module into its exports. A body is CommonJS text; bootloader and system parts may
 * require what Node has built in.
 */
import { createRequire, isBuiltin } from 'node:module'
import { compileFunction } from 'node:vm'
import type { FirmwareModule } from '@aloe/firmware'

/** A module whose body cannot run or does not export what it must. */
export class ModuleBodyError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause })
    this.name = 'ModuleBodyError'
  }
}

const nodeRequire = createRequire(import.meta.url)

function requireBuiltin(name: string): unknown {
  if (!isBuiltin(name)) throw new ModuleBodyError(`a system module may not require ${JSON.stringify(name)}`)
  return nodeRequire(name)
}

/** Runs a body and returns its exports. @param filename for stack traces */
export function evaluate(body: string, filename: string): Record<string, unknown> {
  const module = { exports: {} as Record<string, unknown> }
  try {
    compileFunction(body, ['exports', 'module', 'require'], { filename })(module.exports, module, requireBuiltin)
  } catch (error) {
    throw new ModuleBodyError(`${filename} does not run: ${error instanceof Error ? error.message : error}`, error)
  }
  return module.exports
}

/** A body as text. */
export function bodyText(module: FirmwareModule): string {
  return Buffer.from(module.body.buffer, module.body.byteOffset, module.body.length).toString('utf8')
}

const nameOf = (module: FirmwareModule): string => `${module.function}-${module.index}@${module.version}`

const evaluated = new Map<string, Record<string, unknown>>()

/**
 * The exports of a module. With `shared`, a body that was run before in this process (as its SHA-256 says) is not run
 * again: hundreds of devices share its code, which therefore must keep no state of its own.
 */
export function moduleExports(module: FirmwareModule, shared: boolean): Record<string, unknown> {
  if (!shared) return evaluate(bodyText(module), nameOf(module))
  let exports = evaluated.get(module.sha256)
  if (!exports) {
    exports = evaluate(bodyText(module), nameOf(module))
    evaluated.set(module.sha256, exports)
  }
  return exports
}

/** An export that must be a function. */
export function exportedFunction(module: FirmwareModule, exports: Record<string, unknown>, name: string): unknown {
  const value = exports[name]
  if (typeof value !== 'function') throw new ModuleBodyError(`${nameOf(module)} exports no function ${name}`)
  return value
}
