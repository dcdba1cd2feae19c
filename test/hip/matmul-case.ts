import { dequantize, QuantFormat, quantize } from '../../ts/index.ts';
import type { AnyHipKernel } from '../../ts/kernels/hip/declare.ts';
import { hipGemmSum, hipSumBytes } from '../../ts/kernels/hip/gemm.ts';
import type { HipMatmulParams } from '../../ts/kernels/hip/matmul.ts';
import { ACTIVATIONS, type Activation } from '../../ts/kernels/types.ts';
import { DTYPES } from '../../ts/tensor/dtype.ts';
import type { Order } from '../../ts/testbed/dispatch.ts';
import { decodeFloats, encodeFloats, type FloatType, type Lie, store } from '../metal/matmul-case.ts';
import { firstMiss, referenceMatmul } from '../support/matmul-reference.ts';
import { rounded, uniform } from '../support/values.ts';
import type { Target } from './emulation.ts';
import { launch, ORDERS } from './launch.ts';
import { encodeQ8 } from './q8.ts';

export interface HipMatmulCase {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly target: Target;
  /** A format, or a dtype. */
  readonly bType: string;
  /** Left out, a format is multiplied with 8-bit activations. */
  readonly aType?: FloatType;
  readonly aLie?: Lie;
  readonly bLie?: Lie;
  readonly outLie?: Lie;
  readonly batch?: number;
  readonly sharedB?: boolean;
  readonly outType?: FloatType;
  readonly bias?: boolean;
  readonly gate?: boolean;
  readonly residual?: FloatType;
  readonly activation?: Activation;
  readonly alpha?: number;
  readonly seed?: number;
  readonly orders?: readonly Order[];
  /** Workgroups that share a tile of a GEMM along k; their sums are added up by hip_gemm_sum. */
  readonly splits?: number;
  /** Plain operands are first rounded to this type, as the kernel does. */
  readonly roundedTo?: FloatType;
}

