import { describe, expect, it } from 'vitest';
import type { AnyMetalKernel } from '../../ts/kernels/metal/declare.ts';
import { gemvAffine } from '../../ts/kernels/metal/matmul.ts';
import { DTYPES } from '../../ts/tensor/dtype.ts';
import { firstMiss, referenceMatmul } from '../support/matmul-reference.ts';
import { elements, rounded, uniform } from '../support/values.ts';
import { decodeFloats, encodeFloats, matmulLaunch } from './matmul-case.ts';
import { hasClang, launch } from './support.ts';

interface Case {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly group: number;
  /** Entries by row and group, or one for all. */
  readonly entries: 'groups' | 'one';
  readonly zero?: boolean;
  readonly offset?: boolean;
  readonly gate?: boolean;
  readonly dtype?: 'i8' | 'i32';
  /** Weights lie along n. */
  readonly across?: boolean;
}

/** Run a case; throws when an element misses its bound. */
async function run(test: Case) {
  const { m, n, k, group, dtype = 'i8' } = test;
  const groups = Math.ceil(k / group);
  const own = matmulLaunch(gemvAffine as never as AnyMetalKernel, { m, n, k, bType: 'f32' }, () => ({}));
  const side = (seed: number) => {
    const codes = uniform(n * k, seed).map((value) => rounded(value, dtype));
    const make = (s: number, factor: number) =>
      uniform(test.entries === 'one' ? 1 : n * groups, s).map((v) => v * factor);
    const scale = make(seed + 1, 0.02);
    const zero = test.zero === true ? make(seed + 2, 50) : null;
    const offset = test.offset === true ? make(seed + 3, 1) : null;
    const entry = (values: Float32Array, j: number, i: number) =>
      values[test.entries === 'one' ? 0 : j * groups + Math.floor(i / group)]!;
    // Each weight is computed in f32, step by step, here and in the kernel.
    const values = codes.map((code, at) => {
      const [j, i] = [Math.floor(at / k), at % k];
      const shifted = Math.fround(code - (zero === null ? 0 : entry(zero, j, i)));
      return Math.fround(entry(scale, j, i) * shifted) + (offset === null ? 0 : entry(offset, j, i));
    });
    const stored = test.across === true ? codes.map((_, at) => codes[(at % n) * k + Math.floor(at / n)]!) : codes;
    const typed = elements(stored, dtype);
    const bytes = new Uint8Array(typed.buffer, typed.byteOffset, typed.byteLength);
    return { bytes, values, scale, zero, offset };
  };
  const main = side(10);
  const gate = test.gate === true ? side(20) : null;
  const stride = test.across === true ? [1, n] : [k, 1];
  const step = test.entries === 'one' ? [0, 0] : [groups, 1];
  const f32 = (values: Float32Array) => encodeFloats(values, 'f32');
  const bound = (prefix: string, of: ReturnType<typeof side> | null) =>
    of === null
      ? {}
      : {
          [`${prefix}scale`]: f32(of.scale),
          ...(of.zero && { [`${prefix}zero`]: f32(of.zero) }),
          ...(of.offset && { [`${prefix}offset`]: f32(of.offset) }),
        };
  const buffers = {
    ...own.launch.buffers,
    b: main.bytes,
    ...bound('', main),
    ...(gate && { gate: gate.bytes, ...bound('gate_', gate) }),
  };
  const has = (name: string) => (name in buffers ? 1 : 0);
  const { outputs } = await launch({
    kernel: gemvAffine as never as AnyMetalKernel,
    constants: {
      ...own.launch.constants,
      ...{ b_dtype: DTYPES[dtype].id, a_vector: 0, b_vector: 0, columns: m === 1 ? 1 : 4, simdgroups: 2 },
      ...{ has_gate: has('gate'), has_scale: has('scale'), has_zero: has('zero'), has_offset: has('offset') },
      ...{ has_gate_scale: has('gate_scale'), has_gate_zero: has('gate_zero'), has_gate_offset: has('gate_offset') },
    },
    params: {
      ...own.launch.params,
      ...{ b_stride: stride, gate_stride: stride, group },
      ...{ scale_stride: step, zero_stride: step, offset_stride: step },
      ...{ gate_scale_stride: step, gate_zero_stride: step, gate_offset_stride: step },
    },
    buffers,
  });
  const a = decodeFloats(own.launch.buffers.a as Uint8Array, 'f32');
  const { values, bounds } = referenceMatmul({
    ...{ batch: 1, m, n, k, a, b: main.values, gate: gate?.values, alpha: 1, beta: 0 },
    ...{ activation: 'none', outDType: 'f32', fast: false },
  });
  const miss = firstMiss(decodeFloats(outputs.out!, 'f32'), values, bounds);
  if (miss !== null) throw new Error(`${JSON.stringify(test)}: ${miss}`);
}

describe.skipIf(!hasClang)('gemv on affine weights', () => {
  it('has scales, zero points and offsets per group, or one of each', async () => {
    await run({ m: 1, n: 5, k: 96, group: 32, entries: 'groups' });
    await run({ m: 1, n: 3, k: 70, group: 7, entries: 'groups', zero: true });
    await run({ m: 3, n: 3, k: 33, group: 33, entries: 'one', zero: true, offset: true });
  });

  it('takes rows beyond its columns, a gate, i32, and weights along n', async () => {
    await run({ m: 6, n: 5, k: 64, group: 16, entries: 'groups', zero: true, offset: true, gate: true });
    await run({ m: 5, n: 4, k: 31, group: 31, entries: 'groups', dtype: 'i32', across: true });
  });

  it('refuses what it cannot do', () => {
    const p = { m: 1, n: 1, k: 32, group: 0 } as never;
    const base = { a_dtype: 0, b_dtype: 3, columns: 1, simdgroups: 2, a_vector: 0, b_vector: 0, has_scale: 0 };
    const refuse = (change: object) => gemvAffine.refuse(p, { ...base, ...change } as never);
    expect(refuse({})).toBeNull();
    expect(refuse({ columns: 2 })).toMatch('instance');
    expect(refuse({ b_dtype: 16 })).toMatch('blocks');
    expect(refuse({ a_vector: 1 })).toMatch('one at a time');
    expect(refuse({ has_scale: 1 })).toMatch('groups');
    expect(refuse({ simdgroups: 40 })).toMatch('threadgroup');
  });
});
