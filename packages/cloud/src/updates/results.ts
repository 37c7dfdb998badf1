/**
 * What a device's answer to an update means for what comes next: the result codes of modules-and-platforms.md 4.3, and
 * what its 5.2 does about them.
 */
import { systemErrorMessage, updateResult } from '@aloe/firmware'
import { systemError } from '@aloe/protocol'

export type Reaction =
  /** Once more, after a pause and in a new session. A few times for each module; an owner who waits is told at once. */
  | 'retry'
  /** Once more from offset 0: what the device kept is of no use. */
  | 'restart'
  /** Once more as a plain file, if it was compressed or combined; otherwise `give-up`. */
  | 'plain'
  /** The device knows better what it has: ask it, and plan anew. */
  | 'replan'
  /** Go on when the device allows updates. */
  | 'wait'
  /** Nothing was decided: again as soon as the device is there. */
  | 'again'
  | 'give-up'

interface Row {
  readonly reaction: Reaction
  /** What the owner can do when it is given up. */
  readonly next: string
}

const another = 'Build the file again, or take another one.'
const again = 'Try again; if it goes on, restart the device.'

export const reactions: Readonly<Record<number, Row>> = {
  [updateResult.moduleNotFound]: {
    reaction: 'give-up',
    next: 'Check that the file is for this platform and Device OS: the device has no place for it.',
  },
  [updateResult.unsupportedModule]: {
    reaction: 'plain',
    next: 'The device does not take modules of this kind over the air; some need a cable.',
  },
  [updateResult.validationFailed]: { reaction: 'retry', next: another },
  [updateResult.integrityCheckFailed]: { reaction: 'restart', next: another },
  [updateResult.resumedUpdateFailed]: { reaction: 'restart', next: again },
  [updateResult.dependencyCheckFailed]: {
    reaction: 'replan',
    next: 'See what the device lacks: aloe plan --device DEVICE. Send that first, or import the release that has it.',
  },
  [updateResult.invalidAddress]: { reaction: 'give-up', next: another },
  [updateResult.invalidSize]: { reaction: 'give-up', next: 'The file is too large for the device.' },
  [updateResult.invalidPlatform]: { reaction: 'give-up', next: 'Build it for the platform of the device.' },
  [updateResult.invalidFormat]: { reaction: 'plain', next: another },
  [updateResult.updatesDisabled]: {
    reaction: 'wait',
    next: 'The application has disabled updates (System.disableUpdates): force them, or wait until it allows them.',
  },
  [updateResult.error]: { reaction: 'retry', next: again },
  [updateResult.protected]: {
    reaction: 'give-up',
    next: 'Device protection is on: use a bootloader that is protected, and Device OS 6.0.0 or newer.',
  },
  [updateResult.busy]: { reaction: 'retry', next: again },
  [updateResult.notSupported]: { reaction: 'plain', next: 'The device does not know this kind of update.' },
  [updateResult.notAllowed]: { reaction: 'retry', next: again },
  [updateResult.timeout]: { reaction: 'again', next: again },
  [updateResult.notFound]: { reaction: 'give-up', next: another },
  [updateResult.tooLarge]: {
    reaction: 'give-up',
    next: 'The file is too large for the device: remove assets, or make them smaller.',
  },
  [updateResult.invalidState]: { reaction: 'again', next: again },
  [updateResult.flashIo]: { reaction: 'retry', next: 'Restart the device; its flash memory may be worn out.' },
  [updateResult.protocol]: { reaction: 'retry', next: again },
  [updateResult.noMemory]: { reaction: 'retry', next: 'Restart the device: it has no memory left for an update.' },
  [updateResult.invalidArgument]: { reaction: 'retry', next: again },
  [updateResult.badData]: { reaction: 'restart', next: another },
  [systemError.aborted]: { reaction: 'again', next: again },
  [systemError.cancelled]: { reaction: 'again', next: again },
}

const unknown: Row = { reaction: 'retry', next: again }

export interface Answer {
  readonly code: number
  readonly stage: 'start' | 'transfer' | 'finish'
  /** The connection ended under it. */
  readonly interrupted: boolean
}

/** What to do after a failure. @param squeezed the file was compressed or combined */
export function reactionTo({ code, stage, interrupted }: Answer, squeezed: boolean): Reaction {
  if (interrupted) return 'again'
  const { reaction } = reactions[code] ?? unknown
  // What is said in the middle of a file is about the transfer; at its ends, about the file.
  if (reaction === 'again') return stage === 'transfer' ? 'again' : 'retry'
  if (reaction === 'plain') return squeezed ? 'plain' : 'give-up'
  return reaction
}

/** What the owner can do about it. */
export function nextStepFor(code: number | undefined): string {
  return (code === undefined ? undefined : reactions[code]?.next) ?? unknown.next
}

/** A code in words, with the number. */
export function codeText(code: number): string {
  return `${systemErrorMessage(code)} (${code})`
}
