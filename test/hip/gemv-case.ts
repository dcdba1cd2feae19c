import { dequantize, QuantFormat, quantize } from '../../ts/index.ts';
import { hipGemv, stepOfFormat } from '../../ts/kernels/hip/gemv.ts';
import type { HipMatmulParams } from '../../ts/kernels/hip/matmul.ts';
import { ACTIVATIONS, type Activation } from '../../ts/kernels/types.ts';
import { DTYPES } from '../../ts/tensor/dtype.ts';
import type { Order } from '../../ts/testbed/dispatch.ts';
import { decodeFloats, encodeFloats, type FloatType } from '../metal/matmul-case.ts';
import { firstMiss, referenceMatmul } from '../support/matmul-reference.ts';
import { rounded, uniform } from '../support/values.ts';
import type { Target } from './emulation.ts';
import { launch, ORDERS } from './launch.ts';
import { encodeQ8 } from './q8.ts';

export interface GemvCase {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly format: string;
  readonly target: Target;
  readonly columns?: number;
  readonly rows?: number;
  readonly groups?: number;
  readonly splitShift?: number;
  readonly batch?: number;
  readonly sharedB?: boolean;
  readonly outType?: FloatType;
  readonly bias?: boolean;
  readonly gate?: boolean;
  readonly residual?: FloatType;
  readonly activation?: Activation;
  readonly alpha?: number;
  /** Results as columns, with gaps. */
  readonly transposed?: boolean;
  readonly seed?: number;
  readonly orders?: readonly Order[];
}

/** Runs a case; throws with the first output that misses its bound. The activations are those after rounding. */
export async function runGemv(test: GemvCase) {
  const { m, n, k, target, batch = 1, groups = 2, splitShift = 0, rows = 1, seed = 1, alpha = 1 } = test;
  const { outType = 'f32', activation = 'none', orders = ORDERS } = test;
  const columns = test.columns ?? [1, 2, 4, 8].find((c) => c >= m) ?? 8;
  const format = QuantFormat.get(test.format);
  const step = stepOfFormat(format.id!);
  const a = { bytes: new Uint8Array(0), rounded: new Float32Array(batch * m * k) };
  const raw = uniform(batch * m * k, seed);
  for (let z = 0; z < batch; z++) {
    const own = encodeQ8(raw.subarray(z * m * k, (z + 1) * m * k), m, k, columns, step);
    a.bytes = Buffer.concat([a.bytes, own.bytes]);
    a.rounded.set(own.rounded, z * m * k);
  }
  const bBatch = test.sharedB === true ? 1 : batch;
  const rowBytes = (k / format.blockSize) * format.blockBytes;
  const weights = (own: number) => {
    const bytes = quantize(format.name, uniform(bBatch * n * k, own));
    return { bytes, values: dequantize(format.name, bytes) };
  };
  const b = weights(seed + 1);
  const gate = test.gate === true ? weights(seed + 2) : undefined;
  const bias = test.bias === true ? uniform(n, seed + 3) : undefined;
  const gateBias = test.bias === true && gate !== undefined ? uniform(n, seed + 4) : undefined;
  const residualType = test.residual ?? 'f32';
  const residual = test.residual && uniform(batch * m * n, seed + 5).map((x) => rounded(x, residualType));
  const outStride = test.transposed === true ? [1, m + 3] : [n, 1];
  const outMatrix = test.transposed === true ? n * (m + 3) : m * n;
  const params: HipMatmulParams = {
    ...{ m, n, k, split_shift: splitShift, groups, splits: 1, a_stride: [0, 0] },
    b_stride: [rowBytes, 0],
    gate_stride: [rowBytes, 0],
    out_stride: outStride,
    residual_stride: [n, 1],
    ...{ bias_stride: 1, gate_bias_stride: 1 },
    ...{ out_dtype: DTYPES[outType].id, residual_dtype: DTYPES[residualType].id, bias_dtype: DTYPES.f32.id },
    ...{ activation: ACTIVATIONS[activation], alpha, beta: test.residual === undefined ? 0 : 0.5 },
    ...{ a_dtype: DTYPES.i8.id, b_dtype: format.id! },
    batch: [1, 1, 1, batch],
    a_batch: [0, 0, 0, 0],
    b_batch: [0, 0, 0, bBatch === 1 ? 0 : n * rowBytes],
    gate_batch: [0, 0, 0, bBatch === 1 ? 0 : n * rowBytes],
    out_batch: [0, 0, 0, outMatrix],
    residual_batch: [0, 0, 0, m * n],
  };
  const { outputs } = await launch({
    kernel: hipGemv as never,
    target,
    constants: { b_dtype: format.id!, columns, rows, gate: gate === undefined ? 0 : 1 },
    params: params as never,
    buffers: {
      a: a.bytes,
      b: b.bytes,
      out: { bytes: batch * outMatrix * DTYPES[outType].bytes },
      ...(bias && { bias: encodeFloats(bias, 'f32') }),
      ...(residual && { residual: encodeFloats(residual, residualType) }),
      ...(gate && { gate: gate.bytes }),
      ...(gateBias && { gate_bias: encodeFloats(gateBias, 'f32') }),
    },
    orders,
  });
  const memory = decodeFloats(outputs.out!, outType);
  const got = Float32Array.from({ length: batch * m * n }, (_, i) => {
    const [z, at] = [Math.floor(i / (m * n)), i % (m * n)];
    return memory[z * outMatrix + Math.floor(at / n) * outStride[0]! + (at % n) * outStride[1]!]!;
  });
  const { values, bounds } = referenceMatmul({
    ...{ batch, m, n, k, a: a.rounded, b: b.values, gate: gate?.values, bias, gateBias },
    ...{ residual: residual || undefined, alpha, beta: params.beta, activation, outDType: outType, fast: false },
  });
  const miss = firstMiss(got, values, bounds);
  if (miss !== null) throw new Error(`${JSON.stringify(test)}: ${miss}`);
}
