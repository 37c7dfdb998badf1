/** Shapes of requests, and how values that come as JSON or as form text are read. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyBaseLogger, FastifyInstance, FastifyTypeProvider, RawServerDefault } from 'fastify'
import { type Static, type TSchema, Type } from 'typebox'

/** Gives handlers the static types of their TypeBox schemas. */
export interface TypeBoxProvider extends FastifyTypeProvider {
  readonly validator: this['schema'] extends TSchema ? Static<this['schema']> : unknown
  readonly serializer: this['schema'] extends TSchema ? Static<this['schema']> : unknown
}

export type ApiServer = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxProvider
>

/** A number, in JSON or as text. */
export const NumberLike = Type.Union([Type.Number(), Type.String({ maxLength: 32 })])
/** true, false, 1, 0, in JSON or as text. */
export const BooleanLike = Type.Union([Type.Boolean(), Type.Number(), Type.String({ maxLength: 8 })])
export const OptionalText = (maxLength: number) => Type.Optional(Type.String({ maxLength }))

/** A whole number out of JSON or text; undefined when it is none. */
export function readInteger(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? value : undefined
  if (typeof value !== 'string' || !/^-?\d{1,15}$/.test(value.trim())) return undefined
  return Number(value)
}

/** True or false out of JSON or text; undefined when it is neither. */
export function readBoolean(value: unknown): boolean | undefined {
  if (value === true || value === 1 || value === '1' || value === 'true') return true
  if (value === false || value === 0 || value === '0' || value === 'false') return false
  return undefined
}

/** Path parameters, all text. */
export function pathOf<K extends string>(...names: K[]) {
  return Type.Object(Object.fromEntries(names.map((name) => [name, Type.String({ minLength: 1 })])) as Record<K, TText>)
}
type TText = ReturnType<typeof Type.String>
