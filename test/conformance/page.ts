/**
 * Writes docs/conformance.md out of the rows that the tests drive.
 *
 *     node test/conformance/page.ts
 */
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { cliRows } from './cli-rows.ts'
import { particleCliVersion } from './particle-cli.ts'
import { tableOf } from './row.ts'
import { sdkRows } from './sdk-rows.ts'

export const pagePath = fileURLToPath(new URL('../../docs/conformance.md', import.meta.url))

export function page(): string {
  return `# Conformance: the official clients on Aloe

The tests in \`test/conformance\` drive the unmodified particle-cli ${particleCliVersion} and particle-api-js 12.0.3 through every
command and method, against a running cloud with devices. Each row that works was judged by its effect, read back
through another door: an answer of 200 whose effect is not there fails. This page is written by
\`node test/conformance/page.ts\` out of the rows that the tests drive; a test compares it, and the list of commands and
methods with what the clients really have.

    npm run conformance:install     # particle-cli, into .cache/ (190 MB; ALOE_CACHE names another folder)
    node --test "test/conformance/*.test.ts"

- **works**: driven, and its effect read back.
- **refuses**: driven; the cloud says in words, which the client shows, what it has not. Nobody is logged out by it.
- **local**: the command speaks with a board on USB or with files; no cloud is asked.
- **out of scope**: another service of Particle's than the device cloud.

${tableOf(cliRows, 'particle-cli')}

${tableOf(sdkRows, 'particle-api-js')}
`
}

if (import.meta.main) writeFileSync(pagePath, page())
