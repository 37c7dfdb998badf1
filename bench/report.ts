/** The benchmark's figures, as a table for people and as JSON for machines. */
import { cpus, totalmem } from 'node:os'

export interface Figure {
  readonly name: string
  readonly unit: string
  readonly better: 'less' | 'more'
  readonly value: number
  /** What bare code reaches on this machine in this run, and what it does. */
  readonly limit?: number
  readonly limitIs?: string
  /** An earlier open server, where it was measured (see docs/benchmarks.md). */
  readonly before?: number
  readonly goal?: number
  /** How often it was done. */
  readonly count: number
  /** Further numbers, for the details below the table. */
  readonly details?: Readonly<Record<string, string | number>>
}

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memory: string
  readonly node: string
  readonly date: string
  readonly command: string
}

export function thisMachine(): Machine {
  const [first] = cpus()
  return {
    cpu: first?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    node: process.version,
    date: new Date().toISOString(),
    command: ['npm run bench', ...(process.argv.length > 2 ? ['--', ...process.argv.slice(2)] : [])].join(' '),
  }
}

/** How much of the limit is reached: 100 % is as good as bare code. */
export function shareOfLimit({ better, value, limit }: Figure): number | undefined {
  if (limit === undefined) return undefined
  return better === 'less' ? limit / value : value / limit
}

/** How many times better than before. */
export function gain({ better, value, before }: Figure): number | undefined {
  if (before === undefined) return undefined
  return better === 'less' ? before / value : value / before
}

export function meetsGoal({ better, value, goal }: Figure): boolean | undefined {
  if (goal === undefined) return undefined
  return better === 'less' ? value <= goal : value >= goal
}

const columns = ['figure', 'unit', 'Aloe', 'limit', 'of limit', 'before', 'gain', 'goal', ''] as const

function cells(figure: Figure): string[] {
  const share = shareOfLimit(figure)
  const times = gain(figure)
  const met = meetsGoal(figure)
  return [
    figure.name,
    figure.unit,
    number(figure.value),
    number(figure.limit),
    share === undefined ? '' : `${Math.round(share * 100)} %`,
    number(figure.before),
    times === undefined ? '' : `${times.toFixed(1)} x`,
    number(figure.goal),
    met === undefined ? '' : met ? 'met' : 'missed',
  ]
}

/** A table in Markdown, aligned so that it also reads well on a terminal. */
export function table(figures: readonly Figure[]): string {
  const rows = [[...columns], ...figures.map(cells)]
  const widths = columns.map((_, column) => Math.max(3, ...rows.map((row) => row[column]?.length ?? 0)))
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, at) => (at < 2 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join(' | ')} |`
  const rule = `|${widths.map((width, at) => (at < 2 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`
  const [head = [], ...body] = rows
  return [line(head), rule, ...body.map(line)].join('\n')
}

/** What the limits are, and the further numbers. */
export function notes(figures: readonly Figure[]): string {
  return figures
    .map(({ name, limitIs, details = {}, count }) => {
      const more = Object.entries(details).map(
        ([key, value]) => `${key} ${typeof value === 'number' ? number(value) : value}`,
      )
      return `- ${name}: n = ${number(count)}${limitIs ? `; limit: ${limitIs}` : ''}${more.length > 0 ? `; ${more.join(', ')}` : ''}`
    })
    .join('\n')
}

export function machineLine({ cpu, cores, memory, node, date, command }: Machine): string {
  return `${cpu}, ${cores} cores, ${memory}, Node ${node}, ${date}, \`${command}\``
}

function number(value: number | undefined): string {
  if (value === undefined) return ''
  if (value >= 100) return Math.round(value).toLocaleString('en-US')
  return value.toFixed(value >= 10 ? 1 : 2)
}
