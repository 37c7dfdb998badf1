/** A plan for people. */

import type { PlanDocument, StepDocument } from '@aloe/firmware'
import type { Colors } from './colors.ts'
import { bytes, printable, table } from './output.ts'

type Possible = Extract<PlanDocument, { ok: true }>
type Impossible = Extract<PlanDocument, { ok: false }>

/** What stands in the way of a plan, a line each. */
export function obstaclesText({ obstacles }: Impossible): string | undefined {
  const lines = obstacles.map(({ dependency, needed_by: by, kind }) => {
    const who = by ? `${by.label} needs` : 'needed:'
    const what = kind === 'absent' ? 'which the catalogue does not have' : 'which no order of updates leads to'
    return `  ${who} ${dependency.label}, ${what}`
  })
  return lines.length > 0 ? lines.join('\n') : undefined
}

export function planText(plan: Possible, device: string, colors: Colors): string {
  if (plan.steps.length === 0) return `${colors.green('✔')} ${colors.bold(device)} needs nothing`
  const rows = plan.transfers.map((transfer, i) => {
    const steps = transfer.steps.flatMap((step) => plan.steps[step] ?? [])
    return [
      String(i + 1),
      steps.map(nameOf).join(' + '),
      `${transfer.exact ? '' : '≤ '}${bytes(transfer.bytes)}${transfer.compressed ? ' compressed' : ''}`,
      duration(transfer.seconds),
      steps.map((step) => printable(step.why)).join('; '),
    ]
  })
  const { cost } = plan
  const total = `${count(cost.modules, 'module')}, ${cost.exact ? '' : 'at most '}${bytes(cost.bytes)}, ${count(cost.resets, 'reset')}, about ${duration(cost.seconds)}`
  return [`${colors.bold(device)}: ${total}`, table([['', 'SEND', 'BYTES', 'TIME', 'BECAUSE'], ...rows], colors)].join(
    '\n',
  )
}

function nameOf(step: StepDocument): string {
  if (step.kind === 'asset') return printable(step.label)
  const release = step.kind === 'module' && step.release !== null ? ` (${printable(step.release)})` : ''
  return `${step.kind === 'application' ? 'application ' : ''}${step.label}${release}`
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`
}

function duration(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`
  return `${Math.round(seconds / 60)} min`
}
