export { GGUFFile, type TensorPlace } from './file.ts';
export type { GGUFPart } from './part.ts';
export { type ReadOptions, readGGUFHeader } from './reader.ts';
export { splitPartName } from './split.ts';
export type { GGUFTensor } from './tensors.ts';
export type {
  GGUFList,
  GGUFStrings,
  Metadata,
  MetadataArray,
  MetadataType,
  MetadataValue,
  NumberType,
} from './value-types.ts';
