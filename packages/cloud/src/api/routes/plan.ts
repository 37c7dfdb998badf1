/** What a device has, and what an update of it would take: asked without doing anything (docs/planner.md). */
import {
  type AssetRef,
  type Link,
  linkOf,
  type ModuleDependency,
  type OfferedApplication,
  type PlanDocument,
  type Platform,
  planDocument,
  planDowngrade,
  planUpdate,
  platformById,
  readModuleReference,
  releaseNeeds,
  type SystemDescribe,
} from '@aloe/firmware'
import { describeToJson } from '@aloe/protocol'
import { type Static, Type } from 'typebox'
import type { DeviceRecord } from '../../devices/device.ts'
import { owner } from '../access.ts'
import type { ApiContext } from '../context.ts'
import { badRequest, notFound } from '../errors.ts'
import { type ApiServer, BooleanLike, NumberLike, OptionalText, pathOf, readBoolean, readInteger } from '../schemas.ts'

const Reference = Type.Object({ function: Type.String(), index: Type.Number(), version: Type.Number() })
const Asset = Type.Object({
  name: Type.String({ maxLength: 255 }),
  hash: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  size: Type.Optional(Type.Number({ minimum: 0 })),
})

const Application = Type.Object({
  index: Type.Number(),
  version: Type.Number(),
  dependencies: Type.Array(Reference, { maxItems: 2 }),
  assets: Type.Optional(Type.Array(Asset, { maxItems: 200 })),
  hash: Type.Optional(Type.String({ pattern: '^[0-9a-f]{64}$' })),
  size: Type.Optional(Type.Number({ minimum: 0 })),
})

const PlanBody = Type.Object({
  /** Device OS release; `latest` for the newest final one. */
  target: OptionalText(64),
  downgrade: Type.Optional(BooleanLike),
  application: Type.Optional(Application),
  bytes_per_second: Type.Optional(NumberLike),
  reset_seconds: Type.Optional(NumberLike),
  combine: Type.Optional(BooleanLike),
  compress: Type.Optional(BooleanLike),
})

export function planRoutes(app: ApiServer, context: ApiContext): void {
  const { catalogue } = context

  app.get(
    '/v1/devices/:id/aloe/describe',
    { schema: { params: pathOf('id') }, config: { access: owner('updates:get') } },
    async (request) => {
      const device = context.device(request, request.params.id)
      const { platform, describe } = describedDevice(device)
      return {
        device_id: device.id,
        platform_id: platform.id,
        platform: platform.name,
        describe: JSON.parse(describeToJson({ ...describe, platformId: platform.id })),
        assets: describe.assets ?? [],
        protected: describe.protectedState === true,
      }
    },
  )

  app.post(
    '/v1/devices/:id/aloe/plan',
    { schema: { params: pathOf('id'), body: PlanBody }, config: { access: owner('updates:get') } },
    async (request) => planFor(context.device(request, request.params.id), request.body),
  )

  function planFor(device: DeviceRecord, body: PlanRequestBody): object {
    const { platform, describe } = describedDevice(device)
    const modules = catalogue.modules(platform.id)
    const link = linkOf(platform)
    const options = {
      link: {
        ...link,
        bytesPerSecond: positive(body.bytes_per_second, 'bytes_per_second') ?? link.bytesPerSecond,
        resetSeconds: positive(body.reset_seconds, 'reset_seconds') ?? link.resetSeconds,
      } satisfies Link,
      combine: readBoolean(body.combine) === true,
      compress: readBoolean(body.compress) === true,
      ...(body.application && { application: readApplication(body.application) }),
    }
    const release = body.target === undefined ? undefined : releaseNamed(body.target, platform)
    const start = { device_id: device.id, platform_id: platform.id, platform: platform.name, target: release ?? null }
    const answer = (document: PlanDocument) => ({
      ...start,
      ...document,
      prereleases: prereleasesIn(document, platform),
    })
    if (readBoolean(body.downgrade) === true) {
      if (release === undefined) throw badRequest('A downgrade needs the "target" to go back to')
      return answer(planDocument(planDowngrade(platform, describe, modules, { ...options, release })))
    }
    const needs = release === undefined ? [] : (releaseNeeds(platform, release, modules) ?? [])
    return answer(planDocument(planUpdate(platform, describe, modules, { ...options, needs })))
  }

  /** What to warn of: releases that the plan would bring, and that are pre-releases or previews. */
  function prereleasesIn(document: PlanDocument, { id }: Platform): string[] {
    const steps = document.ok ? document.steps : []
    const releases = new Set(
      steps.flatMap((step) => (step.kind === 'module' && step.release !== null ? [step.release] : [])),
    )
    return [...releases].filter((version) => {
      const release = catalogue.release(version, id)
      return release?.prerelease === true || release?.state === 'preview'
    })
  }

  function releaseNamed(version: string, platform: Platform): string {
    const release = catalogue.release(version, platform.id)
    if (!release) throw notFound(`There is no Device OS ${version} for ${platform.name} in the catalogue`)
    return release.version
  }
}

type PlanRequestBody = Static<typeof PlanBody>

function describedDevice(device: DeviceRecord): { platform: Platform; describe: SystemDescribe } {
  const platform = device.platformId === null ? undefined : platformById(device.platformId)
  if (!platform || !device.describe) throw notFound('The device has not said yet what it has: it must connect first')
  return { platform, describe: device.describe }
}

function readApplication(given: Static<typeof Application>): OfferedApplication {
  const assetDependencies: readonly AssetRef[] = (given.assets ?? []).map(({ name, hash, size }) => ({
    name,
    hash,
    ...(size !== undefined && { size }),
  }))
  return {
    ...reference({ function: 'user_part', index: given.index, version: given.version }),
    function: 'user_part',
    dependencies: given.dependencies.map(reference),
    assetDependencies,
    ...(given.hash !== undefined && { hash: given.hash }),
    ...(given.size !== undefined && { size: given.size }),
  }
}

function reference(value: unknown): ModuleDependency {
  const module = readModuleReference(value)
  if (typeof module === 'string') throw badRequest(module)
  return module
}

function positive(value: unknown, name: string): number | undefined {
  if (value === undefined) return undefined
  const number = readInteger(value)
  if (number === undefined || number < 1) throw badRequest(`"${name}" must be a positive number`)
  return number
}
