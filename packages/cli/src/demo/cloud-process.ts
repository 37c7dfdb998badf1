/** The demo's cloud: `aloe up` as a process of its own, on free ports, in a folder that goes away with the demo. */

import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { CliError } from '../cli-error.ts'

const main = new URL('../main.ts', import.meta.url).pathname
/** A cloud that builds its releases at its first start needs a few seconds on a slow machine. */
const startAllowance = 60_000
const stopAllowance = 10_000

export interface CloudProcess {
  readonly url: string
  readonly tcpPort: number
  /** Undefined when it does not serve devices over UDP. */
  readonly udpPort: number | undefined
  /** Ends it in good order. */
  stop(): Promise<void>
}

export interface CloudAccount {
  readonly username: string
  readonly password: string
}

/** Starts a cloud and waits until it serves. */
export async function startCloudProcess(dataDir: string, account: CloudAccount): Promise<CloudProcess> {
  const child = spawn(process.execPath, [main, 'up', '--json'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...withoutAloe(process.env),
      ALOE_HOST: '127.0.0.1',
      ALOE_HTTP_PORT: '0',
      ALOE_TCP_PORT: '0',
      ALOE_UDP_PORT: '0',
      ALOE_DATA_DIR: dataDir,
      ALOE_ADMIN_USERNAME: account.username,
      ALOE_ADMIN_PASSWORD: account.password,
      ALOE_LOG_LEVEL: 'warn',
    },
  })
  const gone = endOf(child)
  const words: string[] = []
  child.stderr?.setEncoding('utf8').on('data', (text: string) => words.push(text))
  const stop = async () => {
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), stopAllowance)
    await gone
    clearTimeout(timer)
  }
  const ready = await Promise.race([firstLine(child), gone.then(() => undefined), patience()])
  const { http, tcp, udp } = readReady(ready)
  if (http === undefined || tcp === undefined) {
    await stop()
    throw new CliError(`The cloud did not start: ${words.join('').trim().slice(-2_000) || 'it said nothing'}`)
  }
  return { url: http, tcpPort: tcp, udpPort: udp, stop }
}

/** A running cloud's own settings are not for this one. */
function withoutAloe(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith('ALOE_')))
}

function endOf(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => child.once('close', () => resolve()))
}

function firstLine(child: ChildProcess): Promise<string | undefined> {
  return new Promise((resolve) => {
    if (child.stdout === null) resolve(undefined)
    else createInterface({ input: child.stdout }).once('line', resolve)
  })
}

function patience(): Promise<undefined> {
  return new Promise((resolve) => setTimeout(() => resolve(undefined), startAllowance).unref())
}

function readReady(line: string | undefined): { http?: string; tcp?: number; udp?: number } {
  try {
    const { ready, http, tcp, udp } = JSON.parse(line ?? '{}')
    return ready === true ? { http, tcp, ...(typeof udp === 'number' && { udp }) } : {}
  } catch {
    return {}
  }
}
