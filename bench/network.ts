/**
 * Goodput of updates against the rate of the link, in simulated time: the windowed transfer (OTA v3), the chunked one
 * (v1, v2) and, for scale, block-wise transfer of RFC 7959 (one block of 1,024 bytes on its way, retransmission as in
 * RFC 7252). Rates count the headers of IP and UDP.
 *
 * Runs alone: `node bench/network.ts [--size bytes] [--seeds n] [--json]`.
 */
import { parseArgs } from 'node:util'
import {
  type BothWays,
  type DatagramConditions,
  Impairment,
  type NetworkName,
  networkOf,
  recordOverhead,
  seeded,
  simulateUpdate,
} from '@aloe/testing'

const networks: readonly NetworkName[] = ['lan', 'lte', 'cat1', 'lteM', '2g', 'gprs']
const losses = [0, 0.01, 0.05, 0.1, 0.2]

export interface NetworkFigure {
  readonly network: NetworkName
  readonly loss: number
  /** Bytes a second of the link. */
  readonly rate: number
  /** Shares of the link's rate: medians of the transfers that arrived, not a number where none did. */
  readonly windowed: number
  readonly chunked: number
  readonly blockwise: number
  /** Records on the wire against the file, with and without the headers of IP and UDP. */
  readonly wire: number
  readonly ip: number
  /** Chunks sent again against chunks. */
  readonly resent: number
  /** Datagrams that the link's queue dropped against all. */
  readonly overflowed: number
  /** Of the windowed transfers, how many arrived at the first attempt. */
  readonly arrived: number
}

export interface NetworkBenchOptions {
  /** Bytes of the file. */
  readonly size?: number
  readonly seeds?: number
}

export function networkFigures({ size = 500_000, seeds = 5 }: NetworkBenchOptions = {}): NetworkFigure[] {
  const file = Uint8Array.from({ length: size }, (_, index) => (index * 31 + (index >> 8)) & 0xff)
  return networks.flatMap((network) =>
    losses.map((loss) => {
      const conditions = networkOf(network, { loss })
      const rate = conditions.down.rate ?? Number.NaN
      const numbers = Array.from({ length: seeds }, (_, seed) => seed + 1)
      const windowed = numbers.map((seed) => simulateUpdate({ network: conditions, file, seed }))
      const chunked = numbers.map((seed) => simulateUpdate({ network: conditions, file, seed, transfer: 'chunked' }))
      const whole = windowed.filter(({ result, intact }) => result?.ok && intact)
      return {
        network,
        loss,
        rate,
        windowed: median(whole.map(({ goodput }) => goodput / rate)),
        chunked: median(
          chunked.filter(({ result, intact }) => result?.ok && intact).map(({ goodput }) => goodput / rate),
        ),
        blockwise: median(numbers.map((seed) => (blockwise(conditions, size, seed) ?? Number.NaN) / rate)),
        wire: median(whole.map(({ wireShare }) => wireShare)),
        ip: median(whole.map(({ ipShare }) => ipShare)),
        resent: median(whole.map(({ resentShare }) => resentShare)),
        overflowed: median(whole.map(({ down }) => down.overflowed / down.offered)),
        arrived: whole.length / seeds,
      }
    }),
  )
}

/** Stop and wait, as RFC 7959 over RFC 7252 has it. @returns bytes a second; undefined when a block was given up */
function blockwise({ down, up }: BothWays<DatagramConditions>, size: number, seed: number): number | undefined {
  const random = seeded(seed)
  const there = new Impairment(down, random)
  const back = new Impairment(up, random)
  const block = 1_024
  // Header, token, path, block and format options of a request; header, token and block option of its answer.
  const request = recordOverhead + block + 16
  const answer = recordOverhead + 10
  let now = 0
  for (let at = 0; at < size; at += block) {
    let wait = 2_000 * (1 + random() / 2)
    for (let tries = 0; ; tries++) {
      if (tries > 4) return undefined
      const [arrived] = there.pass(Math.min(request, request - block + size - at), now)
      const [answered] = arrived === undefined ? [] : back.pass(answer, arrived)
      if (answered !== undefined && answered <= now + wait) {
        now = answered
        break
      }
      now += wait
      wait *= 2
    }
  }
  return (size * 1000) / now
}

function median(values: readonly number[]): number {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b)
  return sorted[sorted.length >> 1] ?? Number.NaN
}

export function networkTable(figures: readonly NetworkFigure[]): string {
  const percent = (value: number) => (Number.isNaN(value) ? '–' : `${(value * 100).toFixed(1)} %`)
  const head = [
    'link',
    'loss',
    'OTA v3',
    'arrived',
    'chunked',
    'block-wise',
    'wire / image',
    'with IP',
    'resent',
    'overflow',
  ]
  const rows = figures.map((f) => [
    `${f.network} (${f.rate / 1000} KB/s)`,
    `${f.loss * 100} %`,
    percent(f.windowed),
    `${Math.round(f.arrived * 100)} %`,
    percent(f.chunked),
    percent(f.blockwise),
    f.wire.toFixed(3),
    f.ip.toFixed(3),
    percent(f.resent),
    percent(f.overflowed),
  ])
  const all = [head, head.map((_, column) => (column === 0 ? '---' : '---:')), ...rows]
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)))
  return all.map((row) => `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`).join('\n')
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { size: { type: 'string' }, seeds: { type: 'string' }, json: { type: 'boolean', default: false } },
  })
  const figures = networkFigures({
    ...(values.size !== undefined && { size: Number(values.size) }),
    ...(values.seeds !== undefined && { seeds: Number(values.seeds) }),
  })
  process.stdout.write(`${values.json ? JSON.stringify(figures, undefined, 2) : networkTable(figures)}\n`)
}
