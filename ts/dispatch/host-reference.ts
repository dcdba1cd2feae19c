import { loadNative, nativeCall } from '../backends/native.ts';
import type { HostStep } from '../device/command-list.ts';
import { hostRead } from '../device/host-access.ts';
import { QuantizedTensor, type Tensor } from '../device/tensor.ts';
import type { AffineQuantization, MatmulArgs, Weights } from './args.ts';
import { type CustomMatmulCall, hostMatmul, readWeights } from './custom.ts';
import type { MatmulProblem } from './problem.ts';

/** Name of the kernel in `explain`. GPU back ends list it among theirs. */
export const HOST_REFERENCE = 'host_reference';

/**
 * Any matmul on the JavaScript thread, summed in float64: what GPU back ends run for operands that no shader reads
 * (integers, affine weights), and their oracle.
 */
export function hostReference(problem: MatmulProblem, args: MatmulArgs, out: Tensor): HostStep {
  return {
    type: 'host',
    label: `${HOST_REFERENCE} ${problem.m}x${problem.n}x${problem.k}`,
    run: () =>
      hostMatmul(problem, args, out, {
        run: multiply,
        weights: (weights, quantization, batch) => decoded(problem, args, weights, quantization, batch),
      }),
  };
}

function multiply({ m, n, k, a, b, out }: CustomMatmulCall): void {
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let sum = 0;
      for (let t = 0; t < k; t++) sum += a[i * k + t]! * b[j * k + t]!;
      out[i * n + j] = sum;
    }
  }
}

/** Weights as floats, one batch entry at a time. */
function decoded(
  { n, k, affine, gateAffine }: MatmulProblem,
  args: MatmulArgs,
  weights: Weights,
  quantization: AffineQuantization | undefined,
  batch: readonly number[],
): (i: number) => Float32Array {
  const raw = readWeights(weights, batch, args.transposeB ?? false);
  if (weights instanceof QuantizedTensor) {
    const { id } = weights.format;
    return (i) => nativeCall(() => loadNative().dequantize(id!, raw(i) as Uint8Array, n * k));
  }
  if (quantization === undefined) return (i) => raw(i) as Float32Array;
  const group = (quantization === args.quantization ? affine : (gateAffine ?? affine))!.group;
  const entry = affineEntries(n, Math.max(1, Math.ceil(k / group)), group);
  const [scale, zero, offset] = [entry(quantization.scale), entry(quantization.zeroPoint), entry(quantization.offset)];
  return (i) =>
    (raw(i) as Float32Array).map((q, at) => {
      const [j, t] = [Math.floor(at / k), at % k];
      // Step by step in f32, as the CPU's kernels compute it.
      return Math.fround(scale(j, t) * Math.fround(q - zero(j, t))) + offset(j, t);
    });
}

const affineEntries = (n: number, groups: number, group: number) => (value: number | Tensor | undefined) => {
  if (value === undefined || typeof value === 'number') return () => value ?? 0;
  const own = value.size === 1 ? 1 : (value.shape[1] ?? 1);
  const layout = value.size === 1 ? value.layout : value.layout.broadcastTo(value.rank === 1 ? [n] : [n, own]);
  const values = hostRead(value, layout);
  if (value.size === 1) return () => values[0]!;
  const step = own === 1 || groups === 1 ? 0 : 1;
  return (j: number, t: number) => values[j * own + step * Math.floor(t / group)]!;
};
