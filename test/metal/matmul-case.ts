import { dequantize, QuantFormat, quantize } from '../../ts/index.ts';
import type { MatmulParams } from '../../ts/kernels/matmul.ts';
import type { AnyMetalKernel } from '../../ts/kernels/metal/declare.ts';
import { vectorAccess } from '../../ts/kernels/metal/matmul.ts';
import { ACTIVATIONS, type Activation } from '../../ts/kernels/types.ts';
import { DTYPES } from '../../ts/tensor/dtype.ts';
import { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16 } from '../../ts/tensor/half.ts';
import type { Order } from '../../ts/testbed/dispatch.ts';
import { firstMiss, referenceMatmul } from '../support/matmul-reference.ts';
import { rounded, uniform } from '../support/values.ts';
import { launch, ORDERS } from './support.ts';

export type FloatType = 'f32' | 'f16' | 'bf16';

/** A batch of matrices in memory: its bytes, and where its elements are. */
interface Stored {
  readonly bytes: Uint8Array;
  readonly strides: readonly [number, number];
  readonly batch: number;
  /** The first element of the first matrix, and the bytes before it. */
  readonly start: number;
  readonly offset: number;
}

/** How a dense matrix [batch, rows, cols] lies in memory; the last three have negative strides. */
export type Lie = 'rows' | 'columns' | 'padded' | 'odd' | 'spread' | 'upward' | 'columns upward' | 'reversed';

/** Elements between neighbours along rows and columns, and from one matrix to the next. */
function strides(lie: Lie, rows: number, cols: number): [number, number, number] {
  switch (lie) {
    case 'rows':
      return [cols, 1, rows * cols];
    case 'columns':
      return [1, rows, rows * cols];
    case 'padded': // rows aligned to four elements
      return [Math.ceil(cols / 4) * 4 + 4, 1, rows * (Math.ceil(cols / 4) * 4 + 4)];
    case 'odd': // rows that no vector load can read
      return [cols | 1, 1, rows * (cols | 1)];
    case 'spread':
      return [cols * 2 + 1, 2, rows * (cols * 2 + 1)];
    case 'upward': // the last row first, contiguous along a row
      return [-cols, 1, rows * cols];
    case 'columns upward':
      return [1, -rows, -rows * cols];
    case 'reversed':
      return [-cols, -1, -rows * cols];
  }
}

export function encodeFloats(values: ArrayLike<number>, dtype: FloatType): Uint8Array {
  const bytes = new Uint8Array(values.length * DTYPES[dtype].bytes);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < values.length; i++) {
    if (dtype === 'f32') view.setFloat32(4 * i, values[i]!, true);
    else view.setUint16(2 * i, dtype === 'f16' ? f32ToF16(values[i]!) : f32ToBf16(values[i]!), true);
  }
  return bytes;
}
export function decodeFloats(bytes: Uint8Array, dtype: FloatType): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = DTYPES[dtype].bytes;
  return Float32Array.from({ length: bytes.byteLength / size }, (_, i) => {
    if (dtype === 'f32') return view.getFloat32(4 * i, true);
    return (dtype === 'f16' ? f16ToF32 : bf16ToF32)(view.getUint16(2 * i, true));
  });
}

/**
 * Memory between elements, and `shift` elements on both sides, hold NaN, so that what must not be read shows. Negative
 * strides start at their end.
 */
export function store(
  values: Float32Array,
  batch: number,
  rows: number,
  cols: number,
  dtype: FloatType,
  lie: Lie,
  shift = 0,
): Stored {
  const [row, col, matrix] = strides(lie, rows, cols);
  const memory = new Float32Array(batch * Math.abs(matrix) + 2 * shift).fill(Number.NaN);
  const back = (size: number, stride: number) => (stride < 0 ? (size - 1) * -stride : 0);
  const start = values.length === 0 ? shift : shift + back(rows, row) + back(cols, col) + back(batch, matrix);
  for (let z = 0; z < batch; z++) {
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < cols; j++) {
        memory[z * matrix + start + i * row + j * col] = values[(z * rows + i) * cols + j]!;
      }
    }
  }
  const offset = start * DTYPES[dtype].bytes;
  return { bytes: encodeFloats(memory, dtype), strides: [row, col] as const, batch: matrix, start, offset };
}

