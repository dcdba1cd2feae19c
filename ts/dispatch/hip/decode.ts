// Products with weights that no kernel multiplies as they are: panels of rows of the weights are decoded to f32 in working
// space, then multiplied as plain ones. So run block-quantized ones, exact and for many rows, and integers.
import { type Binding, type Command, launch } from '../../device/command-list.ts';
import type { Tensor } from '../../device/tensor.ts';
import { hipAffine, hipAffineBlocks } from '../../kernels/hip/affine.ts';
import { product } from '../../kernels/hip/declare.ts';
import { hipDequantize, hipRowBlocks, hipRowVectors } from '../../kernels/hip/rows.ts';
import { DTYPES } from '../../tensor/dtype.ts';
import { contiguousStrides } from '../../tensor/layout.ts';
import type { AffineQuantization } from '../args.ts';
import type { MatmulCall } from '../catalogue.ts';
import type { AffineLayout, MatmulProblem, MatrixLayout } from '../problem.ts';
import type { TuningEntry } from '../tuning.ts';

/** Plain weights that have to be decoded: integers, and those with affine entries. */
export const isAffine = ({ bDType, affine, gateAffine }: MatmulProblem): boolean =>
  affine !== null || gateAffine !== null || (bDType !== null && !DTYPES[bDType].float);

/** Each is a launch of its own; a batch of more is for weights that are decoded once and kept. */
export const MAX_MATRICES = 1024;

/** Sizes of the batch dimensions along which weights differ; 1 where they are shared. */
const distinct = (batch: readonly number[], layout: MatrixLayout): number[] =>
  batch.map((size, d) => (layout.batch[d] === 0 ? 1 : size));

/** Matrices of weights, gates included, that have to be decoded. */
export const decodedMatrices = ({ batch, b, gate }: MatmulProblem): number =>
  product(distinct(batch, b)) + (gate === null ? 0 : product(distinct(batch, gate)));

/** Rows that a panel has however little space there is to be: a tile of the GEMM. */
const MIN_ROWS = 128;

/** Rows of weights of each matrix that are decoded at a time, into `exactPanelMiB` of working space. */
export function panelRows(problem: MatmulProblem, tuning: TuningEntry): number {
  const bytes = tuning.exactPanelMiB! * 2 ** 20;
  const rows = Math.floor(bytes / (4 * Math.max(1, problem.k) * Math.max(1, decodedMatrices(problem))));
  return Math.min(problem.n, Math.max(MIN_ROWS, rows - (rows % MIN_ROWS)));
}

/** The same for weights that have to be decoded; undefined for those that kernels read as they are. */
export const decodedRows = (problem: MatmulProblem, tuning: TuningEntry): number | undefined =>
  problem.format !== null || isAffine(problem) ? panelRows(problem, tuning) : undefined;

function decodedLayout(problem: MatmulProblem, layout: MatrixLayout, rows: number): MatrixLayout {
  const { k, batch } = problem;
  const sizes = distinct(batch, layout);
  const matrix = rows * k;
  const strides = contiguousStrides(sizes).map((stride, d) => (sizes[d] === 1 ? 0 : stride * matrix));
  return { strides: [k, 1], batch: strides };
}

/** The problem with its weights as they are once decoded, `rows` of each matrix. */
export function plain(problem: MatmulProblem, rows = problem.n): MatmulProblem {
  if (problem.format === null && !isAffine(problem)) return problem;
  return {
    ...problem,
    ...{ format: null, affine: null, gateAffine: null },
    bDType: 'f32',
    b: decodedLayout(problem, problem.b, rows),
    gate: problem.gate && decodedLayout(problem, problem.gate, rows),
  };
}

/** Bytes that the decoded panels take, those of `b` first. */
export const decodedBytes = (problem: MatmulProblem, rows: number): number =>
  Math.max(16, decodedMatrices(problem) * rows * problem.k * 4);

/** The launch that decodes rows of one matrix, from `first` of it on. */
type Decode = (src: Binding, dst: Binding, rows: number, first: number) => Command;

