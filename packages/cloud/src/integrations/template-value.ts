/** JSON values of templates: `headers`, `query`, `form`, `json` and response templates. */
import type { TemplateValue } from './integration.ts'
import { compileTemplate, type RenderBudget, type Template, TemplateError } from './template.ts'

export type RenderedValue = string | number | boolean | null | RenderedValue[] | { [key: string]: RenderedValue }

export interface ValueTemplate {
  /** Whether nothing in it depends on data. */
  readonly constant: boolean
  /** Texts are texts after rendering too, whatever they look like (cloud-api.md 1.8); keys are templates as well. */
  render(view: readonly unknown[], budget: RenderBudget): RenderedValue
}

const deepest = 32

/** @throws TemplateError that names the place */
export function compileValue(value: TemplateValue, place: string, depth = 0): ValueTemplate {
  if (depth > deepest) throw new TemplateError(`${place}: it is nested more than ${deepest} deep`)
  if (typeof value === 'string') return compileNamed(value, place)
  if (value === null || typeof value !== 'object') return { constant: true, render: () => value }
  if (Array.isArray(value)) {
    const items = value.map((item, at) => compileValue(item, `${place}[${at}]`, depth + 1))
    const constant = items.every((item) => item.constant)
    return { constant, render: (view, budget) => items.map((item) => item.render(view, budget)) }
  }
  const entries = Object.entries(value).map(([key, item]) => ({
    key: compileNamed(key, `the name ${JSON.stringify(key)} in ${place}`),
    value: compileValue(item, `${place}.${key}`, depth + 1),
  }))
  return {
    constant: entries.every(({ key, value }) => key.constant && value.constant),
    render: (view, budget) =>
      Object.fromEntries(entries.map(({ key, value }) => [key.render(view, budget), value.render(view, budget)])),
  }
}

/** @throws TemplateError that names the place */
export function compileNamed(text: string, place: string): Template {
  try {
    return compileTemplate(text)
  } catch (error) {
    if (error instanceof TemplateError) throw new TemplateError(`${place}: ${error.message}`)
    throw error
  }
}
