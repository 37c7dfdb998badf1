/**
 * Follows an update from its start until the device runs what it was sent, by the events that the cloud publishes on
 * the way (docs/updates.md): the transfer, the restart, and the healing when the application needs a newer Device OS.
 */

import { CliError, exitCode } from './cli-error.ts'
import type { CloudClient } from './cloud-client.ts'
import { type Device, readDevice } from './device-object.ts'
import type { EventQueue, StreamEvent } from './event-stream.ts'
import { type Output, printable } from './output.ts'

export interface UpdateSummary {
  /** Labels of the modules that were sent, in order, e.g. `system_part 1@2000`. */
  readonly sent: readonly string[]
  readonly device: Device
}

/** A device that has just connected is asked about only after this long: it says first that it is in safe mode. */
const settle = 1_500

/**
 * Waits until the device is back and runs normally.
 *
 * @param events opened before the update was started
 * @param deadline Unix milliseconds
 * @throws CliError when the update or the healing failed, or took too long
 */
export async function followUpdate(
  client: CloudClient,
  deviceId: string,
  events: EventQueue,
  output: Output,
  deadline: number,
): Promise<UpdateSummary> {
  const { colors } = output
  const sent: string[] = []
  let sending = ''
  let transferred = false
  let healing = false
  let planned = ''
  /** When the device connected after a transfer, while nothing else has happened. */
  let onlineSince: number | undefined
  for (;;) {
    const now = Date.now()
    if (now > deadline) throw tooLong(deviceId, transferred)
    const event = await events.next(Math.min(settle, deadline - now + 1))
    if (event === undefined) {
      if (onlineSince === undefined || Date.now() - onlineSince < settle) continue
      const device = readDevice((await client.particle.getDevice({ deviceId })).body)
      if (device.connected && device.status === 'normal') return { sent, device }
      if (!device.connected) onlineSince = undefined
      continue
    }
    switch (event.name) {
      case 'aloe/update/progress': {
        const { bytes, total, module } = dataOf(event)
        sending = labelOf(module)
        output.progress(`sending ${sending}`, Number(bytes), Number(total))
        break
      }
      case 'spark/flash/status':
        if (event.data?.trim() !== 'success') break
        transferred = true
        onlineSince = undefined
        sent.push(sending)
        output.endProgress()
        output.note(`${colors.green('✔')} sent ${sending}; the device restarts`)
        break
      case 'spark/status':
        if (event.data?.trim() === 'online' && transferred) onlineSince = Date.now()
        if (event.data?.trim() === 'offline') onlineSince = undefined
        break
      case 'spark/status/safe-mode':
        if (!healing)
          output.note(`${colors.magenta('●')} safe mode: the application needs modules that the device lacks`)
        healing = true
        break
      case 'aloe/healer/planned': {
        const { plan } = dataOf(event)
        const labels = (Array.isArray(plan) ? plan.map(labelOf) : []).join(', ')
        // It is announced anew after every module; what is left of a known plan is no news.
        if (!planned.endsWith(labels)) output.note(`${colors.magenta('●')} the cloud heals it: ${labels}`)
        planned = labels
        break
      }
      case 'aloe/healer/healed':
        return { sent, device: readDevice((await client.particle.getDevice({ deviceId })).body) }
      case 'aloe/healer/stopped':
        throw new CliError(`The device could not be healed: ${printable(String(dataOf(event).reason))}`, {
          hint: 'It stays in safe mode. See what it has and lacks: aloe subscribe aloe/ --json',
        })
      case 'aloe/update/failed': {
        const { reason, final, kind } = dataOf(event)
        // Of a healing more is told, in an event of its own.
        if (final === true && kind === 'heal') break
        if (final === true) throw new CliError(`The update failed: ${printable(String(reason))}`)
        output.note(colors.yellow(`trying again: ${printable(String(reason))}`))
        break
      }
      default:
        break
    }
  }
}

function tooLong(deviceId: string, transferred: boolean): CliError {
  return new CliError(transferred ? 'The device did not come back in time.' : 'The update did not finish in time.', {
    code: exitCode.noAnswer,
    hint: `It goes on in the cloud. Watch it with: aloe subscribe --device ${deviceId}`,
  })
}

function dataOf({ data }: StreamEvent): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(data ?? '')
    return typeof value === 'object' && value !== null ? { ...value } : {}
  } catch {
    // Not of this cloud's making: it says nothing that could be shown.
    return {}
  }
}

function labelOf(module: unknown): string {
  const label = typeof module === 'object' && module !== null && 'label' in module ? module.label : undefined
  return typeof label === 'string' ? printable(label) : 'module'
}