function decodeBlocks({ k, format }: MatmulProblem, layout: MatrixLayout): Decode {
  const dst_stride = [k, 1];
  return (src, dst, rows) =>
    launch(hipDequantize, {
      buffers: { src, dst },
      constants: { format: format!.id! },
      params: {
        ...{ n: rows, k, src_row_bytes: layout.strides[0], dst_stride, dst_dtype: DTYPES.f32.id },
        dst_vector: hipRowVectors(k, rows, dst_stride, DTYPES.f32.id, dst.byteOffset),
        blocks: hipRowBlocks(k, format!.id!),
      },
      label: `hip_dequantize<${format!.name}> ${rows}x${k}`,
    });
}

function decodeNumbers(
  { k, bDType }: MatmulProblem,
  layout: MatrixLayout,
  affine: AffineLayout | null,
  entries: AffineQuantization | undefined,
  constant: MatmulCall['constant'],
): Decode {
  const none = [0, 0] as const;
  const strides = { scale: affine?.scale ?? none, zero: affine?.zero ?? none, offset: affine?.offset ?? none };
  const { scale, zeroPoint, offset } = entries ?? {};
  return (src, dst, rows, first) => {
    const from = (value: number | Tensor | undefined, stride: readonly [number, number]) => {
      const binding = constant(value)?.binding;
      return binding && { ...binding, byteOffset: binding.byteOffset + 4 * first * stride[0] };
    };
    return launch(hipAffine, {
      buffers: {
        ...{ src, dst, scale: from(scale, strides.scale) },
        ...{ zero: from(zeroPoint, strides.zero), offset: from(offset, strides.offset) },
      },
      constants: {},
      params: {
        ...{ n: rows, k, src_dtype: DTYPES[bDType!].id, group: affine?.group ?? Math.max(1, k) },
        ...{ blocks: hipAffineBlocks(k), src_stride: layout.strides },
        ...{ scale_stride: strides.scale, zero_stride: strides.zero, offset_stride: strides.offset },
      },
      label: `hip_affine<${bDType}> ${rows}x${k}`,
    });
  };
}

function decodeMatrices(
  { k, batch, bDType }: MatmulProblem,
  layout: MatrixLayout,
  source: Binding,
  target: Binding,
  { from: first, rows, matrix }: Panel,
  decode: Decode,
) {
  const sizes = distinct(batch, layout);
  // Strides of blocks are in bytes.
  const unit = bDType === null ? 1 : DTYPES[bDType].bytes;
  return Array.from({ length: product(sizes) }, (_, index): Command => {
    let from = first * layout.strides[0];
    for (let d = sizes.length - 1, rest = index; d >= 0; d--) {
      from += (rest % sizes[d]!) * layout.batch[d]!;
      rest = Math.floor(rest / sizes[d]!);
    }
    const src = { buffer: source.buffer, byteOffset: source.byteOffset + unit * from };
    return decode(src, { ...target, byteOffset: target.byteOffset + index * matrix * k * 4 }, rows, first);
  });
}

/** Rows of the weights that are decoded and multiplied together. */
export interface Panel {
  readonly from: number;
  readonly rows: number;
  /** Rows from one decoded matrix to the next. */
  readonly matrix: number;
}

export function panels(problem: MatmulProblem, rows: number): Panel[] {
  return Array.from({ length: rows === 0 ? 0 : Math.ceil(problem.n / rows) }, (_, i) => ({
    from: i * rows,
    matrix: rows,
    rows: Math.min(rows, problem.n - i * rows),
  }));
}

/** The launches that decode a panel of the weights, and where it is then. */
export function decodePanel(problem: MatmulProblem, { args, scratch, constant }: MatmulCall, panel: Panel) {
  const { b, gate, k, batch, format, affine, gateAffine } = problem;
  const at = (byteOffset: number): Binding => ({ buffer: scratch!, byteOffset });
  const decode = (layout: MatrixLayout, own: AffineLayout | null, entries: AffineQuantization | undefined) =>
    format === null ? decodeNumbers(problem, layout, own, entries, constant) : decodeBlocks(problem, layout);
  const toB = at(0);
  const commands = decodeMatrices(problem, b, args.b.binding, toB, panel, decode(b, affine, args.quantization));
  if (gate === null) return { commands, b: toB, gate: undefined };
  const toGate = at(product(distinct(batch, b)) * panel.matrix * k * 4);
  const own = decode(gate, gateAffine, args.gateQuantization);
  commands.push(...decodeMatrices(problem, gate, args.gate!.binding, toGate, panel, own));
  return { commands, b: toB, gate: toGate };
}
