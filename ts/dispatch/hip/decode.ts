// Exact products of many rows with quantized weights: panels of rows of the weights are decoded to f32 in working space,
// then multiplied as plain ones.
import type { DeviceBuffer } from '../../device/buffer.ts';
import { type Binding, type Command, launch } from '../../device/command-list.ts';
import { product } from '../../kernels/hip/declare.ts';
import { hipDequantize, hipRowBlocks, hipRowVectors } from '../../kernels/hip/rows.ts';
import { DTYPES } from '../../tensor/dtype.ts';
import { contiguousStrides } from '../../tensor/layout.ts';
import type { MatmulCall } from '../catalogue.ts';
import type { MatmulProblem, MatrixLayout } from '../problem.ts';
import type { TuningEntry } from '../tuning.ts';

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

function decodedLayout(problem: MatmulProblem, layout: MatrixLayout, rows: number): MatrixLayout {
  const { k, batch } = problem;
  const sizes = distinct(batch, layout);
  const matrix = rows * k;
  const strides = contiguousStrides(sizes).map((stride, d) => (sizes[d] === 1 ? 0 : stride * matrix));
  return { strides: [k, 1], batch: strides };
}

/** The problem with its weights as they are once decoded, `rows` of each matrix. */
export function plain(problem: MatmulProblem, rows = problem.n): MatmulProblem {
  if (problem.format === null) return problem;
  return {
    ...problem,
    format: null,
    bDType: 'f32',
    b: decodedLayout(problem, problem.b, rows),
    gate: problem.gate && decodedLayout(problem, problem.gate, rows),
  };
}

/** Bytes that the decoded panels take, those of `b` first. */
export const decodedBytes = (problem: MatmulProblem, rows: number): number =>
  Math.max(16, decodedMatrices(problem) * rows * problem.k * 4);

function decodeMatrices(
  problem: MatmulProblem,
  layout: MatrixLayout,
  source: Binding,
  scratch: DeviceBuffer,
  at: number,
  { from: first, rows, matrix }: Panel,
) {
  const { k, batch, format } = problem;
  const sizes = distinct(batch, layout);
  const dst_stride = [k, 1];
  return Array.from({ length: product(sizes) }, (_, index): Command => {
    let from = source.byteOffset + first * layout.strides[0];
    for (let d = sizes.length - 1, rest = index; d >= 0; d--) {
      from += (rest % sizes[d]!) * layout.batch[d]!;
      rest = Math.floor(rest / sizes[d]!);
    }
    const to = at + index * matrix * k * 4;
    return launch(hipDequantize, {
      buffers: { src: { buffer: source.buffer, byteOffset: from }, dst: { buffer: scratch, byteOffset: to } },
      constants: { format: format!.id! },
      params: {
        ...{ n: rows, k, src_row_bytes: layout.strides[0], dst_stride, dst_dtype: DTYPES.f32.id },
        dst_vector: hipRowVectors(k, rows, dst_stride, DTYPES.f32.id, to),
        blocks: hipRowBlocks(k, format!.id!),
      },
      label: `hip_dequantize<${format!.name}> ${rows}x${k}`,
    });
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
export function decodePanel(problem: MatmulProblem, { args, scratch }: MatmulCall, panel: Panel) {
  const { b, gate, k, batch } = problem;
  const gateAt = product(distinct(batch, b)) * panel.matrix * k * 4;
  const commands = [
    ...decodeMatrices(problem, b, args.b.binding, scratch!, 0, panel),
    ...(gate === null ? [] : decodeMatrices(problem, gate, args.gate!.binding, scratch!, gateAt, panel)),
  ];
  const at = (byteOffset: number): Binding => ({ buffer: scratch!, byteOffset });
  return { commands, b: at(0), gate: gate === null ? undefined : at(gateAt) };
}
