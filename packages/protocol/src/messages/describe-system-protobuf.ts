/** The system describe of Device OS 5.5 and newer: `particle.cloud.SystemDescribe` (device-protocol.md 4.2). */
import {
  type AssetRef,
  type DescribedModule,
  type ModuleDependency,
  type ModuleFunction,
  type ModuleStore,
  moduleFunctionCode,
  moduleFunctionOf,
  type SystemDescribe,
} from '@aloe/firmware'
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import { MessageError } from './error.ts'

/** In the order of the enumeration. */
const stores: readonly ModuleStore[] = ['main', 'factory', 'backup', 'scratchpad']

/** More repetitions than any device has are refused. */
const maxItems = 1024

/**
 * Modules of a function or store that is not known are left out. The platform is not in the message: it comes with the
 * Hello.
 *
 * @throws MessageError when the bytes are no such protobuf
 */
export function decodeSystemDescribe(bytes: Uint8Array): SystemDescribe {
  try {
    return readDescribe(new BinaryReader(bytes))
  } catch (cause) {
    if (cause instanceof MessageError) throw cause
    throw new MessageError('describe-format', 'a system describe is no readable protobuf', { cause })
  }
}

/** Zero values are left out, as proto3 has it. */
export function encodeSystemDescribe(describe: SystemDescribe): Uint8Array {
  const writer = new BinaryWriter()
  for (const module of describe.modules) writeNested(writer, 1, (nested) => writeModule(nested, module))
  writeText(writer, 2, describe.imei)
  writeText(writer, 3, describe.iccid)
  writeText(writer, 4, describe.modemFirmwareVersion)
  for (const asset of describe.assets ?? []) writeNested(writer, 5, (nested) => writeAsset(nested, asset))
  if (describe.protectedState) writer.tag(6, WireType.Varint).bool(true)
  return writer.finish()
}

function readDescribe(reader: BinaryReader): SystemDescribe {
  const modules: DescribedModule[] = []
  const assets: AssetRef[] = []
  const rest: { imei?: string; iccid?: string; modemFirmwareVersion?: string; protectedState?: boolean } = {}
  eachField(reader, (field, wireType) => {
    if (wireType === WireType.LengthDelimited) {
      if (field === 1) {
        const module = readModule(nested(reader))
        if (module) push(modules, module)
      } else if (field === 2) rest.imei = reader.string()
      else if (field === 3) rest.iccid = reader.string()
      else if (field === 4) rest.modemFirmwareVersion = reader.string()
      else if (field === 5) push(assets, readAsset(nested(reader)))
      else return false
      return true
    }
    if (field !== 6 || wireType !== WireType.Varint) return false
    rest.protectedState = reader.bool()
    return true
  })
  return { modules, ...rest, ...(assets.length > 0 ? { assets } : {}) }
}

function readModule(reader: BinaryReader): DescribedModule | undefined {
  let type = 0
  let store = 0
  const module = { index: 0, version: 0, maxSize: 0, checked: 0, passed: 0 }
  const rest: { hash?: string; size?: number } = {}
  const dependencies: ModuleDependency[] = []
  const assetDependencies: AssetRef[] = []
  eachField(reader, (field, wireType) => {
    if (wireType === WireType.Varint) {
      if (field === 1) type = reader.uint32()
      else if (field === 2) module.index = reader.uint32()
      else if (field === 3) module.version = reader.uint32()
      else if (field === 4) store = reader.uint32()
      else if (field === 5) module.maxSize = reader.uint32()
      else if (field === 11) rest.size = reader.uint32()
      else return false
    } else if (wireType === WireType.Bit32) {
      if (field === 6) module.checked = reader.fixed32()
      else if (field === 7) module.passed = reader.fixed32()
      else return false
    } else if (wireType === WireType.LengthDelimited) {
      if (field === 8) rest.hash = Buffer.from(reader.bytes()).toString('hex')
      else if (field === 9) {
        const dependency = readDependency(nested(reader))
        if (dependency) push(dependencies, dependency)
      } else if (field === 10) push(assetDependencies, readAsset(nested(reader)))
      else return false
    } else return false
    return true
  })
  const name = knownFunction(type)
  const where = stores[store]
  if (!name || !where) return undefined
  const assets = assetDependencies.length > 0 ? { assetDependencies } : {}
  return { function: name, ...module, store: where, dependencies, ...rest, ...assets }
}

