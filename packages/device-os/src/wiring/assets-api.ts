/** `System`: the assets that came with the application. */
import type { Member } from './runtime.ts'

export const assetsAvailable: Member = (runtime) => async () => (await runtime.request('assets')) ?? []

export const readAsset: Member = (runtime) => async (name: string) =>
  (await runtime.request('asset', String(name))) ?? undefined
