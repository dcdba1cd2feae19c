import type { BackendMapping } from '../device/backend.ts';
import type { DeviceBuffer } from '../device/buffer.ts';
import type { Device } from '../device/device.ts';
import { type QuantizedTensor, Tensor } from '../device/tensor.ts';
import { TilewrightError } from '../errors.ts';
import { type GGUFFile, type GGUFTensor, type Metadata, readGGUFHeader } from '../gguf/index.ts';
import { Layout } from '../tensor/layout.ts';

export interface ModelLoadOptions {
  /** Stops between two parts of 32 MiB. */
  readonly signal?: AbortSignal | undefined;
  /** Told as bytes arrive on the device. */
  readonly onProgress?: ((loadedBytes: number, totalBytes: number) => void) | undefined;
}

/** A GGUF model on a device: its metadata, and tensors that are views of the mapped file. */
export class GGUFModel implements Disposable {
  readonly device: Device;
  /** The header: parts, versions, types. */
  readonly file: GGUFFile;
  readonly #mappings: (BackendMapping | null)[];
  #disposed = false;

  /** Use {@link loadGGUF}. */
  constructor(device: Device, file: GGUFFile) {
    this.device = device;
    this.file = file;
    this.#mappings = file.parts.map(() => null);
  }

  get metadata(): Metadata {
    return this.file.metadata;
  }
  /** Name, shape ([n, k] for weights), dtype or format of each tensor, in file order. */
  get tensors(): readonly GGUFTensor[] {
    return this.file.tensors;
  }

  /**
   * A tensor of the file, without a copy where the device reads host memory. Elsewhere (HIP) it is copied to the device
   * before this returns: {@link load} does not hold JavaScript up. It stays valid when the model is disposed.
   * @throws ERR_TENSOR_NOT_FOUND, ERR_GGUF_UNSUPPORTED, ERR_FILE
   */
  tensor(name: string): Tensor | QuantizedTensor {
    const { place, mapping } = this.#locate(name);
    return this.#view(place, this.device.mappedBuffer(mapping, place.offset, place.byteLength));
  }

  /**
   * Several tensors, or all, in file order: copied to the device on another thread where they have to be copied.
   * @returns by name; the caller disposes them.
   * @throws what {@link tensor} throws; the signal's reason when aborted. Then none is kept.
   */
  async load(
    names?: readonly string[],
    options: ModelLoadOptions = {},
  ): Promise<Map<string, Tensor | QuantizedTensor>> {
    const { signal, onProgress } = options;
    signal?.throwIfAborted();
    const wanted = names === undefined ? null : new Set(names);
    const known = new Set(this.tensors.map(({ name }) => name));
    for (const name of wanted ?? []) if (!known.has(name)) this.#locate(name);
    const located = this.tensors.flatMap(({ name }) => (wanted?.has(name) === false ? [] : [this.#locate(name)]));
    const total = located.reduce((sum, { place }) => sum + place.byteLength, 0);
    const tensors = new Map<string, Tensor | QuantizedTensor>();
    let loaded = 0;
    try {
      for (const { name, place, mapping } of located) {
        const buffer = await this.device.loadMapped(mapping, place.offset, place.byteLength, {
          signal,
          onBytes: (bytes) => {
            loaded += bytes;
            onProgress?.(loaded, total);
          },
        });
        tensors.set(name, this.#view(place, buffer));
      }
      return tensors;
    } catch (error) {
      for (const tensor of tensors.values()) tensor.dispose();
      throw error;
    }
  }

  #locate(name: string) {
    if (this.#disposed) throw new TilewrightError('ERR_DISPOSED', 'This model was disposed; load it again.');
    const place = this.file.place(name);
    const mapping = this.#mapping(place.part, place.path);
    if (place.offset + place.byteLength > mapping.byteLength) {
      throw new TilewrightError('ERR_FILE', `${place.path} became shorter since it was opened; load it again.`, {
        details: { path: place.path, tensor: name },
      });
    }
    return { name, place, mapping };
  }

  #view(place: ReturnType<GGUFFile['place']>, buffer: DeviceBuffer): Tensor | QuantizedTensor {
    return place.kind === 'quantized'
      ? this.device.quantizedView(buffer, 0, { format: place.format.name, shape: place.shape })
      : new Tensor(buffer, place.dtype, new Layout(place.shape));
  }

  #mapping(part: number, path: string): BackendMapping {
    let mapping = this.#mappings[part];
    if (!mapping) {
      mapping = this.device.map(path);
      this.#mappings[part] = mapping;
    }
    return mapping;
  }

  /** Let the file go once its tensors are disposed, too. */
  dispose(): void {
    this.#disposed = true;
    for (const mapping of this.#mappings) mapping?.release();
    this.#mappings.fill(null);
  }
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/**
 * Open a GGUF model, split ones included. The header is read and checked; weights are mapped and read by the kernels
 * that use them, so a file of any size opens in milliseconds.
 * @throws ERR_FILE, ERR_GGUF_TRUNCATED, ERR_GGUF_INVALID, ERR_GGUF_UNSUPPORTED, ERR_GGUF_LIMIT
 */
export async function loadGGUF(
  path: string,
  options: { readonly device: Device; readonly signal?: AbortSignal },
): Promise<GGUFModel> {
  const file = await readGGUFHeader(path, options.signal === undefined ? {} : { signal: options.signal });
  return new GGUFModel(options.device, file);
}
