import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KERNELS } from '../../ts/kernels/catalogue.ts';
import { stridedRange } from '../../ts/kernels/declare.ts';
import { HIP_KERNELS } from '../../ts/kernels/hip/catalogue.ts';
import { q8Layout } from '../../ts/kernels/matmul.ts';
import { StructLayout } from '../../ts/kernels/struct.ts';

describe('kernel declarations', () => {
  it('have ids that are their places in the catalogue, and names of their own', () => {
    expect(KERNELS.map(({ id }) => id)).toEqual(KERNELS.map((_, i) => i));
    expect(new Set(KERNELS.map(({ name }) => name)).size).toBe(KERNELS.length);
    for (const key of ['id', 'name'] as const) {
      expect(new Set(HIP_KERNELS.map((kernel) => kernel[key])).size).toBe(HIP_KERNELS.length);
    }
  });

  it('share one layout per parameter struct', () => {
    for (const kernel of KERNELS) {
      const twin = KERNELS.find(({ paramsName }) => paramsName === kernel.paramsName)!;
      expect(kernel.params.fields).toEqual(twin.params.fields);
      expect(kernel.bufferNames).toEqual(twin.bufferNames);
      expect(kernel.constants).toEqual(twin.constants);
    }
  });

  it('write to at least one buffer, and never leave a written one out', () => {
    for (const { buffers } of KERNELS) {
      const written = Object.values(buffers).filter(({ access }) => access !== 'read');
      expect(written.length).toBeGreaterThan(0);
      expect(written.some(({ optional }) => optional)).toBe(false);
    }
  });
});

describe('struct layouts', () => {
  it('follow the rules of C', () => {
    const layout = new StructLayout({ a: 'u32', b: 'i64', c: 'f32[3]', d: 'i64[2]', e: 'i32' });
    expect(layout.fields.map(({ offset }) => offset)).toEqual([0, 8, 16, 32, 48]);
    expect(layout.byteLength).toBe(56);
  });

  it('encode what a DataView reads back, 64-bit numbers of either sign included', () => {
    const layout = new StructLayout({ wide: 'i64', list: 'i64[3]', small: 'i32', natural: 'u32', real: 'f32' });
    fc.assert(
      fc.property(
        fc.maxSafeInteger(),
        fc.array(fc.maxSafeInteger(), { maxLength: 3 }),
        fc.integer(),
        fc.nat(0xffffffff),
        fc.float({ noNaN: true }),
        (wide, list, small, natural, real) => {
          const view = new DataView(new ArrayBuffer(layout.byteLength + 8));
          layout.encode({ wide, list, small, natural, real }, view, 8);
          expect(view.getBigInt64(8, true)).toBe(BigInt(wide));
          for (let i = 0; i < 3; i++) expect(view.getBigInt64(16 + 8 * i, true)).toBe(BigInt(list[i] ?? 0));
          expect(view.getInt32(40, true)).toBe(small);
          expect(view.getUint32(44, true)).toBe(natural);
          expect(view.getFloat32(48, true)).toBe(real);
        },
      ),
    );
  });
});

describe('extents', () => {
  it('span the bytes that strides reach', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ size: fc.integer({ min: 1, max: 4 }), stride: fc.integer({ min: -9, max: 9 }) }), {
          maxLength: 4,
        }),
        (dimensions) => {
          let positions = [0];
          for (const { size, stride } of dimensions) {
            positions = positions.flatMap((p) => Array.from({ length: size }, (_, i) => p + i * stride));
          }
          const range = stridedRange(
            dimensions.map(({ size }) => size),
            dimensions.map(({ stride }) => stride),
            4,
          );
          expect(range).toEqual({ from: 4 * Math.min(...positions) + 0, to: 4 * (Math.max(...positions) + 1) });
        },
      ),
    );
  });

  it('are empty for empty arrays', () => {
    expect(stridedRange([3, 0], [100, 1], 4)).toEqual({ from: 0, to: 0 });
  });

  it('place the sections of q8 activations one after the other, aligned', () => {
    const { scales, sums, byteLength } = q8Layout(3, 96);
    expect([scales % 64, sums % 64, byteLength % 64]).toEqual([0, 0, 0]);
    expect(scales).toBeGreaterThanOrEqual(3 * 96);
    expect(sums - scales).toBeGreaterThanOrEqual(3 * 3 * 4);
    expect(byteLength - sums).toBeGreaterThanOrEqual(3 * 6 * 2);
  });
});
