import { describe, expect, it } from 'vitest';
import { q8Bytes } from '../../ts/kernels/hip/matmul.ts';
import { hipQuantizeQ8 } from '../../ts/kernels/hip/quantize.ts';
import { DTYPES } from '../../ts/tensor/dtype.ts';
import { type FloatType, type Lie, store } from '../metal/matmul-case.ts';
import { hasClang } from '../metal/support.ts';
import { rounded, uniform } from '../support/values.ts';
import type { Target } from './emulation.ts';
import { launch } from './launch.ts';
import { encodeQ8 } from './q8.ts';

interface Case {
  readonly m: number;
  readonly k: number;
  readonly group: number;
  readonly step: number;
  readonly dtype?: FloatType;
  readonly lie?: Exclude<Lie, 'reversed'>;
  readonly batch?: number;
  readonly values?: Float32Array;
}

async function run(target: Target, { m, k, group, step, dtype = 'f32', lie = 'rows', batch = 1, ...own }: Case) {
  const values = (own.values ?? uniform(batch * m * k, m + k)).map((x) => rounded(x, dtype));
  const a = store(values, batch, m, k, dtype, lie);
  const { outputs } = await launch({
    kernel: hipQuantizeQ8 as never,
    target,
    constants: {},
    params: {
      ...{ m, k, group, step, a_dtype: DTYPES[dtype].id, a_stride: a.strides },
      ...{ batch: [1, 1, 1, batch], a_batch: [0, 0, 0, a.batch] },
    },
    buffers: { a: a.bytes, q8: { bytes: batch * q8Bytes(m, k, group) } },
  });
  const expected = Buffer.concat(
    Array.from(
      { length: batch },
      (_, z) => encodeQ8(values.subarray(z * m * k, (z + 1) * m * k), m, k, group, step).bytes,
    ),
  );
  expect(Buffer.compare(outputs.q8!, expected)).toBe(0);
}

describe.skipIf(!hasClang).each(['gfx906', 'gfx1100'] as const)('HIP quantize on %s', (target) => {
  it('writes steps, sums and codes in the order of each family of formats', async () => {
    for (const step of [0, 16, 32, 33, 64]) await run(target, { m: 3, k: 800, group: 4, step });
  });

  it('reads activations of every type and stride, a batch of them', async () => {
    await run(target, { m: 5, k: 96, group: 2, step: 16, dtype: 'f16', lie: 'columns', batch: 2 });
    await run(target, { m: 1, k: 4096, group: 1, step: 32, dtype: 'bf16', lie: 'spread' });
  });

  it('keeps zeros, tiny and huge activations', async () => {
    const values = Float32Array.from({ length: 256 }, (_, i) => {
      const group = Math.floor(i / 32);
      const scale = [0, 1e-40, 1e-38, 1e-30, 1, 1e30, 3e38, 6e-8][group]!;
      return scale * Math.sin(i + 1);
    });
    await run(target, { m: 1, k: 256, group: 1, step: 64, values });
  });
});
