/** Questions on a terminal; elsewhere an error that says which option answers them. */

import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { CliError, exitCode } from './cli-error.ts'

/** @param option the option that answers the question without a terminal */
export async function ask(question: string, option: string): Promise<string> {
  return await prompt(question, option, process.stderr)
}

/** Like `ask`, and what is typed is not shown. */
export async function askSecret(question: string, option: string): Promise<string> {
  process.stderr.write(process.stdin.isTTY ? `${question}: ` : '')
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() })
  try {
    return await prompt(question, option, silent)
  } finally {
    if (process.stdin.isTTY) process.stderr.write('\n')
  }
}

/** Asks for a yes; anything else is a no. */
export async function confirm(question: string, option: string): Promise<boolean> {
  return /^y(es)?$/i.test(await prompt(`${question} [y/N]`, option, process.stderr))
}

async function prompt(question: string, option: string, shown: NodeJS.WritableStream): Promise<string> {
  if (!process.stdin.isTTY) {
    throw new CliError(`There is no terminal to ask on: ${question}?`, {
      code: exitCode.usage,
      hint: `Give the answer with ${option}.`,
    })
  }
  const lines = createInterface({ input: process.stdin, output: shown, terminal: true })
  const interrupted = new AbortController()
  lines.once('SIGINT', () => interrupted.abort())
  try {
    return (await lines.question(`${question}: `, { signal: interrupted.signal })).trim()
  } catch (error) {
    if (interrupted.signal.aborted) throw new CliError('Interrupted.', { code: exitCode.failed })
    throw error
  } finally {
    lines.close()
  }
}