export interface MatmulCase {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly batch?: number;
  /** Weights without a batch dimension. */
  readonly sharedB?: boolean;
  readonly aType?: FloatType;
  /** A dense dtype or a format. */
  readonly bType: string;
  readonly outType?: FloatType;
  readonly aLie?: Lie;
  /** Of dense weights; those of blocks lie in rows, from the last to the first for `upward`. */
  readonly bLie?: Lie;
  readonly outLie?: Lie;
  /** Elements (of blocks: bytes) in memory before each operand, so that it is bound at an offset. */
  readonly shift?: number;
  readonly gate?: boolean;
  readonly bias?: boolean;
  readonly residual?: FloatType;
  readonly activation?: Activation;
  readonly alpha?: number;
  /** The kernel rounds both operands to this many bits of mantissa and more (plain products without epilogue only). */
  readonly operandBits?: number;
  /** As if the weights were bound at a byte offset that allows no wide loads. */
  readonly narrow?: boolean;
  readonly seed?: number;
}

export type Chosen = Readonly<Record<string, number>>;

/** The launch of a case with the kernel's own constants, its reference, and how to read the result. */
export function matmulLaunch(kernel: AnyMetalKernel, test: MatmulCase, chosen: (p: MatmulParams) => Chosen) {
  const { m, n, k, bType, aType = 'f32', outType = 'f32', batch = 1, seed = 1, activation = 'none', alpha = 1 } = test;
  const round = (values: Float32Array, dtype: FloatType) => values.map((value) => rounded(value, dtype));
  const aValues = round(uniform(batch * m * k, seed), aType);
  const shift = test.shift ?? 0;
  const a = store(aValues, batch, m, k, aType, test.aLie ?? 'rows', shift);
  const bBatch = test.sharedB === true ? 1 : batch;
  const weights = (own: number): Stored & { values: Float32Array } => {
    const raw = uniform(bBatch * n * k, own);
    if (bType in DTYPES) {
      const values = round(raw, bType as FloatType);
      return { ...store(values, bBatch, n, k, bType as FloatType, test.bLie ?? 'rows', shift), values };
    }
    const format = QuantFormat.get(bType);
    const packed = quantize(format.name, raw);
    const row = (k / format.blockSize) * format.blockBytes;
    const upward = test.bLie === 'upward';
    const bytes = new Uint8Array(packed.byteLength + 2 * shift).fill(0xff);
    for (let i = 0; i < bBatch * n; i++) {
      const to = upward ? bBatch * n - 1 - i : i;
      bytes.set(packed.subarray(i * row, (i + 1) * row), shift + to * row);
    }
    const offset = shift + (upward ? (bBatch * n - 1) * row : 0);
    const sign = upward ? -1 : 1;
    const values = dequantize(format.name, packed);
    return { bytes, strides: [sign * row, 0], batch: sign * n * row, start: offset, offset, values };
  };
  const b = weights(seed + 1);
  const gate = test.gate === true ? weights(seed + 2) : undefined;
  const bias = test.bias === true ? uniform(n, seed + 3) : undefined;
  const gateBias = test.bias === true && gate !== undefined ? uniform(n, seed + 4) : undefined;
  const residualType = test.residual ?? 'f32';
  const residualValues = test.residual && round(uniform(batch * m * n, seed + 5), residualType);
  const residual = residualValues && store(residualValues, batch, m, n, residualType, 'padded', shift);
  const out = store(new Float32Array(batch * m * n), batch, m, n, outType, test.outLie ?? 'rows', shift);
  const vector = (values: Float32Array) => store(values, 1, 1, n, 'f32', 'reversed', shift);
  const [biasMemory, gateBiasMemory] = [bias && vector(bias), gateBias && vector(gateBias)];
  const batchOf = (stored: Stored | undefined, shared = false) => [1, 1, 1, shared ? 0 : (stored?.batch ?? 0)];
  const params: MatmulParams = {
    m,
    n,
    k,
    a_stride: a.strides,
    b_stride: b.strides,
    gate_stride: gate?.strides ?? [0, 0],
    out_stride: out.strides,
    residual_stride: residual?.strides ?? [0, 0],
    bias_stride: -1,
    gate_bias_stride: -1,
    batch: [1, 1, 1, batch],
    a_batch: batchOf(a),
    b_batch: batchOf(b, bBatch !== batch),
    gate_batch: batchOf(gate, bBatch !== batch),
    out_batch: batchOf(out),
    residual_batch: batchOf(residual),
    group: 0,
    scale_stride: [0, 0],
    zero_stride: [0, 0],
    offset_stride: [0, 0],
    gate_scale_stride: [0, 0],
    gate_zero_stride: [0, 0],
    gate_offset_stride: [0, 0],
    alpha,
    beta: test.residual === undefined ? 0 : 0.5,
  };
  const types = {
    a_dtype: DTYPES[aType].id,
    b_dtype: bType in DTYPES ? DTYPES[bType as FloatType].id : QuantFormat.get(bType).id!,
    has_gate: gate === undefined ? 0 : 1,
  };
  const stored = { a, b, out, bias: biasMemory, residual, gate, gate_bias: gateBiasMemory };
  const offsets = Object.fromEntries(Object.entries(stored).map(([name, memory]) => [name, memory?.offset ?? 0]));
  const constants = {
    ...types,
    out_dtype: DTYPES[outType].id,
    residual_dtype: DTYPES[residualType].id,
    bias_dtype: DTYPES.f32.id,
    activation: ACTIVATIONS[activation],
    has_bias: bias === undefined ? 0 : 1,
    has_residual: residual === undefined ? 0 : 1,
    has_gate_bias: gateBias === undefined ? 0 : 1,
    ...vectorAccess(params, types, test.narrow === true ? { a: 1, b: 1, gate: 1 } : offsets),
    ...chosen(params),
  };
  const buffers = {
    a: a.bytes,
    b: b.bytes,
    out: { bytes: out.bytes.byteLength },
    ...(biasMemory && { bias: biasMemory.bytes }),
    ...(residual && { residual: residual.bytes }),
    ...(gate && { gate: gate.bytes }),
    ...(gateBiasMemory && { gate_bias: gateBiasMemory.bytes }),
  };
  const expected = () => {
    const problem = {
      ...{ batch, m, n, k, a: aValues, b: b.values, gate: gate?.values, bias, gateBias },
      ...{
        residual: residualValues || undefined,
        alpha,
        beta: params.beta,
        activation,
        outDType: outType,
        fast: false,
      },
    };
    const reference = referenceMatmul(problem);
    if (test.operandBits === undefined) return reference;
    const absolute = { ...problem, a: aValues.map(Math.abs), b: b.values.map(Math.abs), outDType: 'f32' as const };
    const sums = referenceMatmul(absolute).values;
    // Each product has two rounded factors.
    const relative = (1 + 2 ** -test.operandBits) ** 2 - 1;
    return { ...reference, bounds: reference.bounds.map((bound, i) => bound * (1 + relative) + relative * sums[i]!) };
  };
  const results = (bytes: Uint8Array) => {
    const memory = decodeFloats(bytes, outType);
    const [row, col] = out.strides;
    const values = Float32Array.from({ length: batch * m * n }, (_, i) => {
      const [z, at] = [Math.floor(i / (m * n)), i % (m * n)];
      const position = out.start + z * out.batch + Math.floor(at / n) * row + (at % n) * col;
      const value = memory[position]!;
      memory[position] = Number.NaN;
      return value;
    });
    if (!memory.every(Number.isNaN)) throw new Error('memory between the results was written');
    return values;
  };
  return { launch: { kernel, constants, params, buffers, offsets }, expected, results };
}

/** Run a case; throws with the first element that misses its bound. Gives the counters. */
export async function runMatmul(
  kernel: unknown,
  test: MatmulCase,
  chosen: (p: MatmulParams) => Chosen,
  orders: readonly Order[] = ORDERS,
) {
  const own = matmulLaunch(kernel as AnyMetalKernel, test, chosen);
  const { outputs, counters } = await launch({ ...own.launch, orders } as never);
  const { values, bounds } = own.expected();
  const miss = firstMiss(own.results(outputs.out!), values, bounds);
  if (miss !== null) throw new Error(`${JSON.stringify(test)}: ${miss}`);
  return { counters, params: own.launch.params, buffers: own.launch.buffers };
}
