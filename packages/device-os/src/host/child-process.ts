/** The two ends of a device's process: starting one, and being one. */
import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { markProcess } from './device-processes.ts'
import type { ChildMessage, DeviceProcessInput } from './messages.ts'

/** A device sees nothing of its starter's environment but what finds the clock's zone and the network. */
const passedOn = ['PATH', 'TZ', 'LANG', 'HOME', 'NODE_EXTRA_CA_CERTS', 'NODE_COMPILE_CACHE', 'SystemRoot']

export interface Child<Input> {
  readonly process: ChildProcess
  send(message: ChildMessage<Input>): void
  /** Resolves when the process is gone and everything that it has said was heard. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>
}

/**
 * Starts a process of the device.
 * @param onOutput what it prints; without it that goes where this process's own output goes
 */
export function startChild<Input extends DeviceProcessInput, Message extends object>(
  file: URL,
  input: Input,
  onMessage: (message: Message) => void,
  onOutput?: (line: string) => void,
): Child<Input> {
  // Compiled code of this program, kept between boots: they take a third of the time with it.
  const env: NodeJS.ProcessEnv = { NODE_COMPILE_CACHE: join(input.dir, 'code-cache') }
  for (const name of passedOn) if (process.env[name] !== undefined) env[name] = process.env[name]
  const output = onOutput ? 'pipe' : 'inherit'
  const child = fork(fileURLToPath(file), [], {
    serialization: 'advanced',
    execArgv: [],
    env,
    stdio: ['ignore', output, output, 'ipc'],
  })
  child.on('message', (message) => onMessage(message as Message))
  if (onOutput) for (const stream of [child.stdout, child.stderr]) if (stream) eachLine(stream, onOutput)

  let code: number | null = null
  let signal: NodeJS.Signals | null = null
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    let waiting = 2
    const one = () => {
      waiting--
      if (waiting === 0) resolve({ code, signal })
    }
    // Messages may still be read after the exit, until the channel is closed.
    child.once('disconnect', one)
    child.once('exit', (exitCode, exitSignal) => {
      code = exitCode
      signal = exitSignal
      one()
    })
    child.once('error', () => {
      if (child.pid === undefined) resolve({ code: null, signal: null })
    })
  })
  const send = (message: ChildMessage<Input>) => {
    if (child.connected) child.send(message, () => {})
  }
  send({ type: 'input', input })
  return { process: child, send, ended }
}

function eachLine(stream: NodeJS.ReadableStream, onLine: (line: string) => void): void {
  let rest = ''
  stream.setEncoding('utf8')
  stream.on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = (lines.pop() ?? '').slice(-65_536)
    for (const line of lines) onLine(line)
  })
  stream.on('end', () => rest !== '' && onLine(rest))
}

export interface Parent<Message> {
  send(message: Message): void
  /** Sends a last message and ends this process when it is on its way. */
  sendLast(message: Message): void
}

/** Looks once in a while whether the parent is still the same; a thread, as the process itself may hang. */
const guardSource = `
const { workerData } = require('node:worker_threads')
setInterval(() => { if (process.ppid !== workerData) process.kill(process.pid, 'SIGKILL') }, 200)
`

const lastWords = 2_000

/**
 * Makes this process one of the device: it waits for its input, leaves its mark, and dies with its parent.
 * @param guarded also when it hangs
 */
export function beChild<Input extends DeviceProcessInput, Message extends object>(
  role: string,
  guarded: boolean,
  start: (input: Input, parent: Parent<Message>) => (message: ChildMessage<Input>) => void,
): void {
  const die = () => process.kill(process.pid, 'SIGKILL')
  // A key press in the terminal goes to all processes there; the ROM decides what it means.
  process.on('SIGINT', () => {})
  process.on('disconnect', die)
  if (!process.send) {
    process.stderr.write('this is a part of a device and is started by runDevice\n')
    process.exit(2)
  }
  let ending = false
  const parent: Parent<Message> = {
    send: (message) => {
      if (!ending && process.connected) process.send?.(message, undefined, undefined, () => {})
    },
    sendLast: (message) => {
      if (ending) return
      ending = true
      const end = () => process.exit(0)
      setTimeout(end, lastWords)
      process.send?.(message, undefined, undefined, end)
    },
  }
  let receive: ((message: ChildMessage<Input>) => void) | undefined
  process.on('message', (value) => {
    const message = value as ChildMessage<Input>
    if (message.type !== 'input') {
      receive?.(message)
      return
    }
    if (receive) return
    const { input } = message
    markProcess(input.dir, role)
    if (process.ppid !== input.parent || !process.connected) die()
    if (guarded) new Worker(guardSource, { eval: true, workerData: input.parent, execArgv: [], env: {} }).unref()
    receive = start(input, parent)
  })
}
