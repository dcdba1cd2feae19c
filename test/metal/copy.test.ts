import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { COPY_METHODS, copy, copyVectors } from '../../ts/kernels/metal/copy.ts';
import { anyCopy, COPY_TYPES, type CopyCase, makeCopy } from '../support/copy-case.ts';
import { hasClang, launch } from './support.ts';

interface Case extends CopyCase {
  readonly method?: (typeof COPY_METHODS)[number];
}

async function run({ method = 'elements', ...test }: Case) {
  const { params, types, buffers, offsets, check } = makeCopy(test);
  const vector = method === 'elements' ? copyVectors(params, types, offsets) : 0;
  const { outputs, counters } = await launch({
    kernel: copy as never,
    constants: { ...types, vector, method: COPY_METHODS.indexOf(method) },
    ...{ params, buffers, offsets },
  });
  check(outputs.dst!);
  return counters;
}

describe.skipIf(!hasClang)('copy', () => {
  it.each(COPY_TYPES.flatMap((from) => COPY_TYPES.map((to) => [from, to] as const)))(
    'converts %s to %s',
    async (from, to) => {
      await run({ shape: [3, 37], from, to });
      await run({ shape: [5, 40], from, to });
      await run({ shape: [35, 34], from, to, src: { order: [1, 0], steps: [1, 1], offset: 0 }, method: 'transposed' });
    },
  );

  it('takes vectors backwards, and none where the offset does not allow them', async () => {
    const rows = { order: [0, 1], steps: [-1, 1] };
    for (const offset of [0, 4, 1]) {
      await run({ shape: [3, 40], from: 'f16', to: 'f32', src: { ...rows, offset }, dst: { ...rows, offset } });
      await run({ shape: [3, 40], from: 'f32', to: 'bf16', src: { ...rows, offset: 0 }, dst: { ...rows, offset } });
    }
    const columns = { order: [1, 0], steps: [-1, -1], offset: 3 };
    await run({ shape: [35, 34], from: 'f16', to: 'f32', src: columns, method: 'transposed' });
  });

  it('takes any strides, forwards and backwards, at any offset', async () => {
    await fc.assert(
      fc.asyncProperty(anyCopy(COPY_METHODS), async (test) => {
        await run(test);
      }),
      { numRuns: 25 },
    );
  });

  it('reads and writes whole lines when it transposes', async () => {
    const src = { order: [1, 0], steps: [1, 1], offset: 0 };
    const counters = await run({ shape: [64, 96], from: 'f32', to: 'f32', src, method: 'transposed' });
    const { simdReads, readLines, simdWrites, writeLines } = counters.spaces.device;
    expect(readLines / simdReads).toBeLessThanOrEqual(1);
    expect(writeLines / simdWrites).toBeLessThanOrEqual(1);
    const { readBankCycles, writeBankCycles, simdReads: loads, simdWrites: stores } = counters.spaces.threadgroup;
    expect((readBankCycles + writeBankCycles) / (loads + stores)).toBe(1);
  });

  it('refuses what it cannot do', () => {
    const refuse = (p: object, c: object) => copy.refuse(p as never, c as never);
    const ones = new Array<number>(8).fill(1);
    expect(refuse({ shape: [1] }, {})).toMatch('8 entries');
    expect(refuse({ shape: ones }, { vector: 1, src_dtype: 3, dst_dtype: 0, method: 0 })).toMatch('vectors');
    expect(refuse({ shape: ones }, { vector: 0, method: 2 })).toMatch('method');
    expect(refuse({ shape: [2 ** 31, ...ones.slice(1)] }, { vector: 0, method: 0 })).toMatch('32 bits');
  });
});
