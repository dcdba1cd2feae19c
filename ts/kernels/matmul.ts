import { type ByteRange, declareKernel, stridedRange } from './declare.ts';
import type { StructValue } from './struct.ts';
import { dtypeIdBytes, formatOfId, isFormatId } from './types.ts';

/**
 * out[m, n] = act(alpha * sum_k a[m, k] * b[n, k] + bias[n]) + beta * residual[m, n], and with a gate
 * out = (alpha * a·b + bias) * act(a·gate + gate_bias) + beta * residual: the fused GLU forms.
 *
 * Strides are in elements. A block-quantized `b` has rows of whole blocks: its n-stride is in bytes and its k-stride
 * is unused. Plain integer `b` may be affine: w = scale * (q - zero) + offset, with one entry of each per n and group
 * of `group` weights along k, found through their own strides (n, group).
 */
export const MATMUL_PARAMS = {
  m: 'i64',
  n: 'i64',
  k: 'i64',
  a_stride: 'i64[2]',
  b_stride: 'i64[2]',
  gate_stride: 'i64[2]',
  out_stride: 'i64[2]',
  residual_stride: 'i64[2]',
  bias_stride: 'i64',
  gate_bias_stride: 'i64',
  batch: 'i64[4]',
  a_batch: 'i64[4]',
  b_batch: 'i64[4]',
  gate_batch: 'i64[4]',
  out_batch: 'i64[4]',
  residual_batch: 'i64[4]',
  group: 'i64',
  scale_stride: 'i64[2]',
  zero_stride: 'i64[2]',
  offset_stride: 'i64[2]',
  gate_scale_stride: 'i64[2]',
  gate_zero_stride: 'i64[2]',
  gate_offset_stride: 'i64[2]',
  alpha: 'f32',
  beta: 'f32',
} as const;
export type MatmulParams = StructValue<typeof MATMUL_PARAMS>;

export const MATMUL_CONSTANTS = [
  'a_dtype',
  'b_dtype', // dtype or format id; the gate has the same
  'out_dtype',
  'residual_dtype',
  'bias_dtype',
  'activation',
] as const;

export const MATMUL_BUFFERS = {
  a: { access: 'read' },
  b: { access: 'read' },
  out: { access: 'write' },
  bias: { access: 'read', optional: true },
  residual: { access: 'read', optional: true },
  gate: { access: 'read', optional: true },
  gate_bias: { access: 'read', optional: true },
  scale: { access: 'read', optional: true },
  zero: { access: 'read', optional: true },
  offset: { access: 'read', optional: true },
  gate_scale: { access: 'read', optional: true },
  gate_zero: { access: 'read', optional: true },
  gate_offset: { access: 'read', optional: true },
} as const;

/** What the CPU's kernels have besides; 0 leaves each to the kernel. Kernels bring what is too large into their range. */
export const CPU_MATMUL_CONSTANTS = [
  ...MATMUL_CONSTANTS,
  'threads', // at most
  'block_rows', // of a task, in tiles of the microkernel
  'block_columns', // of a task
  'block_depth', // k per packed panel
] as const;

type MatmulConstants = Readonly<Record<(typeof MATMUL_CONSTANTS)[number], number>>;
type MatmulRanges = Partial<Record<keyof typeof MATMUL_BUFFERS, ByteRange>>;

function weightRange(n: number, k: number, type: number, stride: readonly number[], batch: number[], p: MatmulParams) {
  if (!isFormatId(type)) {
    return stridedRange([n, k, ...p.batch], [...stride, ...batch], dtypeIdBytes(type));
  }
  const format = formatOfId(type);
  const span = stridedRange([n, ...p.batch], [stride[0]!, ...batch], 1);
  if (span.to === 0 || k === 0) return { from: 0, to: 0 };
  return { from: span.from, to: span.to - 1 + (k / format.blockSize) * format.blockBytes };
}

