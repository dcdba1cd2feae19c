import { DTYPES } from '../tensor/dtype.ts';
import { QuantFormat } from '../tensor/quant-format.ts';

/** Activations that matmul epilogues apply; ids are `tw_activation` in the kernel ABI. */
export const ACTIVATIONS = {
  none: 0,
  relu: 1,
  /** x * sigmoid(x) */
  silu: 2,
  /** Tanh approximation, ggml's and most models' GELU. */
  gelu: 3,
  /** Exact, by the error function. */
  gelu_erf: 4,
  /** x * sigmoid(1.702 x) */
  gelu_quick: 5,
  sigmoid: 6,
  tanh: 7,
} as const;
export type Activation = keyof typeof ACTIVATIONS;

/** Batch dimensions that matmul kernels take, and dimensions that elementwise kernels take. */
export const MAX_BATCH_RANK = 4;
export const MAX_RANK = 8;
/** Dimensions that softmax takes besides the one that it normalises. */
export const MAX_OUTER = 7;

/** dtype or format ids as they stand in kernel constants: dtypes from 0, formats from 16. */
const dtypeBytes = new Map(Object.values(DTYPES).map((dtype) => [dtype.id, dtype.bytes]));
export function dtypeIdBytes(id: number): number {
  const bytes = dtypeBytes.get(id);
  if (bytes === undefined) throw new RangeError(`no dtype has id ${id}`);
  return bytes;
}
export const isFormatId = (id: number): boolean => id >= 16;

const formats = new Map(QuantFormat.list().flatMap((format) => (format.id === undefined ? [] : [[format.id, format]])));
export function formatOfId(id: number) {
  const format = formats.get(id);
  if (format === undefined) throw new RangeError(`no format has id ${id}`);
  return format;
}
