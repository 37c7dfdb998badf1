/** The system's process: runs the code inside the installed system parts. Started by the bootloader's process. */
import { platformById } from '@aloe/firmware'
import { Flash } from '../flash/flash.ts'
import { LinuxHal, workerRunner } from '../hal/index.ts'
import { FileStorage } from '../storage/file-storage.ts'
import { beChild } from './child-process.ts'
import { flashFolder } from './device-folder.ts'
import { bodyText, ModuleBodyError } from './evaluate.ts'
import type { SystemMessage, SystemProcessInput } from './messages.ts'
import { startInstalledSystem } from './start-system.ts'

beChild<SystemProcessInput, SystemMessage>('system', true, (input, parent) => {
  parent.send({ type: 'ready' })
  const crash = (error: unknown) => {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
    parent.sendLast(error instanceof ModuleBodyError ? { type: 'unusable', message } : { type: 'crash', message })
  }
  process.on('uncaughtException', crash)
  const platform = platformById(input.platformId)
  if (!platform) throw new ModuleBodyError(`there is no platform ${input.platformId}`)
  const flash = new Flash(new FileStorage(flashFolder(input.dir)), platform)
  const hal = new LinuxHal({
    onLed: (led) => parent.send({ type: 'led', led }),
    onLog: (record) => parent.send({ type: 'log', record }),
    onAlive: () => parent.send({ type: 'alive' }),
  })
  const system = startInstalledSystem({
    flash,
    hal,
    decision: input.decision,
    shared: false,
    runApplication: (part2) => workerRunner(bodyText(part2)),
    reset: (reason, data) => parent.sendLast({ type: 'reset', reason, ...(data !== undefined && { data }) }),
  })
  parent.send({ type: 'started' })
  return (message) => {
    if (message.type !== 'stop') return
    system.stop(true).then(() => parent.sendLast({ type: 'stopped' }), crash)
  }
})
