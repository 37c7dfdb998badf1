/** `System`: the device itself, as an application sees it. */
import { ApplicationEnded, type Member, type SystemEventHandler } from './runtime.ts'

export const version: Member =
  ({ release }) =>
  () =>
    release.version

/** 0xAABBCCDD: major, minor, patch, and 0 for a final release or 0x80 + n for `rc.n`. */
export const versionNumber: Member =
  ({ release }) =>
  () => {
    const [core = '', preview] = release.version.split('-')
    const [major = 0, minor = 0, patch = 0] = core.split('.').map(Number)
    const candidate = preview === undefined ? 0 : 0x80 | (Number(preview.replace(/\D/g, '')) & 0x3f)
    return major * 0x1000000 + minor * 0x10000 + patch * 0x100 + candidate
  }

export const deviceId: Member = (runtime) => () => runtime.deviceId

export const freeMemory: Member = (runtime) => () =>
  Math.max(0, runtime.state.number('memoryTotal') - runtime.state.number('memoryUsed'))

export const uptime: Member = (runtime) => () => Math.floor(runtime.uptime() / 1000)

export const systemMillis: Member = (runtime) => () => Math.floor(runtime.uptime())

export const reset: Member =
  (runtime) =>
  (data = 0): never => {
    runtime.tell('reset', data)
    throw new ApplicationEnded()
  }

export const enterSafeMode: Member = (runtime) => (): never => {
  runtime.tell('safeMode')
  throw new ApplicationEnded()
}

export const resetReason: Member = (runtime) => () => runtime.state.get('resetReason')

export const resetReasonData: Member = (runtime) => () => runtime.state.get('resetReasonData')

// The shared cells are set at once, so that what is asked next is already true; the system then does the same.

export const enableUpdates: Member = (runtime) => () => {
  runtime.state.set('updatesEnabled', 1)
  runtime.tell('updates', true)
}

export const disableUpdates: Member = (runtime) => () => {
  runtime.state.set('updatesEnabled', 0)
  runtime.tell('updates', false)
}

export const updatesEnabled: Member = (runtime) => () => runtime.state.is('updatesEnabled')

export const updatesPending: Member = (runtime) => () => runtime.state.is('updatesPending')

export const updatesForced: Member = (runtime) => () => runtime.state.is('updatesForced')

export const enableReset: Member = (runtime) => () => {
  runtime.state.set('resetEnabled', 1)
  runtime.tell('resetEnabled', true)
}

export const disableReset: Member = (runtime) => () => {
  runtime.state.set('resetEnabled', 0)
  runtime.tell('resetEnabled', false)
}

export const resetPending: Member = (runtime) => () => runtime.state.is('resetPending')

export const on: Member = (runtime) => (events: number, handler: SystemEventHandler) => {
  runtime.listen(events, handler)
  return true
}

export const off: Member =
  (runtime) => (eventsOrHandler: number | SystemEventHandler, handler?: SystemEventHandler) => {
    if (typeof eventsOrHandler === 'function') runtime.unlisten(eventsOrHandler, -1)
    else runtime.unlisten(handler, eventsOrHandler)
  }
