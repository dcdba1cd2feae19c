// Exact products with quantized weights: the weights are decoded to f32 in working space, then multiplied as plain ones.
import type { DeviceBuffer } from '../../device/buffer.ts';
import { type Binding, type Command, launch } from '../../device/command-list.ts';
import { product } from '../../kernels/hip/declare.ts';
import { hipDequantize, hipRowBlocks, hipRowVectors } from '../../kernels/hip/rows.ts';
import { DTYPES } from '../../tensor/dtype.ts';
import { contiguousStrides } from '../../tensor/layout.ts';
import type { MatmulCall } from '../catalogue.ts';
import type { MatmulProblem, MatrixLayout } from '../problem.ts';

/** Each is a launch of its own; a batch of more is for weights that are decoded once and kept. */
export const MAX_MATRICES = 1024;

/** Sizes of the batch dimensions along which weights differ; 1 where they are shared. */
const distinct = (batch: readonly number[], layout: MatrixLayout): number[] =>
  batch.map((size, d) => (layout.batch[d] === 0 ? 1 : size));

/** Matrices of weights, gates included, that have to be decoded. */
export const decodedMatrices = ({ batch, b, gate }: MatmulProblem): number =>
  product(distinct(batch, b)) + (gate === null ? 0 : product(distinct(batch, gate)));

function decodedLayout({ n, k, batch }: MatmulProblem, layout: MatrixLayout): MatrixLayout {
  const sizes = distinct(batch, layout);
  const strides = contiguousStrides(sizes).map((stride, d) => (sizes[d] === 1 ? 0 : stride * n * k));
  return { strides: [k, 1], batch: strides };
}

/** The problem with its weights as they are once decoded. */
export function plain(problem: MatmulProblem): MatmulProblem {
  if (problem.format === null) return problem;
  return {
    ...problem,
    format: null,
    bDType: 'f32',
    b: decodedLayout(problem, problem.b),
    gate: problem.gate && decodedLayout(problem, problem.gate),
  };
}

/** Bytes that the decoded matrices take, those of `b` first. */
export const decodedBytes = (problem: MatmulProblem): number => decodedMatrices(problem) * problem.n * problem.k * 4;

function decodeMatrices(
  problem: MatmulProblem,
  layout: MatrixLayout,
  source: Binding,
  scratch: DeviceBuffer,
  at: number,
) {
  const { n, k, batch, format } = problem;
  const sizes = distinct(batch, layout);
  const dst_stride = [k, 1];
  return Array.from({ length: product(sizes) }, (_, index): Command => {
    let from = source.byteOffset;
    for (let d = sizes.length - 1, rest = index; d >= 0; d--) {
      from += (rest % sizes[d]!) * layout.batch[d]!;
      rest = Math.floor(rest / sizes[d]!);
    }
    const to = at + index * n * k * 4;
    return launch(hipDequantize, {
      buffers: { src: { buffer: source.buffer, byteOffset: from }, dst: { buffer: scratch, byteOffset: to } },
      constants: { format: format!.id! },
      params: {
        ...{ n, k, src_row_bytes: layout.strides[0], dst_stride, dst_dtype: DTYPES.f32.id },
        dst_vector: hipRowVectors(k, n, dst_stride, DTYPES.f32.id, to),
        blocks: hipRowBlocks(k, format!.id!),
      },
      label: `hip_dequantize<${format!.name}> ${n}x${k}`,
    });
  });
}

/** The launches that decode the weights, and where they are then. */
export function decodeWeights(problem: MatmulProblem, { args, scratch }: MatmulCall) {
  const { b, gate, n, k, batch } = problem;
  const gateAt = product(distinct(batch, b)) * n * k * 4;
  const commands = [
    ...decodeMatrices(problem, b, args.b.binding, scratch!, 0),
    ...(gate === null ? [] : decodeMatrices(problem, gate, args.gate!.binding, scratch!, gateAt)),
  ];
  const at = (byteOffset: number): Binding => ({ buffer: scratch!, byteOffset });
  return { commands, b: at(0), gate: gate === null ? undefined : at(gateAt) };
}
