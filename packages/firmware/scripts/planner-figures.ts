/**
 * Writes docs/planner-figures.md: every pair of an installed public Device OS release and a newer one,
 * planned and carried out under the device's rules, and how fast plans are made.
 *
 *     node packages/firmware/scripts/planner-figures.ts
 *
 * It needs ../shared/data/device-os-releases.json beside the repository.
 */

import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { short } from '../src/fixtures/notation.ts'
import { publicCatalogue, publicReleasesMissing, unknownPublicReleases } from '../src/fixtures/public-releases.ts'
import { allFigures, type PlatformFigures, releasesOf } from '../src/fixtures/release-pairs.ts'
import type { CatalogueModule } from '../src/planner/catalogue.ts'
import { createPlanner, type PlanRequest } from '../src/planner/planner.ts'
import { platformById } from '../src/platforms/platforms.ts'

if (publicReleasesMissing) throw new Error(publicReleasesMissing)

const catalogue = publicCatalogue()
const started = performance.now()
const figures = allFigures(catalogue, unknownPublicReleases())
const seconds = (performance.now() - started) / 1000
const speed = measureSpeed(catalogue)
const sum = (pick: (of: PlatformFigures) => number) => figures.reduce((total, of) => total + pick(of), 0)
const number = (value: number) => Math.round(value).toLocaleString('en')

const rows = figures.map((of) => {
  const lengths = [...of.lengths].sort(([a], [b]) => a - b).map(([length, pairs]) => `${length}: ${number(pairs)}`)
  const cells = [of.platform, of.releases, of.targets, number(of.pairs), number(of.converged), number(of.impossible)]
  return `| ${[...cells, lengths.join(', ')].join(' | ')} |`
})
const longest = figures.map(({ platform, longest: { from, to, steps } }) => {
  return `| ${platform} | ${from} | ${to} | ${steps.map(short).join(', ')} |`
})
const reasons = figures.flatMap(({ platform, reasons: all }) => {
  const causes = new Map<string, number>()
  for (const [reason, pairs] of all) {
    const cause = reason.replace(/^.*?: /, '').replace(/, which .*$/, '')
    causes.set(cause, (causes.get(cause) ?? 0) + pairs)
  }
  return [...causes].map(([cause, pairs]) => `- ${platform}, ${number(pairs)} pairs: ${cause}.`)
})

const page = `# The planner in figures

Made by \`node packages/firmware/scripts/planner-figures.ts\` from the public Device OS releases
(\`device-os-releases.json\`), with Node.js ${process.version} on ${cpus().length} × ${cpus()[0]?.model.trim() ?? 'CPU'}.

Every pair of a release that a device is on and a newer one that its new application was built for: the device gets the
application, and the planner heals it. Each step is tested by the device's own rules (modules-and-platforms.md 4.2) in
the state that the steps before have left, the plan is made anew after each, and at the end the boot check must pass.

**${number(sum((of) => of.pairs))} pairs: ${number(sum((of) => of.converged))} converge,
${number(sum((of) => of.impossible))} are impossible for the reason below,
${number(sum((of) => of.failed.length))} fail.** The whole run, with all replanning and simulation, took
${seconds.toFixed(1)} s.

A pre-release that no final release carries is part of a plan in ${number(sum((of) => of.prerelease.named))} pairs: each time a
dependency names exactly that version. In ${number(sum((of) => of.prerelease.unnamed.length))} pairs one is used that nothing names.

| platform | installed | targets | pairs | converge | impossible | pairs by number of modules |
|---|---|---|---|---|---|---|
${rows.join('\n')}

"Targets" counts also releases of which only the number of their system parts is known; a device gets the smallest newer
ones. The Core (${number(unknownPublicReleases().filter(({ platformId }) => platformId === 0).length)} releases) has no modules to plan: its system and application are one image.

## Impossible

${reasons.join('\n') || 'None.'}

Proof: every version of the system part that would do needs it, and the file has none of that version or newer for the
platform, so nothing that can be sent meets the need, in whatever order.

## The longest plan of each platform

| platform | from | to | modules |
|---|---|---|---|
${longest.join('\n')}

## Speed

| | plans per second |
|---|---|
| each device in a state of its own (nothing remembered) | ${number(speed.cold)} |
| states that were planned before | ${number(speed.warm)} |

One core. The slowest of ${number(speed.plans)} plans took ${speed.slowest.toFixed(1)} ms.
`

writeFileSync(new URL('../../../docs/planner-figures.md', import.meta.url), page)
process.stdout.write(page)

function measureSpeed(modules: readonly CatalogueModule[]) {
  const ids = [...new Set(modules.map((module) => module.platformId))]
  const requests: { id: number; request: PlanRequest }[] = []
  for (const id of ids) {
    const platform = platformById(id)
    if (!platform) continue
    const releases = releasesOf(platform, modules)
    for (const [i, to] of releases.entries()) {
      for (const from of releases.slice(0, i)) {
        requests.push({ id, request: { installed: from.installed, needs: to.application.dependencies } })
      }
    }
  }
  // Thinned out evenly, so that no planner forgets a plan.
  const asked = requests.filter((_, i) => i % 3 === 0)
  const planners = new Map(
    ids.flatMap((id) => {
      const platform = platformById(id)
      return platform ? [[id, createPlanner(platform, modules)] as const] : []
    }),
  )
  let slowest = 0
  const run = () => {
    const start = performance.now()
    for (const { id, request } of asked) {
      const before = performance.now()
      planners.get(id)?.plan(request)
      slowest = Math.max(slowest, performance.now() - before)
    }
    return asked.length / ((performance.now() - start) / 1000)
  }
  const cold = run()
  const slowestCold = slowest
  return { plans: asked.length, cold, slowest: slowestCold, warm: run() }
}
