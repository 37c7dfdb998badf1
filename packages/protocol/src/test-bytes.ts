/** Small helpers of the tests: hex in and out, and how often fast-check runs. */

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** A plain Uint8Array, as the channels hand them over, not a Buffer. */
export const unhex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'))

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

export const fuzzRuns = Number(process.env.ALOE_FUZZ_RUNS ?? 200)
