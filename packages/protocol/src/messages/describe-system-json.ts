/** The system describe of Device OS before 5.5, as JSON (device-protocol.md 4.1). */
import {
  type DescribedModule,
  type ModuleDependency,
  type ModuleRef,
  type ModuleStore,
  moduleFunctionLetter,
  moduleFunctionOfLetter,
  type SystemDescribe,
} from '@aloe/firmware'
import { MessageError } from './error.ts'

const storeLetters: Readonly<Record<ModuleStore, string>> = { main: 'm', factory: 'f', backup: 'b', scratchpad: 't' }
const stores = new Map(Object.entries(storeLetters).map(([store, letter]) => [letter, store as ModuleStore]))

/** Modules beyond this number are no device's: the largest platforms have about a dozen. */
const maxModules = 64

type JsonObject = Readonly<Record<string, unknown>>

/**
 * Reads the parsed or unparsed JSON. Devices of ten years wrote it, so it is tolerant: unknown keys and modules of unknown
 * function or store are left out, numbers may be text, missing dependencies are none.
 *
 * @throws MessageError when it is no JSON object or has no module list
 */
export function describeFromJson(json: string | JsonObject): SystemDescribe {
  const document = typeof json === 'string' ? parse(json) : json
  if (!Array.isArray(document.m) || document.m.length > maxModules) {
    throw new MessageError('describe-format', 'a system describe without a list of modules')
  }
  const modules = document.m.map(moduleOf).filter((module) => module !== undefined)
  return {
    modules,
    ...withNumber('platformId', document.p),
    ...withText('imei', document.imei),
    ...withText('iccid', document.iccid),
    ...withText('modemFirmwareVersion', document.cellfw),
  }
}

/** The JSON document, in the order of keys that devices use. */
export function describeToJson(describe: SystemDescribe): string {
  const { platformId: p, imei, iccid, modemFirmwareVersion: cellfw } = describe
  return JSON.stringify({ p, imei, iccid, cellfw, m: describe.modules.map(jsonOf) })
}

function jsonOf(module: DescribedModule): JsonObject {
  return {
    s: module.maxSize,
    l: storeLetters[module.store],
    vc: module.checked,
    vv: module.passed,
    u: module.hash,
    ...refJson(module),
    v: module.version,
    d: module.dependencies.map((dependency) => ({ ...refJson(dependency), v: dependency.version })),
  }
}

function refJson(ref: ModuleRef): { f: string; n: string } {
  return { f: moduleFunctionLetter(ref.function), n: String(ref.index) }
}

function moduleOf(value: unknown): DescribedModule | undefined {
  if (!isObject(value)) return undefined
  const ref = refOf(value)
  const store = value.l === undefined ? 'main' : stores.get(String(value.l))
  if (!ref || !store || ref.function === 'none') return undefined
  const dependencies = Array.isArray(value.d) ? value.d.map(dependencyOf).filter((d) => d !== undefined) : []
  return {
    ...ref,
    version: numberOf(value.v) ?? 0,
    store,
    maxSize: numberOf(value.s) ?? 0,
    checked: numberOf(value.vc) ?? 0,
    passed: numberOf(value.vv) ?? 0,
    ...(typeof value.u === 'string' && /^[0-9a-f]{64}$/i.test(value.u) ? { hash: value.u.toLowerCase() } : {}),
    dependencies,
  }
}

function dependencyOf(value: unknown): ModuleDependency | undefined {
  const ref = isObject(value) ? refOf(value) : undefined
  if (!isObject(value) || !ref || ref.function === 'none') return undefined
  return { ...ref, version: numberOf(value.v) ?? 0 }
}

function refOf(value: JsonObject): ModuleRef | undefined {
  const name = moduleFunctionOfLetter(String(value.f))
  const index = numberOf(value.n)
  return name === undefined || index === undefined ? undefined : { function: name, index }
}

function parse(json: string): JsonObject {
  let document: unknown
  try {
    document = JSON.parse(json)
  } catch (cause) {
    throw new MessageError('describe-format', 'a system describe is no JSON', { cause })
  }
  if (!isObject(document)) throw new MessageError('describe-format', 'a system describe is no JSON object')
  return document
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A non-negative integer, as a number or as text. */
function numberOf(value: unknown): number | undefined {
  const number = typeof value === 'string' && value !== '' ? Number(value) : value
  return typeof number === 'number' && Number.isSafeInteger(number) && number >= 0 ? number : undefined
}

function withNumber<K extends string>(key: K, value: unknown): { [P in K]?: number } {
  const number = numberOf(value)
  return number === undefined ? {} : ({ [key]: number } as { [P in K]: number })
}

function withText<K extends string>(key: K, value: unknown): { [P in K]?: string } {
  return typeof value === 'string' ? ({ [key]: value } as { [P in K]: string }) : {}
}
