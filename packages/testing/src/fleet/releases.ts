/**
 * The Device OS releases of simulated worlds: a synthetic catalogue with the shapes of the public one
 * (modules-and-platforms.md 5.3, 10.1), as module files that are a hundred times smaller. Parts that need each other and
 * a stepping stone between them (Photon, Electron), a circle through a co-processor that only a pre-release leaves
 * (Tracker), floors on bootloaders that a device enforces (Boron) or leaves to its boot check (Argon), a radio stack that
 * needs what needs it, a chain of bootloaders (P2), and Aloe's own platform.
 */
import type { CoreModule } from '@aloe/cloud'
import {
  buildModule,
  type CatalogueModule,
  type ModuleDependency,
  type ModuleFunction,
  moduleFunctionOfLetter,
  type Platform,
  platformByName,
  slotOf,
} from '@aloe/firmware'
import { seeded } from '../network/random.ts'

export interface Release {
  readonly version: string
  readonly modules: readonly CoreModule[]
}

type Line = readonly (readonly [version: string, modules: string])[]

// f index@version(dependencies), as modules-and-platforms.md 5.3 writes modules.
const photon: Line = [
  ['0.6.3', 'b0@11 s1@109 s2@109(s1@109)'],
  ['0.7.0', 'b0@101 s1@207 s2@207(s1@207,b0@101)'],
  ['1.2.1', 'b0@400 s1@1213(s2@204) s2@1213(s1@1213,b0@400)'],
  ['1.5.2', 'b0@502 s1@1512(s2@207) s2@1512(s1@1512,b0@400)'],
  ['3.3.1', 'b0@1003 s1@3302(s2@207) s2@3302(s1@3302,b0@1003)'],
]

const electron: Line = [
  ['0.6.2', 'b0@11 s1@108(s3@108) s2@108(s1@108) s3@108'],
  ['0.6.4', 'b0@11 s1@110(s3@110) s2@110(s1@110) s3@110'],
  ['1.2.1', 'b0@400 s1@1213(s3@1213) s2@1213(s1@1213,b0@400) s3@1213(s2@110)'],
  ['3.3.1', 'b0@1003 s1@3302(s3@3302) s2@3302(s1@3302,b0@1003) s3@3302(s2@110)'],
]

const boron: Line = [
  ['1.2.1', 'b0@311 s1@1213(b0@201) a0@169'],
  ['1.3.1', 'b0@401 s1@1321(b0@400)'],
  ['1.5.2', 'b0@501 s1@1512(b0@501,a0@202) a0@202(b0@501,s1@1321)'],
  ['2.3.1', 'b0@1005 s1@2302(b0@1005,a0@202)'],
  ['3.3.1', 'b0@1100 s1@3302(b0@1100,a0@202)'],
  ['4.2.0', 'b0@1200 s1@4200(b0@1200,a0@202)'],
  ['5.8.2', 'b0@2300 s1@5802(b0@2300,a0@202)'],
  ['6.2.0', 'b0@3100 s1@6200(b0@3100,a0@202)'],
  ['6.3.4', 'b0@3200 s1@6305(b0@3100,a0@202)'],
]

const argon: Line = [
  ['1.2.1', 'b0@311 s1@1213(b0@201) a0@169 c0@5'],
  ['1.3.1', 'b0@401 s1@1321(b0@400)'],
  ['1.5.2', 'b0@501 s1@1512(a0@202,b0@501) a0@202(b0@501,s1@1321)'],
  ['3.3.1', 'b0@1100 s1@3302(a0@202,b0@1100)'],
  ['5.8.2', 'b0@2300 s1@5802(a0@202,b0@2300)'],
  ['6.3.4', 'b0@3200 s1@6305(a0@202,b0@3100)'],
]

const tracker: Line = [
  ['2.0.0', 'b0@1003 s1@2008(b0@1003,a0@202) a0@202(b0@501,s1@1321) c0@5'],
  ['3.0.0-alpha.1', 's1@3000(b0@1003,a0@202)'],
  ['3.0.0-alpha.2', 'b0@1100 s1@3001(b0@1100,c0@7) c0@7(s1@3000)'],
  ['3.3.1', 'b0@1200 s1@3302(b0@1100,c0@7)'],
  ['6.2.0', 'b0@3100 s1@6200(b0@3100,s1@3001)'],
]

const p2: Line = [
  ['5.3.1', 'b2@5 b0@2101(b2@5) s1@5301(b0@2101)'],
  ['5.5.0', 'b2@7 b0@2300(b2@7) s1@5501(b0@2300)'],
  ['6.2.1', 'b2@10 b0@3101(b2@10) s1@6201(b0@3101)'],
  ['6.3.4', 'b2@11 b0@3200(b2@11) s1@6305(b0@3200)'],
]