/** Runs a case; throws with the first output that misses its bound. 8-bit activations count as what they are. */
export async function runMatmul(
  kernel: unknown,
  test: HipMatmulCase,
  chosen: (p: HipMatmulParams) => Readonly<Record<string, number>>,
) {
  const { m, n, k, bType, target, aType = 'f32', outType = 'f32', batch = 1, seed = 1, alpha = 1 } = test;
  const { activation = 'none', orders = ORDERS, splits = 1 } = test;
  const quantized = !(bType in DTYPES);
  const coded = quantized && test.aType === undefined;
  const raw = uniform(batch * m * k, seed);
  const activations = () => {
    if (!coded) {
      const values = raw.map((x) => rounded(x, aType));
      return { ...store(values, batch, m, k, aType, test.aLie ?? 'rows'), values };
    }
    const parts = Array.from({ length: batch }, (_, z) =>
      encodeQ8(raw.subarray(z * m * k, (z + 1) * m * k), m, k, 1, 0),
    );
    const values = Float32Array.from(parts.flatMap(({ rounded }) => [...rounded]));
    return {
      bytes: Buffer.concat(parts.map(({ bytes }) => bytes)),
      strides: [0, 0] as const,
      batch: 0,
      start: 0,
      values,
    };
  };
  const a = activations();
  const bBatch = test.sharedB === true ? 1 : batch;
  const weights = (own: number) => {
    const random = uniform(bBatch * n * k, own);
    if (!quantized) {
      const values = random.map((x) => rounded(x, bType as FloatType));
      return { ...store(values, bBatch, n, k, bType as FloatType, test.bLie ?? 'rows'), values };
    }
    const format = QuantFormat.get(bType);
    const bytes = quantize(format.name, random);
    const row = (k / format.blockSize) * format.blockBytes;
    return { bytes, strides: [row, 0] as const, batch: n * row, start: 0, values: dequantize(format.name, bytes) };
  };
  const b = weights(seed + 1);
  const gate = test.gate === true ? weights(seed + 2) : undefined;
  const bias = test.bias === true ? uniform(n, seed + 3) : undefined;
  const gateBias = test.bias === true && gate !== undefined ? uniform(n, seed + 4) : undefined;
  const residualType = test.residual ?? 'f32';
  const residualValues = test.residual && uniform(batch * m * n, seed + 5).map((x) => rounded(x, residualType));
  const residual = residualValues && store(residualValues, batch, m, n, residualType, 'padded');
  const out = store(new Float32Array(batch * m * n), batch, m, n, outType, test.outLie ?? 'rows');
  const shared = (stride: number) => (bBatch === batch ? stride : 0);
  const params: HipMatmulParams = {
    ...{ m, n, k, split_shift: 0, groups: 1, splits },
    ...{ a_stride: a.strides, b_stride: b.strides, gate_stride: gate?.strides ?? [0, 0] },
    ...{ out_stride: out.strides, residual_stride: residual?.strides ?? [0, 0] },
    ...{ bias_stride: 1, gate_bias_stride: 1 },
    ...{ out_dtype: DTYPES[outType].id, residual_dtype: DTYPES[residualType].id, bias_dtype: DTYPES.f32.id },
    ...{ activation: ACTIVATIONS[activation], alpha, beta: test.residual === undefined ? 0 : 0.5 },
    a_dtype: coded ? DTYPES.i8.id : DTYPES[aType].id,
    b_dtype: quantized ? QuantFormat.get(bType).id! : DTYPES[bType as FloatType].id,
    batch: [1, 1, 1, batch],
    a_batch: [0, 0, 0, a.batch],
    b_batch: [0, 0, 0, shared(b.batch)],
    gate_batch: [0, 0, 0, shared(gate?.batch ?? 0)],
    out_batch: [0, 0, 0, out.batch],
    residual_batch: [0, 0, 0, residual?.batch ?? 0],
  };
  const constants = { gate: gate === undefined ? 0 : 1, ...chosen(params) };
  const product = {
    ...{ kernel: kernel as AnyHipKernel, target, constants, params: params as never, orders },
    buffers: { a: a.bytes, b: b.bytes, ...(gate && { gate: gate.bytes }) },
    offsets: {
      a: a.start * (coded ? 1 : DTYPES[aType].bytes),
      b: b.start * (quantized ? 1 : DTYPES[bType as FloatType].bytes),
      gate: (gate?.start ?? 0) * (quantized ? 1 : DTYPES[bType as FloatType].bytes),
    },
  };
  const epilogue = {
    out: { bytes: out.bytes.byteLength },
    ...(bias && { bias: encodeFloats(bias, 'f32') }),
    ...(residual && { residual: residual.bytes }),
    ...(gateBias && { gate_bias: encodeFloats(gateBias, 'f32') }),
  };
  const outOffset = { out: out.start * DTYPES[outType].bytes };
  const finish = async () => {
    if (splits === 1) {
      const { buffers, offsets } = product;
      return launch({ ...product, buffers: { ...buffers, ...epilogue }, offsets: { ...offsets, ...outOffset } });
    }
    const sums = { bytes: hipSumBytes(params, constants.gate) };
    const { outputs } = await launch({ ...product, buffers: { ...product.buffers, out: sums } });
    return launch({
      ...{ kernel: hipGemmSum as never, target, constants: {}, params: { ...params, gate: constants.gate } as never },
      ...{ buffers: { ...epilogue, sums: outputs.out! }, offsets: outOffset, orders },
    });
  };
  const { outputs, counters } = await finish();
  const memory = decodeFloats(outputs.out!, outType);
  const [row, column] = out.strides;
  const got = Float32Array.from({ length: batch * m * n }, (_, i) => {
    const [z, at] = [Math.floor(i / (m * n)), i % (m * n)];
    return memory[out.start + z * out.batch + Math.floor(at / n) * row + (at % n) * column]!;
  });
  const narrow = (values: Float32Array) =>
    test.roundedTo === undefined ? values : values.map((x) => rounded(x, test.roundedTo!));
  const { values, bounds } = referenceMatmul({
    ...{ batch, m, n, k, a: narrow(a.values), b: narrow(b.values), gate: gate && narrow(gate.values), bias, gateBias },
    ...{ residual: residualValues || undefined, alpha, beta: params.beta, activation, outDType: outType, fast: false },
  });
  const miss = firstMiss(got, values, bounds);
  if (miss !== null) throw new Error(`${JSON.stringify(test)}: ${miss}`);
  return counters;
}
