/** Mail by a command of the machine, `sendmail -t` for one: it gets the message on its standard input. */
import { spawn } from 'node:child_process'
import type { Mail, SendMail } from './api/mail.ts'

const timeout = 30_000

/**
 * @param command as the shell takes it; gets a message with headers (RFC 5322), and the address in `MAIL_TO`
 * @param from the sender's address
 */
export function mailByCommand(command: string, from: string): SendMail {
  return (mail) =>
    new Promise((resolve, reject) => {
      const child = spawn(command, {
        shell: true,
        stdio: ['pipe', 'ignore', 'pipe'],
        timeout,
        env: { ...process.env, MAIL_TO: mail.to },
      })
      let said = ''
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        said = (said + text).slice(0, 1_000)
      })
      child.on('error', reject)
      child.on('close', (code) => {
        if (code === 0) resolve()
        else reject(new Error(`The mail command failed (${code ?? 'it took too long'}): ${said.trim()}`))
      })
      // A command that does not read is told so by its exit code, not by a broken pipe.
      child.stdin.on('error', () => undefined)
      child.stdin.end(message(mail, from))
    })
}

function message({ to, subject, text }: Mail, from: string): string {
  // Usernames have neither spaces nor control characters, so that an address cannot become another header.
  const headers = [
    `From: ${from}`,
    `To: ${to}`,
    `Subject: ${subject}`,
    `Date: ${new Date().toUTCString().replace('GMT', '+0000')}`,
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
    // Nobody's machine answers to it.
    'Auto-Submitted: auto-generated',
  ]
  return `${headers.join('\n')}\n\n${text}\n`
}
