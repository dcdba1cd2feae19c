import {
  type GGUFFile,
  type GGUFTensor,
  type MetadataValue,
  readGGUFHeader,
  readRemoteHeader,
} from '../../ts/index.ts';
import { elementCount } from '../../ts/tensor/layout.ts';

/** Items of a metadata array that are shown; vocabularies have hundreds of thousands. */
const SHOWN_ITEMS = 6;

/** A metadata value as JSON can hold it: integers beyond 2^53 as text, long arrays by their length and first items. */
export type MetadataSummary =
  | string
  | number
  | boolean
  | { readonly type: string; readonly length: number; readonly first: readonly MetadataSummary[] };

export interface ModelInfo {
  readonly parts: readonly { readonly path: string; readonly byteLength: number; readonly version: number }[];
  readonly alignment: number;
  readonly weights: number;
  readonly tensorBytes: number;
  readonly metadata: Readonly<Record<string, { readonly type: string; readonly value: MetadataSummary }>>;
  readonly types: readonly {
    readonly dtype: string;
    readonly tensors: number;
    readonly weights: number;
    readonly bytes: number;
  }[];
  readonly tensors: readonly GGUFTensor[];
}

export const isUrl = (source: string): boolean => /^https?:\/\//i.test(source);

/** What the header of a GGUF model says: a file with all its parts, or the file at an http(s) address. */
export async function modelInfo(source: string, signal?: AbortSignal): Promise<ModelInfo> {
  const options = signal === undefined ? {} : { signal };
  return summarizeModel(await (isUrl(source) ? readRemoteHeader(source, options) : readGGUFHeader(source, options)));
}

export function summarizeModel(file: GGUFFile): ModelInfo {
  const types = new Map<string, { dtype: string; tensors: number; weights: number; bytes: number }>();
  for (const { dtype, shape, byteLength } of file.tensors) {
    const type = types.get(dtype) ?? { dtype, tensors: 0, weights: 0, bytes: 0 };
    type.tensors++;
    type.weights += elementCount(shape);
    type.bytes += byteLength ?? 0;
    types.set(dtype, type);
  }
  const all = [...types.values()].sort((x, y) => y.bytes - x.bytes);
  return {
    parts: file.parts.map(({ path, byteLength, version }) => ({ path, byteLength, version })),
    alignment: file.alignment,
    weights: all.reduce((sum, { weights }) => sum + weights, 0),
    tensorBytes: all.reduce((sum, { bytes }) => sum + bytes, 0),
    metadata: Object.fromEntries(
      Object.entries(file.metadata).map(([key, value]) => [
        key,
        { type: file.metadataTypes[key] ?? 'unknown', value: summarizeValue(value) },
      ]),
    ),
    types: all,
    tensors: file.tensors,
  };
}

function summarizeValue(value: MetadataValue): MetadataSummary {
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (typeof value !== 'object') return value;
  const first: MetadataSummary[] = [];
  for (let i = 0; i < Math.min(value.length, SHOWN_ITEMS); i++) first.push(summarizeValue(value.at(i)!));
  return { type: 'type' in value ? value.type : typedArrayItem(value), length: value.length, first };
}

const typedArrayItem = (array: ArrayBufferView): string =>
  array.constructor.name
    .replace(/^Big(?=U?[Ii]nt)/, '')
    .replace(/Array$/, '')
    .replace(/^Uint/, 'u')
    .replace(/^Int/, 'i')
    .replace(/^Float/, 'f');
