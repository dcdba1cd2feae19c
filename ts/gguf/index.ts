export type { MetadataInput, TypedValue } from './encode.ts';
export { GGUFFile, type TensorPlace } from './file.ts';
export type { GGUFPart } from './part.ts';
export { type ReadOptions, readGGUFHeader } from './reader.ts';
export { type RemoteOptions, readRemoteHeader } from './remote.ts';
export { splitPartName } from './split.ts';
export type { GGUFTensor } from './tensors.ts';
export type {
  GGUFList,
  GGUFStrings,
  Metadata,
  MetadataArray,
  MetadataType,
  MetadataValue,
  NumberArray,
  NumberType,
  ValueType,
} from './value-types.ts';
export { type TensorData, type TensorInput, typedMetadata, type WriteOptions, writeGGUF } from './writer.ts';
