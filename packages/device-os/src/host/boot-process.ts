/**
 * The bootloader's process: runs the code inside the installed bootloader module for one boot, and is its machine:
 * starts the system's process, watches it, and says how it ended. Started by the ROM (`runDevice`).
 */
import { platformById } from '@aloe/firmware'
import type { BootDecision } from '../boot/decision.ts'
import type { Rom, SystemEnd } from '../boot/rom.ts'
import { Flash } from '../flash/flash.ts'
import { FileStorage } from '../storage/file-storage.ts'
import { beChild, type Child, type Parent, startChild } from './child-process.ts'
import { flashFolder } from './device-folder.ts'
import { ModuleBodyError } from './evaluate.ts'
import { installedBootloader } from './installed-bootloader.ts'
import type { BootMessage, BootProcessInput, SystemMessage, SystemProcessInput } from './messages.ts'

/** The first feeding may take so much longer: the system's process has to start. */
const startAllowance = 20_000
/** A system that is told to stop gets so long to say goodbye. */
const stopAllowance = 5_000

const systemProcess = new URL('./system-process.ts', import.meta.url)

class BootProcess {
  readonly #input: BootProcessInput
  readonly #parent: Parent<BootMessage>
  #system: Child<SystemProcessInput> | undefined
  #stopping = false
  #orderly = true
  #end: SystemEnd | undefined
  #leave: (() => void) | undefined

  constructor(input: BootProcessInput, parent: Parent<BootMessage>) {
    this.#input = input
    this.#parent = parent
  }

  async run(): Promise<void> {
    const input = this.#input
    const platform = platformById(input.platformId)
    if (!platform) throw new ModuleBodyError(`there is no platform ${input.platformId}`)
    const storage = new FileStorage(flashFolder(input.dir))
    const rom: Rom = {
      storage,
      platform,
      powerOn: input.powerOn,
      log: (line) => this.#parent.send({ type: 'line', line }),
      signal: (signal) => this.#parent.send({ type: 'signal', signal }),
      startSystem: (decision) => this.#startSystem(decision),
      stay: (reason) => this.#stay(reason),
    }
    await installedBootloader(new Flash(storage, platform), false)(rom)
    this.#parent.sendLast({ type: 'returned', orderly: this.#orderly })
  }

  stop(): void {
    this.#stopping = true
    this.#leave?.()
    const system = this.#system
    if (!system) return
    system.send({ type: 'stop' })
    setTimeout(() => system.process.kill('SIGKILL'), stopAllowance)
  }

  resetPin(): void {
    this.#leave?.()
    this.#endSystem({ kind: 'reset', reason: 'pin_reset' })
  }

  /** Ends the system at once, for a reason that is known. */
  #endSystem(end: SystemEnd): void {
    if (!this.#system) return
    this.#end ??= end
    this.#system.process.kill('SIGKILL')
  }

  async #startSystem(decision: BootDecision): Promise<SystemEnd> {
    if (this.#stopping) return { kind: 'off' }
    this.#end = undefined
    const { dir, platformId, watchdog } = this.#input
    const bite = () => this.#endSystem({ kind: 'watchdog' })
    let timer = setTimeout(bite, watchdog + startAllowance)
    const system = startChild<SystemProcessInput, SystemMessage>(
      systemProcess,
      { dir, platformId, parent: process.pid, decision },
      (message) => {
        if (message.type === 'alive' || message.type === 'started') {
          clearTimeout(timer)
          timer = setTimeout(bite, watchdog)
        }
        this.#receive(message)
      },
    )
    this.#system = system
    this.#parent.send({ type: 'decided', decision, systemPid: system.process.pid })
    const { code, signal } = await system.ended
    clearTimeout(timer)
    this.#system = undefined
    const end = this.#stopping ? { kind: 'off' as const } : (this.#end ?? endOf(code, signal))
    this.#orderly = end.kind === 'reset' || end.kind === 'off'
    this.#parent.send({ type: 'system-ended', kind: end.kind, words: wordsOf(end) })
    return end
  }

  #receive(message: SystemMessage): void {
    switch (message.type) {
      case 'led':
      case 'log':
        this.#parent.send(message)
        break
      case 'started':
        this.#parent.send({ type: 'system-started' })
        break
      case 'reset':
        this.#end ??= {
          kind: 'reset',
          reason: message.reason,
          ...(message.data !== undefined && { data: message.data }),
        }
        break
      case 'crash':
      case 'unusable':
        this.#end ??= { kind: message.type, message: message.message }
        break
      case 'ready':
      case 'alive':
      case 'stopped':
        break
    }
  }

  #stay(reason: string): Promise<void> {
    this.#parent.send({ type: 'stays', reason })
    if (this.#stopping) return Promise.resolve()
    return new Promise((resolve) => {
      this.#leave = resolve
    })
  }
}

function endOf(code: number | null, signal: NodeJS.Signals | null): SystemEnd {
  return signal === null ? { kind: 'exit', code: code ?? -1 } : { kind: 'signal', signal }
}

function wordsOf(end: SystemEnd): string {
  switch (end.kind) {
    case 'reset':
      return `reset: ${end.reason}${end.data ? ` (${end.data})` : ''}`
    case 'exit':
      return `the system's process ended by itself with code ${end.code}`
    case 'signal':
      return `the system's process was ended by ${end.signal}`
    case 'crash':
      return `panic: ${end.message}`
    case 'watchdog':
      return 'the watchdog has bitten: the system hung'
    case 'unusable':
      return end.message
    case 'off':
      return 'switched off'
  }
}

beChild<BootProcessInput, BootMessage>('bootloader', false, (input, parent) => {
  parent.send({ type: 'ready' })
  const boot = new BootProcess(input, parent)
  process.on('uncaughtException', (error) => {
    parent.sendLast({ type: 'unusable', message: error.stack ?? error.message })
  })
  boot.run().catch((error: unknown) => {
    if (error instanceof ModuleBodyError) return parent.sendLast({ type: 'unusable', message: error.message })
    // The code is there and failed, on a full disk for example: the ROM boots again.
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
    parent.send({ type: 'line', line: { level: 'error', message: `the boot failed: ${message}` } })
    parent.sendLast({ type: 'returned', orderly: false })
  })
  return (message) => {
    if (message.type === 'stop') boot.stop()
    if (message.type === 'reset-pin') boot.resetPin()
  }
})