const linux: Line = [
  ['1.0.0', 'b0@100 s1@1000(b0@100) s2@1000(s1@1000)'],
  ['2.0.0', 'b0@200 s1@2000(b0@200) s2@2000(s1@2000)'],
  ['2.1.0', 'b0@200 s1@2100(b0@200) s2@2100(s1@2100)'],
]

const lines: Readonly<Record<string, Line>> = {
  photon,
  p1: photon,
  electron,
  boron,
  bsom: boron,
  b5som: boron,
  esomx: boron,
  argon,
  tracker,
  p2,
  msom: p2,
  trackerm: p2,
  linux,
}

/** The platforms that there are releases of. */
export const fleetPlatforms: readonly string[] = Object.keys(lines)

/** What a module needs beside its body, and more. */
const moduleMargin = 1_000

/** Bytes of a module's body. */
const sizes: Partial<Record<ModuleFunction, number>> = {
  bootloader: 1_700,
  system_part: 6_100,
  radio_stack: 3_300,
  ncp_firmware: 4_900,
}

const built = new Map<string, readonly Release[]>()

/** A platform's releases, the oldest first; made once. */
export function releasesOf(platformName: string): readonly Release[] {
  let releases = built.get(platformName)
  if (!releases) {
    const platform = platformNamed(platformName)
    releases = (lines[platformName] ?? []).map(([version, modules]) => ({
      version,
      modules: modules.split(' ').map((text) => coreModule(platform, version, text)),
    }))
    built.set(platformName, releases)
  }
  return releases
}

/** The same releases with larger modules: with factor 60 they are about as large as the real ones. */
export function scaledReleases(platformName: string, factor: number): readonly Release[] {
  const platform = platformNamed(platformName)
  return (lines[platformName] ?? []).map(([version, modules]) => ({
    version,
    modules: modules.split(' ').map((text) => coreModule(platform, version, text, factor)),
  }))
}

/** Everything that the cloud has. */
export function wholeCatalogue(): readonly CoreModule[] {
  whole ??= fleetPlatforms.flatMap((name) => releasesOf(name).flatMap(({ modules }) => modules))
  return whole
}

let whole: readonly CoreModule[] | undefined

export function platformNamed(name: string): Platform {
  const platform = platformByName(name)
  if (!platform) throw new RangeError(`${name} is no platform`)
  return platform
}

/**
 * An application for a release and later ones.
 *
 * @param mark tells applications apart
 */
export function applicationFor(platform: Platform, systemVersion: number, mark: number): Uint8Array {
  const slots = platform.slots.filter((slot) => slot.function === 'user_part')
  // From 3.1.0 on nRF52840 boards have the larger place (modules-and-platforms.md 1.2).
  const index = slots.some((slot) => slot.index === 2) && systemVersion >= 3_100 ? 2 : 1
  // Gen 2 applications, and Aloe's own, need the second part.
  const part = platform.slots.some((slot) => slot.function === 'system_part' && slot.index === 2) ? 2 : 1
  return buildModule({
    platformId: platform.id,
    function: 'user_part',
    index,
    version: 6,
    dependencies: [{ function: 'system_part', index: part, version: systemVersion }],
    body: body(700 + (mark % 7) * 100, mark),
    product: { id: platform.id, version: mark & 0x7fff },
  })
}

function coreModule(platform: Platform, release: string, text: string, factor = 1): CoreModule {
  const { dependencies, ...module } = read(text)
  const scaled = factor * (sizes[module.function] ?? 1_000) + (module.version % 900)
  const size = Math.min(scaled, (slotOf(platform, module)?.maxSize ?? scaled + moduleMargin) - moduleMargin)
  const bytes = buildModule({
    platformId: platform.id,
    ...module,
    dependencies,
    body: body(size, platform.id * 100_000 + module.version),
  })
  const prerelease = release.includes('-')
  const entry: CatalogueModule = {
    ...module,
    dependencies,
    platformId: platform.id,
    release,
    prerelease,
    state: prerelease ? 'archived' : 'ga',
    size: bytes.length,
  }
  return { module: entry, bytes }
}

/** `s1@6200(b0@3100,a0@202)` */
function read(text: string): ModuleDependency & { readonly dependencies: readonly ModuleDependency[] } {
  const [name = '', list = ''] = text.replace(')', '').split('(')
  return { ...ref(name), dependencies: list === '' ? [] : list.split(',').map(ref) }
}

function ref(text: string): ModuleDependency {
  const match = /^([a-z])(\d+)@(\d+)$/.exec(text)
  const name = moduleFunctionOfLetter(match?.[1] ?? '')
  if (!match || !name) throw new RangeError(`${text} is no module`)
  return { function: name, index: Number(match[2]), version: Number(match[3]) }
}

/** Bytes of which some can be compressed, as machine code can. */
function body(size: number, mark: number): Uint8Array {
  const random = seeded(mark)
  return Uint8Array.from({ length: size }, (_, at) => (at % 3 === 0 ? at & 0x0f : Math.floor(random() * 256)))
}
