/**
 * Mustache as webhooks use it (cloud-api.md 1.8): `{{x}}` escapes & < > " and ' for HTML, `{{{x}}}` and `{{&x}}` do not;
 * dotted paths, sections, inverted sections and comments.
 *
 * The parser is mustache.js; rendering is our own. Data come from devices, so that it looks at own properties only,
 * calls nothing, has no partials, and stops at a bound of output and of steps.
 */
import { createRequire } from 'node:module'

export class TemplateError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'TemplateError'
  }
}

/** What may be used up by one rendering, or by several that share it. */
export interface RenderBudget {
  /** UTF-16 units of output. */
  output: number
  /** Tokens rendered and path segments looked up. */
  steps: number
}

export const renderBudget = (): RenderBudget => ({ output: 1024 * 1024, steps: 50_000 })

export interface Template {
  /** Whether nothing in it depends on data. */
  readonly constant: boolean
  /** @throws TemplateError when a bound is reached */
  render(view: readonly unknown[], budget: RenderBudget): string
}

type Token = readonly [type: string, value: string, start: number, end: number, children?: readonly Token[]]

type Node =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'value'; readonly path: readonly string[]; readonly escape: boolean }
  | { readonly kind: 'section'; readonly path: readonly string[]; readonly nodes: readonly Node[] }
  | { readonly kind: 'inverted'; readonly path: readonly string[]; readonly nodes: readonly Node[] }

/** UTF-16 units of one template. */
export const longestTemplate = 64 * 1024
const deepestSection = 32
/** The parser takes the square of a run of white space within a tag. */
const whiteRun = /\s{1000}/

interface Parser {
  parse(template: string): Token[]
  templateCache: unknown
}
const { Writer } = createRequire(import.meta.url)('mustache') as { Writer: new () => Parser }
const parser = new Writer()
// Its cache has no bound, and templates come from users.
parser.templateCache = undefined

/** @throws TemplateError that says where the syntax is wrong */
export function compileTemplate(text: string): Template {
  if (!text.includes('{{')) return { constant: true, render: (_view, budget) => spend(budget, text) }
  if (text.length > longestTemplate) throw new TemplateError(`it is longer than ${longestTemplate} characters`)
  if (whiteRun.test(text)) throw new TemplateError('it has 1000 blanks in a row')
  let tokens: Token[]
  try {
    tokens = parser.parse(text)
  } catch (error) {
    throw new TemplateError(error instanceof Error ? error.message : String(error))
  }
  const nodes = nodesOf(tokens, 0)
  return {
    constant: nodes.every((node) => node.kind === 'text'),
    render(view, budget) {
      const out: string[] = []
      renderNodes(nodes, view, budget, out)
      return out.join('')
    },
  }
}

function nodesOf(tokens: readonly Token[], depth: number): Node[] {
  if (depth > deepestSection) throw new TemplateError(`its sections are nested more than ${deepestSection} deep`)
  const nodes: Node[] = []
  for (const [type, value, , , children = []] of tokens) {
    const path = value === '.' ? [] : value.split('.')
    if (type === 'text') nodes.push({ kind: 'text', text: value })
    else if (type === 'name') nodes.push({ kind: 'value', path, escape: true })
    else if (type === '&') nodes.push({ kind: 'value', path, escape: false })
    else if (type === '#') nodes.push({ kind: 'section', path, nodes: nodesOf(children, depth + 1) })
    else if (type === '^') nodes.push({ kind: 'inverted', path, nodes: nodesOf(children, depth + 1) })
    // What is left are comments, changed delimiters, which the parser has heeded, and partials, of which there are none.
  }
  return nodes
}

function renderNodes(nodes: readonly Node[], view: readonly unknown[], budget: RenderBudget, out: string[]): void {
  for (const node of nodes) {
    step(budget)
    if (node.kind === 'text') {
      out.push(spend(budget, node.text))
      continue
    }
    const value = lookup(view, node.path, budget)
    if (node.kind === 'value') {
      const text = textOf(value)
      out.push(spend(budget, node.escape ? escapeHtml(text) : text))
      continue
    }
    const empty = !value || (Array.isArray(value) && value.length === 0)
    if (node.kind === 'inverted') {
      if (empty) renderNodes(node.nodes, view, budget, out)
      continue
    }
    if (empty) continue
    if (value === true) renderNodes(node.nodes, view, budget, out)
    else
      for (const item of Array.isArray(value) ? value : [value]) renderNodes(node.nodes, [...view, item], budget, out)
  }
}

/** The last of the view that has the first of the path, and what is in it (mustache.js: the last that has all of it). */
function lookup(view: readonly unknown[], path: readonly string[], budget: RenderBudget): unknown {
  for (let at = view.length - 1; at >= 0; at--) {
    let value = view[at]
    if (path.length === 0) return value
    let found = true
    for (const name of path) {
      step(budget)
      if (!has(value, name)) {
        found = false
        break
      }
      value = (value as Record<string, unknown>)[name]
    }
    if (found) return value
  }
  return undefined
}

function has(value: unknown, name: string): boolean {
  return value !== null && value !== undefined && Object.hasOwn(Object(value), name)
}

/** As JavaScript makes text of values that came out of JSON, without asking them. */
function textOf(value: unknown, depth = 0): string {
  if (value === null || value === undefined) return ''
  if (typeof value !== 'object') return String(value)
  if (!Array.isArray(value)) return '[object Object]'
  if (depth > 100) throw new TemplateError('the data are nested too deep')
  return value.map((item) => textOf(item, depth + 1)).join(',')
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character)
}

function step(budget: RenderBudget): void {
  if (--budget.steps < 0) throw new TemplateError('it takes too long to render')
}

function spend(budget: RenderBudget, text: string): string {
  budget.output -= text.length
  if (budget.output < 0) throw new TemplateError('it renders to too much text')
  return text
}
