/**
 * Environment variables of an application, which travel as an asset named `env`
 * (modules-and-platforms.md 1.9). The content is a protobuf message: field 1, repeated, is a message
 * of field 1 name and field 2 value.
 */

import { concatBytes } from '../bytes.ts'
import { ModuleSpecError } from '../module/error.ts'
import { type AssetFile, assetTypes, buildAssetModule } from './asset-module.ts'

export const environmentAssetName = 'env'

const namePattern = /^[A-Z_][A-Z0-9_]*$/
const maxNameLength = 128
const maxVariables = 100
const maxJsonSize = 16 * 1024

/** The raw file of the asset `env`. */
export function environmentAsset(variables: Readonly<Record<string, string>>): AssetFile {
  const entries = Object.entries(variables)
  if (entries.length > maxVariables) {
    throw new ModuleSpecError('environment', `${entries.length} variables, at most ${maxVariables} are allowed`)
  }
  for (const [name] of entries) {
    if (!namePattern.test(name) || name.length > maxNameLength) {
      throw new ModuleSpecError('environment', `${JSON.stringify(name)} is not a name of capital letters, digits and _`)
    }
  }
  if (new TextEncoder().encode(JSON.stringify(variables)).length > maxJsonSize) {
    throw new ModuleSpecError('environment', `more than ${maxJsonSize} bytes of JSON`)
  }
  const data = concatBytes(entries.map(([name, value]) => field(1, concatBytes([text(1, name), text(2, value)]))))
  return { name: environmentAssetName, data }
}

/** The asset module with which environment variables are sent; it is not compressed. */
export function buildEnvironmentModule(variables: Readonly<Record<string, string>>): Uint8Array {
  return buildAssetModule(environmentAsset(variables), { compress: false, assetType: assetTypes.environment })
}

function text(number: number, value: string): Uint8Array {
  return field(number, new TextEncoder().encode(value))
}

// Wire type 2: a tag, the length as a varint, the content.
function field(number: number, content: Uint8Array): Uint8Array {
  const head = [(number << 3) | 2]
  let length = content.length
  for (; length > 0x7f; length >>>= 7) head.push((length & 0x7f) | 0x80)
  head.push(length)
  return concatBytes([Uint8Array.from(head), content])
}
