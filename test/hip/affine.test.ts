import { describe, expect, it } from 'vitest';
import { hipAffine, hipAffineBlocks } from '../../ts/kernels/hip/affine.ts';
import type { AnyHipKernel } from '../../ts/kernels/hip/declare.ts';
import { DTYPES } from '../../ts/tensor/dtype.ts';
import { uniform } from '../support/values.ts';
import { hasClang } from '../testbed/support.ts';
import type { Target } from './emulation.ts';
import { launch } from './launch.ts';

const [n, k, group] = [3, 301, 100];
const groups = Math.ceil(k / group);
const raw = (values: Float32Array) => new Uint8Array(values.buffer);

describe.skipIf(!hasClang)('HIP decoding of integer weights', () => {
  it.each<Target>(['gfx906', 'gfx1100'])(
    'takes entries per row and group, or none, and any strides on %s',
    async (target) => {
      // Rows backwards, and k dense along rows.
      const codes = Int8Array.from(uniform(n * k, 1), (value) => value * 127);
      const [scale, zero, offset] = [uniform(n * groups, 2), uniform(n, 3), uniform(1, 4)];
      for (const given of [true, false]) {
        const { outputs } = await launch({
          kernel: hipAffine as unknown as AnyHipKernel,
          target,
          constants: {},
          params: {
            ...{ n, k, group, blocks: hipAffineBlocks(k), src_dtype: DTYPES.i8.id, src_stride: [-1, n] },
            ...{ scale_stride: [groups, 1], zero_stride: [1, 0], offset_stride: [0, 0] },
          },
          buffers: {
            src: new Uint8Array(codes.buffer),
            dst: { bytes: 4 * n * k },
            ...(given && { scale: raw(scale), zero: raw(zero), offset: raw(offset) }),
          },
          offsets: { src: n - 1 },
        });
        const { buffer, byteOffset } = outputs.dst!;
        const wanted = Float32Array.from({ length: n * k }, (_, i) => {
          const [row, at] = [Math.floor(i / k), i % k];
          const code = codes[at * n + n - 1 - row]!;
          if (!given) return code;
          const scaled = scale[row * groups + Math.floor(at / group)]! * Math.fround(code - zero[row]!);
          return Math.fround(scaled) + offset[0]!;
        });
        // The compiler may contract the last two steps.
        const got = new Float32Array(buffer, byteOffset, n * k);
        expect(wanted.every((value, i) => Math.abs(value - got[i]!) <= 2e-5)).toBe(true);
      }
    },
  );

  it('refuses what it cannot do', () => {
    const strides = { src_stride: [k, 1], scale_stride: [0, 0], zero_stride: [0, 0], offset_stride: [0, 0] };
    const p = { n, k, group, blocks: hipAffineBlocks(k), src_dtype: 0, ...strides };
    expect(hipAffine.refuse(p, {})).toBeNull();
    expect(hipAffine.refuse({ ...p, group: 0 }, {})).toMatch('share an entry');
    expect(hipAffine.refuse({ ...p, blocks: 1 }, {})).toMatch('blocks');
    expect(hipAffine.refuse({ ...p, n: 2 ** 31 }, {})).toMatch('31 bits');
  });
});
