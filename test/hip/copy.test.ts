import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HIP_COPY_METHODS, hipCopy, hipCopyParams } from '../../ts/kernels/hip/copy.ts';
import type { AnyHipKernel } from '../../ts/kernels/hip/declare.ts';
import { anyCopy, COPY_TYPES, type CopyCase, makeCopy } from '../support/copy-case.ts';
import { hasClang } from '../testbed/support.ts';
import type { Target } from './emulation.ts';
import { launch } from './launch.ts';

interface Case extends CopyCase {
  readonly target: Target;
  readonly method?: (typeof HIP_COPY_METHODS)[number];
}

async function run({ target, method = 'elements', ...test }: Case) {
  const { params, types, buffers, offsets, check } = makeCopy(test);
  const lie = { ...params, ...types };
  const aligned = offsets.src % 16 === 0 && offsets.dst % 16 === 0 && method === 'elements';
  const { outputs, counters } = await launch({
    kernel: hipCopy as unknown as AnyHipKernel,
    target,
    constants: { method: HIP_COPY_METHODS.indexOf(method) },
    params: aligned ? hipCopyParams(lie) : hipCopyParams(lie, 0),
    ...{ buffers, offsets },
  });
  check(outputs.dst!);
  return counters;
}

describe.skipIf(!hasClang)('HIP copy', () => {
  it.each(COPY_TYPES)('converts %s to every dtype', async (from) => {
    for (const to of COPY_TYPES) {
      await run({ shape: [3, 37], from, to, target: 'gfx906' });
      await run({ shape: [5, 40], from, to, target: 'gfx1100' });
    }
  });

  it('takes any strides at both wave sizes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.tuple(anyCopy(HIP_COPY_METHODS), fc.constantFrom<Target[]>('gfx906', 'gfx1100')),
        async ([test, target]) => {
          await run({ ...test, target });
        },
      ),
      { numRuns: 20 },
    );
  });

  it('reads and writes whole lines when it transposes', async () => {
    const src = { order: [1, 0], steps: [1, 1], offset: 0 };
    const shape = [64, 96];
    const counters = await run({ shape, from: 'f32', to: 'f32', src, method: 'transposed', target: 'gfx1100' });
    const { simdReads, readLines, simdWrites, writeLines } = counters.spaces.device;
    expect(readLines / simdReads).toBeLessThanOrEqual(1);
    expect(writeLines / simdWrites).toBeLessThanOrEqual(1);
  });

  it('refuses what it cannot do', () => {
    const ones = new Array<number>(8).fill(1);
    const p = hipCopyParams({ shape: ones, src_stride: ones, dst_stride: ones, src_dtype: 0, dst_dtype: 0 });
    expect(hipCopy.refuse(p, { method: 0 })).toBeNull();
    expect(hipCopy.refuse({ ...p, shape: [1] }, { method: 0 })).toMatch('8 entries');
    expect(hipCopy.refuse({ ...p, vector: 1 }, { method: 0 })).toMatch('vectors');
    expect(hipCopy.refuse({ ...p, rows: 2 }, { method: 0 })).toMatch('do not fit');
    expect(hipCopy.refuse(p, { method: 2 })).toMatch('method');
    expect(hipCopy.refuse({ ...p, shape: [2 ** 31, ...ones.slice(1)] }, { method: 0 })).toMatch('31 bits');
  });
});
