/** Lists as clients spell them: `a,b`, `groups[]=a&groups[]=b`, `groups[0]=a`, or an array (cloud-api.md 0.1). */
import type { FastifyRequest } from 'fastify'
import { type FormObject, parseForm } from './form.ts'

/** The entries of a list in any of its spellings, each once; an absent list is empty. */
export function listOf(value: unknown): string[] {
  const texts = Array.isArray(value) ? value.map(String) : typeof value === 'string' ? value.split(',') : []
  return [...new Set(texts.map((text) => text.trim()).filter((text) => text !== ''))]
}

/** The query of a request with its brackets read. */
export function queryOf(request: FastifyRequest): FormObject {
  const { url } = request
  const at = url.indexOf('?')
  return at < 0 ? {} : parseForm(url.slice(at + 1))
}
