/** For tests: a process that runs the device in the folder given to it and prints its status. */
import { runDevice } from './run-device.ts'

const dir = process.argv[2] ?? ''
const device = runDevice({
  dir,
  onStatus: ({ phase, bootloaderPid, systemPid, reason }) => {
    process.stdout.write(`${JSON.stringify({ phase, bootloaderPid, systemPid, reason })}\n`)
  },
})
process.on('SIGTERM', () => void device.stop().then(() => process.exit(0)))
