/** What the rows of particle-api-js's table are driven with. */
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import type Particle from 'particle-api-js'
import type { Row } from './row.ts'
import type { World } from './world.ts'

export interface SdkStage {
  readonly world: World
  /** Logged in as the owner; its types are behind its methods in places. */
  // biome-ignore lint/suspicious/noExplicitAny: what comes is what the tests assert
  readonly particle: any
  /** Without a token. */
  // biome-ignore lint/suspicious/noExplicitAny: as above
  readonly guest: any
  /** A product of the owner's for platform `linux`, in which the device alpha is. */
  readonly product: number
  client(auth?: string): Particle
}

export type SdkRow = Row<SdkStage>

export interface Failure {
  readonly statusCode: number
  readonly body: { readonly error?: string }
}

export const works = (name: string, note: string, run: (stage: SdkStage) => Promise<void>): SdkRow => ({
  name,
  outcome: 'works',
  note,
  run,
})

/** @throws AssertionError when it is not refused with this status */
export async function refused(promise: Promise<unknown>, status: number): Promise<Failure> {
  const failure = await promise.then(
    () => assert.fail('it was not refused'),
    (error: Failure) => error,
  )
  assert.equal(failure.statusCode, status, JSON.stringify(failure.body))
  return failure
}

/** Waits no longer than a test may. */
export async function soon<T>(promise: Promise<T>, what: string): Promise<T> {
  const late = delay(15_000, undefined, { ref: false }).then(() => assert.fail(`it did not come: ${what}`))
  return await Promise.race([promise, late])
}
