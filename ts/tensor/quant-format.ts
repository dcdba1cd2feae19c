import { TilewrightError } from '../errors.ts';

/** Block-quantized formats that the package's own kernels read, by their GGUF names in lower case. */
export type BuiltinQuantFormat =
  | 'q4_0'
  | 'q4_1'
  | 'q5_0'
  | 'q5_1'
  | 'q8_0'
  | 'q2_k'
  | 'q3_k'
  | 'q4_k'
  | 'q5_k'
  | 'q6_k'
  | 'q8_k'
  | 'iq4_nl'
  | 'iq4_xs'
  | 'mxfp4';

/**
 * One quantized format: everything that the host has to know about it. Kernels know the built-in ones by `id`
 * (`tw_format` in the kernel ABI); a format that a plug-in registers has none and is served by the plug-in's kernels.
 */
export interface QuantFormatInfo {
  readonly name: string;
  /** Weights in a block; rows are a whole number of blocks. */
  readonly blockSize: number;
  /** Bytes of a block. */
  readonly blockBytes: number;
  /** GGUF's `ggml_type` number, if GGUF files can carry the format. */
  readonly ggufType?: number;
  /** The native kernels' number for the format; plug-in formats have none. */
  readonly id?: number;
  /** Plug-in formats: decode `rowBytes` (whole blocks) to floats. Built-in formats are decoded natively. */
  readonly decode?: (bytes: Uint8Array) => Float32Array;
  /** Plug-in formats: encode floats (whole blocks) to bytes. */
  readonly encode?: (values: Float32Array) => Uint8Array;
}

const builtin = (name: BuiltinQuantFormat, id: number, ggufType: number, blockSize: number, blockBytes: number) =>
  [name, { name, id, ggufType, blockSize, blockBytes }] as const;

const registry = new Map<string, QuantFormatInfo>([
  builtin('q4_0', 16, 2, 32, 18),
  builtin('q4_1', 17, 3, 32, 20),
  builtin('q5_0', 18, 6, 32, 22),
  builtin('q5_1', 19, 7, 32, 24),
  builtin('q8_0', 20, 8, 32, 34),
  builtin('q2_k', 21, 10, 256, 84),
  builtin('q3_k', 22, 11, 256, 110),
  builtin('q4_k', 23, 12, 256, 144),
  builtin('q5_k', 24, 13, 256, 176),
  builtin('q6_k', 25, 14, 256, 210),
  builtin('q8_k', 26, 15, 256, 292),
  builtin('iq4_nl', 27, 20, 32, 18),
  builtin('iq4_xs', 28, 23, 256, 136),
  builtin('mxfp4', 29, 39, 32, 17),
]);

/** The formats that are known right now: the built-in ones and those that plug-ins have registered. */
export const QuantFormat = {
  /** The built-in format names. */
  Q4_0: 'q4_0',
  Q4_1: 'q4_1',
  Q5_0: 'q5_0',
  Q5_1: 'q5_1',
  Q8_0: 'q8_0',
  Q2_K: 'q2_k',
  Q3_K: 'q3_k',
  Q4_K: 'q4_k',
  Q5_K: 'q5_k',
  Q6_K: 'q6_k',
  Q8_K: 'q8_k',
  IQ4_NL: 'iq4_nl',
  IQ4_XS: 'iq4_xs',
  MXFP4: 'mxfp4',
  /** @throws ERR_FORMAT_UNKNOWN, with the names that are known. */
  get: getQuantFormat,
  has: (name: string): boolean => registry.has(name),
  /** Registered formats in the order of registration. */
  list: (): readonly QuantFormatInfo[] => [...registry.values()],
  register: registerQuantFormat,
} as const;
export type QuantFormat = BuiltinQuantFormat | (string & {});

/** The format of that name. @throws ERR_FORMAT_UNKNOWN */
export function getQuantFormat(name: string): QuantFormatInfo {
  const format = registry.get(name);
  if (format) return format;
  throw new TilewrightError(
    'ERR_FORMAT_UNKNOWN',
    `Unknown quantization format "${name}". Known formats: ${[...registry.keys()].join(', ')}. ` +
      'A format of your own needs QuantFormat.register() first.',
    { details: { format: name } },
  );
}

/**
 * Make a new format known, so that tensors of it can be created and plug-in kernels can claim them.
 * @returns a function that takes the registration back.
 * @throws ERR_INVALID_ARGUMENT if the name is taken or the block is not a positive whole number of weights and bytes.
 */
export function registerQuantFormat(format: Omit<QuantFormatInfo, 'id'>): () => void {
  const fail = (why: string): never => {
    throw new TilewrightError('ERR_INVALID_ARGUMENT', `Cannot register format "${format.name}": ${why}.`, {
      details: { format: format.name },
    });
  };
  if (!/^[a-z][a-z0-9_]*$/.test(format.name)) fail('a name is lower-case letters, digits and underscores');
  if (registry.has(format.name)) fail('a format of that name is already registered');
  for (const field of ['blockSize', 'blockBytes'] as const) {
    if (!Number.isSafeInteger(format[field]) || format[field] < 1) fail(`${field} must be a positive whole number`);
  }
  const entry: QuantFormatInfo = Object.freeze({ ...format });
  registry.set(entry.name, entry);
  return () => {
    if (registry.get(entry.name) === entry) registry.delete(entry.name);
  };
}

/** Bytes of one row of `k` weights. @throws ERR_SHAPE_MISMATCH if `k` is not a whole number of blocks. */
export function rowBytes(format: QuantFormatInfo, k: number): number {
  if (k % format.blockSize !== 0) {
    throw new TilewrightError(
      'ERR_SHAPE_MISMATCH',
      `A row of ${format.name} holds whole blocks of ${format.blockSize} weights, but k is ${k}. ` +
        `Pad k to ${Math.ceil(k / format.blockSize) * format.blockSize}.`,
      { details: { format: format.name, k, blockSize: format.blockSize } },
    );
  }
  return (k / format.blockSize) * format.blockBytes;
}