/** Everything but `a`, whose form differs between the families. */
function commonExtents(p: MatmulParams, c: MatmulConstants): MatmulRanges {
  const groups = p.group > 0 ? Math.ceil(p.k / p.group) : 1;
  const affine = (stride: readonly number[]) => stridedRange([p.n, groups], stride, 4);
  return {
    b: weightRange(p.n, p.k, c.b_dtype, p.b_stride, [...p.b_batch], p),
    gate: weightRange(p.n, p.k, c.b_dtype, p.gate_stride, [...p.gate_batch], p),
    out: stridedRange([p.m, p.n, ...p.batch], [...p.out_stride, ...p.out_batch], dtypeIdBytes(c.out_dtype)),
    residual: stridedRange(
      [p.m, p.n, ...p.batch],
      [...p.residual_stride, ...p.residual_batch],
      dtypeIdBytes(c.residual_dtype),
    ),
    bias: stridedRange([p.n], [p.bias_stride], dtypeIdBytes(c.bias_dtype)),
    gate_bias: stridedRange([p.n], [p.gate_bias_stride], dtypeIdBytes(c.bias_dtype)),
    scale: affine(p.scale_stride),
    zero: affine(p.zero_stride),
    offset: affine(p.offset_stride),
    gate_scale: affine(p.gate_scale_stride),
    gate_zero: affine(p.gate_zero_stride),
    gate_offset: affine(p.gate_offset_stride),
  };
}

export function denseExtents(p: MatmulParams, c: MatmulConstants): MatmulRanges {
  const a = stridedRange([p.m, p.k, ...p.batch], [...p.a_stride, ...p.a_batch], dtypeIdBytes(c.a_dtype));
  return { ...commonExtents(p, c), a };
}

const family = (id: number, name: string, doc: string, extents: typeof denseExtents) =>
  declareKernel({
    id,
    name,
    doc,
    buffers: MATMUL_BUFFERS,
    constants: CPU_MATMUL_CONSTANTS,
    paramsName: 'matmul',
    params: MATMUL_PARAMS,
    extents,
  });

export const matmulReference = family(
  0,
  'matmul_reference',
  'Every input type, any strides, float64 accumulation, one output at a time: the oracle.',
  denseExtents,
);
export const gemm = family(
  1,
  'gemm',
  'Cache-blocked GEMM over packed f32 panels; dense, affine and block-quantized b, any strides.',
  denseExtents,
);
export const gemv = family(
  2,
  'gemv',
  'Few rows of a: streams b once, decoding to f32; dense, affine and block-quantized b, any strides.',
  denseExtents,
);

/** Activations per 8-bit scale, and per partial sum, in the `q8` activation format. */
export const Q8_GROUP = 32;
export const Q8_SUM_GROUP = 16;

/**
 * Layout of `q8` activations, `rows` rows of `k`: int8 codes [rows][k], then f32 scales [rows][k / 32], then int16
 * sums of 16 codes [rows][k / 16]; each section starts at a multiple of 64 bytes.
 */
export function q8Layout(rows: number, k: number) {
  const align = (bytes: number) => Math.ceil(bytes / 64) * 64;
  const scales = align(rows * k);
  const sums = scales + align(rows * (k / Q8_GROUP) * 4);
  return { scales, sums, byteLength: sums + align(rows * (k / Q8_SUM_GROUP) * 2) };
}

export const quantizeQ8 = declareKernel({
  id: 3,
  name: 'quantize_q8',
  doc: 'Rows of activations to the q8 format: a ≈ scale * code, codes in -127..127, scale = max|a| / 127 per 32.',
  buffers: { a: { access: 'read' }, q8: { access: 'write' } },
  constants: ['a_dtype', 'threads'],
  paramsName: 'quantize_q8',
  params: { m: 'i64', k: 'i64', a_stride: 'i64[2]', batch: 'i64[4]', a_batch: 'i64[4]' },
  extents: (p, c) => ({
    a: stridedRange([p.m, p.k, ...p.batch], [...p.a_stride, ...p.a_batch], dtypeIdBytes(c.a_dtype)),
    q8: { from: 0, to: q8Layout(p.m * p.batch.reduce((x, y) => x * y, 1), p.k).byteLength },
  }),
});

/** `a` is q8 activations (see {@link q8Layout}) of all batches, in order; `a_stride` and `a_batch` are unused. */
function q8Extents(p: MatmulParams, c: MatmulConstants): MatmulRanges {
  const rows = p.m * p.batch.reduce((x, y) => x * y, 1);
  return { ...commonExtents(p, c), a: { from: 0, to: q8Layout(rows, p.k).byteLength } };
}
export const quantGemv = family(
  4,
  'quant_gemv',
  'Block-quantized weights times 1 to 16 rows of q8 activations by integer dot products; streams the weights once.',
  q8Extents,
);
export const quantGemm = family(
  5,
  'quant_gemm',
  'Block-quantized weights times q8 activations: panels unpacked to 8-bit codes, one integer GEMM for every format.',
  q8Extents,
);
