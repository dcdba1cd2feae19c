import { DTYPES, type DType } from '../tensor/dtype.ts';
import { QuantFormat, type QuantFormatInfo } from '../tensor/quant-format.ts';

/** What a `ggml_type` number in a file stands for. Rows are whole blocks. */
export interface GGMLType {
  readonly name: string;
  readonly blockSize: number;
  readonly blockBytes: number;
  /** Set where tilewright computes with the type: a plain dtype or a registered quantization format. */
  readonly dtype?: DType;
  readonly format?: QuantFormatInfo;
}

/**
 * Types of ggml that tilewright has no kernels for: number, name, weights and bytes per block. A file with them opens
 * and lists them, and their bounds are checked like any other tensor's.
 */
const LISTED: readonly (readonly [number, string, number, number])[] = [
  [9, 'q8_1', 32, 36],
  [16, 'iq2_xxs', 256, 66],
  [17, 'iq2_xs', 256, 74],
  [18, 'iq3_xxs', 256, 98],
  [19, 'iq1_s', 256, 50],
  [21, 'iq3_s', 256, 110],
  [22, 'iq2_s', 256, 82],
  [25, 'i16', 1, 2],
  [27, 'i64', 1, 8],
  [28, 'f64', 1, 8],
  [29, 'iq1_m', 256, 56],
  [31, 'q4_0_4_4', 32, 18],
  [32, 'q4_0_4_8', 32, 18],
  [33, 'q4_0_8_8', 32, 18],
  [34, 'tq1_0', 256, 54],
  [35, 'tq2_0', 256, 66],
  [36, 'iq4_nl_4_4', 32, 18],
  [37, 'iq4_nl_4_8', 32, 18],
  [38, 'iq4_nl_8_8', 32, 18],
  [40, 'nvfp4', 64, 36],
  [41, 'q1_0', 128, 18],
  [42, 'q2_0', 64, 18],
];

/** All types that are known right now, by their number: plug-in formats of that moment included. */
export function ggmlTypes(): ReadonlyMap<number, GGMLType> {
  const types = new Map<number, GGMLType>();
  for (const [number, name, blockSize, blockBytes] of LISTED) types.set(number, { name, blockSize, blockBytes });
  // In reverse, so that of two formats with one number the first registered, a built-in one perhaps, has it.
  for (const format of [...QuantFormat.list()].reverse()) {
    if (format.ggufType === undefined) continue;
    const { name, blockSize, blockBytes } = format;
    types.set(format.ggufType, { name, blockSize, blockBytes, format });
  }
  for (const { name, bytes, ggufType } of Object.values(DTYPES)) {
    types.set(ggufType, { name, blockSize: 1, blockBytes: bytes, dtype: name });
  }
  return types;
}
