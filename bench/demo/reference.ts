import { QuantizedTensor } from '../../ts/device/tensor.ts';
import type { Precision, Weights } from '../../ts/dispatch/args.ts';
import { dequantize } from '../../ts/ops/quantize.ts';

/** How far a result is from the float64 product of the same activations and the same decoded weights. */
export interface Deviation {
  /** Root mean square of the error by that of the result. */
  readonly relative: number;
  /** The largest error by its own bound: above 1, the kernel is wrong. */
  readonly ofBound: number;
}

/** Rows of weights that are checked, spread over all of them: float64 in JavaScript takes its time. */
const CHECKED_ROWS = 24;
/** Activations that share a scale when they are rounded to 8 bits. */
const GROUP = 32;
/** Half a unit in the last place of f32. */
const U = 2 ** -24;

/**
 * Compare some columns of `out` = a · weightsᵀ with float64.
 *
 * The bound: rounding in f32 costs at most (k + 8) u Σ|a||b| in any order of summation. Activations rounded to 8 bits
 * (`fast`, block formats only) are off by half a step, max|a| / 254 of their group of 32, which weighs Σ|b| of the group.
 */
export async function deviation(
  a: Float32Array,
  weights: Weights,
  out: Float32Array,
  precision: Precision,
): Promise<Deviation> {
  const [n, k] = weights.shape as readonly [number, number];
  const m = a.length / k;
  const rounded = weights instanceof QuantizedTensor && precision === 'fast';
  const steps = groupSteps(a, k);
  const checked = Math.min(n, CHECKED_ROWS);
  let errors = 0;
  let values = 0;
  let ofBound = 0;
  for (let c = 0; c < checked; c++) {
    const row = Math.floor((c * n) / checked);
    const b = await decodeRow(weights, row);
    for (let i = 0; i < m; i++) {
      let exact = 0;
      let size = 0;
      let rounding = 0;
      for (let from = 0; from < k; from += GROUP) {
        let weight = 0;
        for (let j = from; j < Math.min(from + GROUP, k); j++) {
          const product = a[i * k + j]! * b[j]!;
          exact += product;
          size += Math.abs(product);
          weight += Math.abs(b[j]!);
        }
        rounding += weight * steps[(i * k + from) / GROUP]!;
      }
      const error = Math.abs(out[i * n + row]! - exact);
      const limit = (k + 8) * U * size + (rounded ? rounding : 0);
      errors += error ** 2;
      values += exact ** 2;
      // Written so that NaN, too, is a failure.
      ofBound = error <= limit ? Math.max(ofBound, limit === 0 ? 0 : error / limit) : Number.POSITIVE_INFINITY;
      if (ofBound > 1) return { relative: Math.sqrt(errors / values), ofBound };
    }
  }
  return { relative: Math.sqrt(errors / values), ofBound };
}

/** Half a step of 8-bit rounding, for each group of 32 activations. */
function groupSteps(a: Float32Array, k: number): Float64Array {
  const steps = new Float64Array(Math.ceil(k / GROUP) * (a.length / k));
  for (let i = 0; i < a.length; i++) {
    const group = Math.floor(i / GROUP);
    steps[group] = Math.max(steps[group]!, Math.abs(a[i]!) / 254);
  }
  return steps;
}

async function decodeRow(weights: Weights, row: number): Promise<Float32Array> {
  if (weights instanceof QuantizedTensor) {
    using slice = weights.slice({ start: row, end: row + 1 });
    return dequantize(weights.format.name, await slice.bytes());
  }
  using slice = weights.slice(row);
  return await slice.read();
}
