/** Form bodies and queries with brackets: `a[b]=1`, `groups[]=x`, `groups[0]=x` (cloud-api.md 0.1). */
export type FormValue = string | FormValue[] | FormObject
export interface FormObject {
  [key: string]: FormValue
}

const maximumPairs = 1_000
const maximumDepth = 5
const maximumIndex = 1_000

/** Never throws; pairs beyond the thousandth are ignored. Of several values for one plain name the last counts. */
export function parseForm(text: string): FormObject {
  return collectForm(new URLSearchParams(text))
}

/** The same for pairs that were taken apart already, as in a multipart body. */
export function collectForm(pairs: Iterable<readonly [string, string]>): FormObject {
  const form: FormObject = emptyObject()
  let count = 0
  for (const [name, value] of pairs) {
    if (++count > maximumPairs) break
    const path = pathOf(name)
    set(form, path, value)
  }
  return form
}

/** No prototype, so that no name can reach one. */
function emptyObject(): FormObject {
  return Object.create(null) as FormObject
}

/** `a[b][]` is a, b and the empty name; a name that is not of this form is taken as it stands. */
function pathOf(name: string): string[] {
  const match = /^([^[\]]+)((?:\[[^[\]]*\])*)$/.exec(name)
  if (!match) return [name]
  const [, first = '', brackets = ''] = match
  const rest = [...brackets.matchAll(/\[([^[\]]*)\]/g)].map(([, inner = '']) => inner)
  return rest.length < maximumDepth ? [first, ...rest] : [name]
}

function set(form: FormObject, path: readonly string[], value: string): void {
  let target: FormObject | FormValue[] = form
  for (const [depth, key] of path.entries()) {
    const next = path[depth + 1]
    if (next === undefined) {
      put(target, key, value)
      return
    }
    const existing: FormValue | undefined = Array.isArray(target) ? target[indexOf(key, target)] : target[key]
    if (typeof existing === 'object') {
      target = existing
    } else {
      const made: FormObject | FormValue[] = isIndex(next) ? [] : emptyObject()
      put(target, key, made)
      target = made
    }
  }
}

function put(target: FormObject | FormValue[], key: string, value: FormValue): void {
  if (Array.isArray(target)) target[indexOf(key, target)] = value
  else target[key] = value
}

/** The next free place for `[]`, for gaps, and for a name among indexes. */
function indexOf(key: string, target: FormValue[]): number {
  const index = key === '' || !isIndex(key) ? target.length : Number(key)
  return Math.min(index, target.length)
}

function isIndex(key: string): boolean {
  return key === '' || (/^\d{1,4}$/.test(key) && Number(key) < maximumIndex)
}
