/** The state of a release: one word for people, the fields that the catalogue and the planner know it by. */
import { parseSemver, type ReleaseState } from '@aloe/firmware'
import { ImportError } from './import-error.ts'

export const stateWords = ['release', 'lts', 'preview', 'pre_release', 'archived'] as const
export type StateWord = (typeof stateWords)[number]

export interface StateFields {
  readonly state: ReleaseState
  readonly prerelease: boolean
  readonly lts: boolean
}

export function isStateWord(word: string): word is StateWord {
  return (stateWords as readonly string[]).includes(word)
}

/** A version with a pre-release tag (`6.2.0-rc.1`). */
export function isPrereleaseVersion(version: string): boolean {
  return (parseSemver(version)?.prerelease.length ?? 0) > 0
}

/**
 * Pre-releases are archived sooner or later, all of them (modules-and-platforms.md 3): that keeps them out of plans for
 * which anything else will do.
 *
 * @throws ImportError for a pre-release that is to be a final one
 */
export function stateFields(word: StateWord, version: string): StateFields {
  const prerelease = isPrereleaseVersion(version)
  if (prerelease && (word === 'release' || word === 'lts')) {
    throw new ImportError('state', `${version} is a pre-release by its version and cannot be ${word}`)
  }
  switch (word) {
    case 'release':
      return { state: 'ga', prerelease: false, lts: false }
    case 'lts':
      return { state: 'ga', prerelease: false, lts: true }
    case 'preview':
      return { state: 'preview', prerelease, lts: false }
    case 'pre_release':
      return { state: 'archived', prerelease: true, lts: false }
    case 'archived':
      return { state: 'archived', prerelease, lts: false }
  }
}

/** What a release is that nobody said anything of. */
export function defaultState(version: string): StateWord {
  return isPrereleaseVersion(version) ? 'pre_release' : 'release'
}

export function stateWord(fields: { state: ReleaseState; prerelease: boolean; lts?: boolean }): StateWord {
  if (fields.prerelease) return fields.state === 'preview' ? 'preview' : 'pre_release'
  if (fields.state === 'preview') return 'preview'
  if (fields.state === 'archived') return 'archived'
  return fields.lts === true ? 'lts' : 'release'
}