function readDependency(reader: BinaryReader): ModuleDependency | undefined {
  let type = 0
  const dependency = { index: 0, version: 0 }
  eachField(reader, (field, wireType) => {
    if (wireType !== WireType.Varint) return false
    if (field === 1) type = reader.uint32()
    else if (field === 2) dependency.index = reader.uint32()
    else if (field === 3) dependency.version = reader.uint32()
    else return false
    return true
  })
  const name = knownFunction(type)
  return name && { function: name, ...dependency }
}

function readAsset(reader: BinaryReader): AssetRef {
  const asset = { name: '', hash: '' }
  const sizes: { size?: number; storageSize?: number } = {}
  eachField(reader, (field, wireType) => {
    if (field === 1 && wireType === WireType.LengthDelimited) asset.hash = Buffer.from(reader.bytes()).toString('hex')
    else if (field === 2 && wireType === WireType.LengthDelimited) asset.name = reader.string()
    else if (field === 3 && wireType === WireType.Varint) sizes.size = reader.uint32()
    else if (field === 4 && wireType === WireType.Varint) sizes.storageSize = reader.uint32()
    else return false
    return true
  })
  return { ...asset, ...sizes }
}

function writeModule(writer: BinaryWriter, module: DescribedModule): void {
  writeUint(writer, 1, moduleFunctionCode(module.function))
  writeUint(writer, 2, module.index)
  writeUint(writer, 3, module.version)
  writeUint(writer, 4, stores.indexOf(module.store))
  writeUint(writer, 5, module.maxSize)
  if (module.checked !== 0) writer.tag(6, WireType.Bit32).fixed32(module.checked)
  if (module.passed !== 0) writer.tag(7, WireType.Bit32).fixed32(module.passed)
  if (module.hash) writer.tag(8, WireType.LengthDelimited).bytes(Buffer.from(module.hash, 'hex'))
  for (const dependency of module.dependencies) {
    writeNested(writer, 9, (inner) => {
      writeUint(inner, 1, moduleFunctionCode(dependency.function))
      writeUint(inner, 2, dependency.index)
      writeUint(inner, 3, dependency.version)
    })
  }
  for (const asset of module.assetDependencies ?? []) writeNested(writer, 10, (inner) => writeAsset(inner, asset))
  writeUint(writer, 11, module.size ?? 0)
}

function writeAsset(writer: BinaryWriter, asset: AssetRef): void {
  writer.tag(1, WireType.LengthDelimited).bytes(Buffer.from(asset.hash, 'hex'))
  writeText(writer, 2, asset.name)
  writeUint(writer, 3, asset.size ?? 0)
  writeUint(writer, 4, asset.storageSize ?? 0)
}

function writeNested(writer: BinaryWriter, field: number, write: (writer: BinaryWriter) => void): void {
  writer.tag(field, WireType.LengthDelimited).fork()
  write(writer)
  writer.join()
}

function writeUint(writer: BinaryWriter, field: number, value: number): void {
  if (value !== 0) writer.tag(field, WireType.Varint).uint32(value)
}

function writeText(writer: BinaryWriter, field: number, text: string | undefined): void {
  if (text) writer.tag(field, WireType.LengthDelimited).string(text)
}

/** Calls `read` for each field; what it does not read (false) is skipped. */
function eachField(reader: BinaryReader, read: (field: number, wireType: WireType) => boolean): void {
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag()
    if (!read(field, wireType)) reader.skip(wireType, field)
  }
}

function nested(reader: BinaryReader): BinaryReader {
  return new BinaryReader(reader.bytes())
}

function push<T>(list: T[], item: T): void {
  if (list.length === maxItems) throw new MessageError('describe-format', 'a system describe repeats a field too often')
  list.push(item)
}

function knownFunction(type: number): ModuleFunction | undefined {
  return type === 0 ? undefined : moduleFunctionOf(type)
}
