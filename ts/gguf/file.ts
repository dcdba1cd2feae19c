import { TilewrightError } from '../errors.ts';
import type { DType } from '../tensor/dtype.ts';
import type { QuantFormatInfo } from '../tensor/quant-format.ts';
import { ggmlTypes } from './ggml-types.ts';
import type { GGUFPart, ParsedPart } from './part.ts';
import { quote } from './report.ts';
import type { GGUFTensor } from './tensors.ts';
import type { Metadata, MetadataType } from './value-types.ts';

/** Everything that is needed to make a device tensor of a file's bytes. */
export type TensorPlace = {
  readonly path: string;
  readonly part: number;
  readonly offset: number;
  readonly byteLength: number;
  readonly shape: readonly number[];
} & (
  | { readonly kind: 'plain'; readonly dtype: DType }
  | { readonly kind: 'quantized'; readonly format: QuantFormatInfo }
);

/** The header of a GGUF model, checked: its metadata, and where each tensor lies. */
export class GGUFFile {
  /** The files of the model: one, or all parts of a split model in order. */
  readonly parts: readonly GGUFPart[];
  /** Of a split model, the first part's. */
  readonly metadata: Metadata;
  /** The type that each metadata value has in the file. */
  readonly metadataTypes: Readonly<Record<string, MetadataType>>;
  readonly tensors: readonly GGUFTensor[];
  readonly #byName: ReadonlyMap<string, GGUFTensor>;

  constructor(parts: readonly ParsedPart[]) {
    const first = parts[0]!;
    this.parts = parts.map(({ part }) => part);
    this.metadata = first.metadata;
    this.metadataTypes = first.metadataTypes;
    this.tensors = parts.flatMap(({ tensors }, part) => tensors.map((tensor) => ({ ...tensor, part })));
    this.#byName = new Map(this.tensors.map((tensor) => [tensor.name, tensor]));
  }

  get version(): number {
    return this.parts[0]!.version;
  }

  get alignment(): number {
    return this.parts[0]!.alignment;
  }

  has(name: string): boolean {
    return this.#byName.has(name);
  }

  /** @throws ERR_TENSOR_NOT_FOUND */
  tensor(name: string): GGUFTensor {
    const tensor = this.#byName.get(name);
    if (tensor) return tensor;
    const path = this.parts[0]!.path;
    throw new TilewrightError(
      'ERR_TENSOR_NOT_FOUND',
      `${path} has no tensor ${quote(name)}; it has ${this.#byName.size}, see .tensors for their names`,
      { details: { file: path, tensor: name } },
    );
  }

  /**
   * Where a tensor's bytes lie and how they are to be read.
   * @throws ERR_TENSOR_NOT_FOUND
   * @throws ERR_GGUF_UNSUPPORTED if tilewright cannot compute with the tensor's type: such tensors are only listed.
   */
  place(name: string): TensorPlace {
    const { shape, dtype, ggmlType, part, offset, byteLength } = this.tensor(name);
    const path = this.parts[part]!.path;
    const type = ggmlTypes().get(ggmlType);
    if (byteLength !== undefined && type?.name === dtype) {
      const place = { path, part, offset, byteLength, shape };
      if (type.dtype) return { ...place, kind: 'plain', dtype: type.dtype };
      if (type.format) return { ...place, kind: 'quantized', format: type.format };
    }
    throw new TilewrightError(
      'ERR_GGUF_UNSUPPORTED',
      `${path}: tensor ${quote(name)} has type ${dtype} (ggml_type ${ggmlType}), which no kernel here reads. ` +
        'If a plug-in has the format, call QuantFormat.register() before the file is opened.',
      { details: { file: path, tensor: name, ggmlType } },
    );
  }
}
