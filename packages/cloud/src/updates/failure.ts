/** How updates fail, and what their owners are told. */
import { updateResult } from '@aloe/firmware'
import type { UpdateOutcome } from '../gateway/gateway.ts'

export type FlashResult =
  | { readonly ok: true }
  | { readonly ok: false; readonly status: number; readonly error: string }

export type Failure = Extract<UpdateOutcome, { ok: false }>

export const gone: Failure = {
  ok: false,
  stage: 'start',
  code: updateResult.timeout,
  message: 'the device is not connected',
  interrupted: true,
}

export const disabled: Failure = {
  ok: false,
  stage: 'start',
  code: updateResult.updatesDisabled,
  message: 'updates are disabled on the device',
  interrupted: false,
}

export function refusal(status: number, error: string): FlashResult {
  return { ok: false, status, error }
}

/** What an owner is told whose device did not take the start. */
export function startRefusal(failure: Failure): FlashResult {
  if (failure.code === updateResult.updatesDisabled) {
    return refusal(
      400,
      'Firmware updates are disabled on this device: its application refuses them. Force them to update it.',
    )
  }
  if (failure.interrupted || failure.code === updateResult.timeout) return refusal(408, 'Timed out.')
  return refusal(400, `The device refused the update: ${failure.message} (${failure.code})`)
}

export function reasonOf({ code, message }: Failure): { code: number; reason: string } {
  return { code, reason: message }
}
