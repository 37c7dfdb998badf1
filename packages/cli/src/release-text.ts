/** Releases in words. */
import type { Colors } from './colors.ts'
import { bytes, printable } from './output.ts'
import type { ReleasePreview, Rollout } from './release-client.ts'

const whenText: readonly (readonly [string, string])[] = [
  ['now', 'at once'],
  ['next-connection', 'when they connect next'],
  ['when-online', 'when they are online'],
  ['when-enabled', 'when they enable updates'],
  ['held', 'when their update policy lets them'],
]

/** Ways of a preview that are shown. */
const shown = 12

export function previewText(preview: ReleasePreview, colors: Colors): string {
  const { devices, ways, total, seconds, excluded, warnings, held } = preview
  const lines = [colors.bold(`Version ${preview.version} goes to ${count(devices, 'device')}`)]
  for (const [name, text] of whenText) {
    const number = preview.when[name] ?? 0
    if (number > 0) lines.push(`  ${pad(number)} ${text}`)
  }
  for (const { reason, devices: number } of held) lines.push(colors.dim(`           ${number} ${printable(reason)}`))
  for (const way of ways.slice(0, shown)) {
    const from = [
      way.version === null ? 'no known version' : `version ${way.version}`,
      way.platform ?? 'unknown platform',
      way.device_os === null ? (way.system_version ?? 'unknown Device OS') : `Device OS ${way.device_os}`,
    ]
    lines.push('', `${count(way.devices, 'device')} with ${from.join(', ')}`)
    if (!way.known) lines.push(colors.dim('  have not said yet what they have'))
    else {
      const steps = way.steps.map(({ label, release }) => (release === null ? label : `${label} (${release})`))
      lines.push(`  ${printable(steps.join(' → '))}`)
      lines.push(colors.dim(`  each ${count(way.modules, 'module')}, ${bytes(way.bytes)}, ${costTail(way)}`))
    }
  }
  if (ways.length > shown) lines.push('', `and ${ways.length - shown} further kinds of devices`)
  if (excluded.length > 0) lines.push('', colors.bold('Who does not get it'))
  for (const { reason, devices: number } of excluded) lines.push(`  ${pad(number)} ${printable(reason)}`)
  if (devices > 0) {
    const all = `${count(total.modules, 'module')}, ${bytes(total.bytes)}, ${count(total.resets, 'reset')}`
    lines.push('', `${colors.bold('Together')} ${all}, ${duration(seconds)} when all are there`)
  }
  for (const warning of warnings) lines.push(colors.yellow(`! ${printable(warning)}`))
  return lines.join('\n')
}

function costTail({ resets, seconds }: { resets: number; seconds: number }): string {
  return `${count(resets, 'reset')}, ${duration(seconds)}`
}

const states: readonly (readonly [string, string])[] = [
  ['waiting', 'wait for their device'],
  ['queued', 'wait for their turn'],
  ['updating', 'are being updated'],
  ['held', 'are held'],
  ['healing', 'get their Device OS'],
  ['retrying', 'are tried again later'],
  ['failed', 'failed'],
]

export function rolloutText(rollout: Rollout, colors: Colors): string {
  const { devices, version } = rollout
  const to = [...(rollout.product_default ? ['all'] : []), ...rollout.groups].join(', ')
  const counts = states.flatMap(([state, text]) => {
    const number = devices[state] ?? 0
    return number === 0 ? [] : [`${state === 'failed' ? colors.red(`${number} ${text}`) : `${number} ${text}`}`]
  })
  const done = `${devices.done ?? 0} of ${devices.total ?? 0} run it`
  const reason = rollout.reason === null ? '' : `\n  ${colors.red(printable(rollout.reason))}`
  const whom = to === '' ? '' : ` to ${to}`
  const head = `${colors.bold(`version ${version}`)}${whom}: ${stateText(rollout, colors)}`
  return `${head}, ${[done, ...counts].join(', ')}  ${colors.dim(rollout.id.slice(0, 8))}${reason}`
}

export function stateText({ state, complete }: Rollout, colors: Colors): string {
  if (complete) return colors.green('complete')
  return state === 'halted' ? colors.red(state) : state
}

export function duration(seconds: number): string {
  if (seconds < 120) return `about ${Math.max(1, Math.round(seconds))} s`
  if (seconds < 7_200) return `about ${Math.round(seconds / 60)} minutes`
  return `about ${(seconds / 3_600).toFixed(1)} hours`
}

export function count(number: number, what: string): string {
  return `${number.toLocaleString('en-US')} ${what}${number === 1 ? '' : 's'}`
}

function pad(number: number): string {
  return number.toLocaleString('en-US').padStart(9)
}
