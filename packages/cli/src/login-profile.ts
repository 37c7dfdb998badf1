/**
 * Who is logged in where: `~/.aloe/profile.json`, readable by its owner only.
 *
 * A token belongs to the cloud that gave it and is never sent to another one.
 */

import { chmod, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { CliError } from './cli-error.ts'

export interface Login {
  readonly username: string
  readonly token: string
  /** ISO time; null when the token never expires. */
  readonly expiresAt: string | null
}

export interface Profile {
  /** URL of the cloud that commands talk to when none is named. */
  readonly cloud?: string
  /** By the cloud's URL. */
  readonly logins: Readonly<Record<string, Login>>
}

export function profilePath(home: string = homedir()): string {
  return join(home, '.aloe', 'profile.json')
}

/** Reads the profile; an absent one is empty. */
export async function readProfile(path: string = profilePath()): Promise<Profile> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return { logins: {} }
    throw new CliError(`The login profile ${path} cannot be read.`, { cause: error })
  }
  try {
    const { cloud, logins } = JSON.parse(text)
    return { ...(typeof cloud === 'string' && { cloud }), logins: typeof logins === 'object' && logins ? logins : {} }
  } catch (error) {
    throw new CliError(`The login profile ${path} is damaged.`, {
      hint: 'Remove that file and log in again: aloe login',
      cause: error,
    })
  }
}

/** Replaces the profile as a whole; only its owner may read it (mode 600). */
export async function writeProfile(profile: Profile, path: string = profilePath()): Promise<void> {
  await mkdir(join(path, '..'), { recursive: true, mode: 0o700 })
  const next = `${path}.${process.pid}`
  try {
    await writeFile(next, `${JSON.stringify(profile, undefined, 2)}\n`, { mode: 0o600 })
    await chmod(next, 0o600)
    await rename(next, path)
  } catch (error) {
    await rm(next, { force: true })
    throw error
  }
}

/** Adds or replaces the login at a cloud, which becomes the one that commands talk to. */
export function withLogin(profile: Profile, cloud: string, login: Login): Profile {
  return { cloud, logins: { ...profile.logins, [cloud]: login } }
}

/** Forgets the login at a cloud. */
export function withoutLogin(profile: Profile, cloud: string): Profile {
  const { [cloud]: _forgotten, ...logins } = profile.logins
  return { ...profile, logins }
}
