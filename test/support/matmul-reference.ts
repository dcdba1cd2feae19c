import { activate } from '../../ts/dispatch/custom.ts';
import type { Activation } from '../../ts/kernels/types.ts';
import { EPS } from './values.ts';

export interface ReferenceInput {
  readonly batch: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** Row-major [batch or 1, m, k] and [batch or 1, n, k]. */
  readonly a: Float32Array;
  readonly b: Float32Array;
  readonly gate?: Float32Array | undefined;
  readonly bias?: Float32Array | undefined;
  readonly gateBias?: Float32Array | undefined;
  readonly residual?: Float32Array | undefined;
  readonly alpha: number;
  readonly beta: number;
  readonly activation: Activation;
  readonly outDType: 'f32' | 'f16' | 'bf16';
  /** Activations are rounded to 8 bits per group of 32: adds max|a| / 254 * sum|b| per group. */
  readonly fast: boolean;
}

/** Largest slope of each activation, for carrying an error through it. */
const SLOPE = 1.13;

/** A sum with the bound of its error under any order of f32 accumulation. */
function dot(a: Float32Array, at: number, b: Float32Array, bt: number, k: number, fast: boolean) {
  let sum = 0;
  let absolute = 0;
  let rounding = 0;
  for (let g = 0; g < k; g += 32) {
    let largest = 0;
    let weights = 0;
    for (let i = g; i < Math.min(g + 32, k); i++) {
      const x = a[at + i]!;
      const y = b[bt + i]!;
      sum += x * y;
      absolute += Math.abs(x * y);
      largest = Math.max(largest, Math.abs(x));
      weights += Math.abs(y);
    }
    // One part in 254 of the largest activation, and the rounding of the scale itself.
    if (fast) rounding += largest * weights * (1 / 254 + 4 * EPS.f32);
  }
  // Decoded weights may differ from scale * code - min by rounding, so the bound counts a few more operations.
  return { sum, bound: (k + 16) * EPS.f32 * (absolute + rounding) + rounding };
}

/** Results in float64 with a derived bound for each. */
export function referenceMatmul(input: ReferenceInput): { values: Float64Array; bounds: Float64Array } {
  const { batch, m, n, k, a, b, gate, bias, gateBias, residual, alpha, beta, activation, fast } = input;
  const values = new Float64Array(batch * m * n);
  const bounds = new Float64Array(batch * m * n);
  const aBatch = a.length === batch * m * k ? m * k : 0;
  const bBatch = b.length === batch * n * k ? n * k : 0;
  const out = EPS[input.outDType];
  for (let z = 0; z < batch; z++) {
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        const at = z * aBatch + i * k;
        const bt = z * bBatch + j * k;
        const main = dot(a, at, b, bt, k, fast);
        let value = alpha * main.sum;
        let bound = Math.abs(alpha) * main.bound + EPS.f32 * Math.abs(value);
        if (bias) {
          value += bias[j]!;
          bound += EPS.f32 * (Math.abs(value) + Math.abs(bias[j]!));
        }
        if (gate) {
          const side = dot(a, at, gate, bt, k, fast);
          const before = side.sum + (gateBias?.[j] ?? 0);
          const factor = activate(activation, before);
          const factorBound =
            SLOPE * (side.bound + 2 * EPS.f32 * Math.abs(before)) +
            16 * EPS.f32 * (Math.abs(factor) + Math.abs(before));
          bound = bound * (Math.abs(factor) + factorBound) + Math.abs(value) * factorBound;
          value *= factor;
        } else if (activation !== 'none') {
          bound = SLOPE * bound + 16 * EPS.f32 * Math.abs(value);
          value = activate(activation, value);
        }
        if (residual) value += beta * residual[(z * m + i) * n + j]!;
        const t = (z * m + i) * n + j;
        bound += 4 * EPS.f32 * (Math.abs(value) + Math.abs(residual ? beta * residual[t]! : 0));
        values[t] = value;
        // Rounding to the output type: half a unit, which below f16's normal numbers is 2^-25 whatever the value.
        bounds[t] = bound + out * (Math.abs(value) + bound) + (input.outDType === 'f16' ? 2 ** -25 : 2 ** -134);
      }
    }
  }
  return { values, bounds };
}

/** The first element that misses its bound, in words; null if all hold. NaN misses. */
export function firstMiss(got: Float32Array, values: Float64Array, bounds: Float64Array): string | null {
  if (got.length !== values.length) return `${got.length} elements instead of ${values.length}`;
  for (let i = 0; i < got.length; i++) {
    const error = Math.abs(got[i]! - values[i]!);
    if (!(error <= bounds[i]!)) {
      return `element ${i} is ${got[i]}, expected ${values[i]} within ${bounds[i]} (error ${error})`;
    }
  }
  return null;
}
