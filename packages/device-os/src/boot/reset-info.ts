import { panicCodes, type ResetInfo } from '../flash/reset-reason.ts'
import type { SystemEnd } from './rom.ts'

/** Signals by which a process dies of its own fault, with the panic code that a board would blink. */
const faultSignals: Readonly<Record<string, number>> = {
  SIGSEGV: panicCodes.hard_fault,
  SIGBUS: panicCodes.bus_fault,
  SIGILL: panicCodes.usage_fault,
  SIGFPE: panicCodes.usage_fault,
  // How V8 ends when the heap is full.
  SIGABRT: panicCodes.out_of_heap,
  SIGTRAP: panicCodes.out_of_heap,
}

/** The reset reason (modules-and-platforms.md 6.3) of a run that ended by anything but the power. */
export function resetInfoOf(end: Exclude<SystemEnd, { kind: 'off' | 'unusable' }>): ResetInfo {
  switch (end.kind) {
    case 'reset':
      return { reason: end.reason, data: end.data ?? 0 }
    case 'exit':
      return { reason: 'panic', data: panicCodes.exit, message: `the system ended with exit code ${end.code}` }
    case 'crash':
      return { reason: 'panic', data: panicCodes.assertion_failure, message: end.message }
    case 'watchdog':
      return { reason: 'watchdog', data: 0, message: 'the system hung' }
    case 'signal': {
      const fault = faultSignals[end.signal]
      const message = `the system was ended by ${end.signal}`
      // From outside, as by a finger on the reset button.
      return fault === undefined ? { reason: 'pin_reset', data: 0, message } : { reason: 'panic', data: fault, message }
    }
  }
}
