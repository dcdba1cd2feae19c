import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HIP_COPY_METHODS, hipCopy, hipCopyParams } from '../../ts/kernels/hip/copy.ts';
import type { AnyHipKernel } from '../../ts/kernels/hip/declare.ts';
import { DTYPES, type DType } from '../../ts/tensor/dtype.ts';
import { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16 } from '../../ts/tensor/half.ts';
import { anyStride, plainStride, type Stride, stridedLayout } from '../support/strided.ts';
import { hasClang } from '../testbed/support.ts';
import type { Target } from './emulation.ts';
import { launch } from './launch.ts';

const TYPES: readonly DType[] = ['f32', 'f16', 'bf16', 'i8', 'i32'];

function write(view: DataView, dtype: DType, index: number, value: number): void {
  if (dtype === 'f32') view.setFloat32(4 * index, value, true);
  else if (dtype === 'i8') view.setInt8(index, value);
  else if (dtype === 'i32') view.setInt32(4 * index, value, true);
  else view.setUint16(2 * index, dtype === 'f16' ? f32ToF16(value) : f32ToBf16(value), true);
}
function read(view: DataView, dtype: DType, index: number): number {
  if (dtype === 'f32') return view.getFloat32(4 * index, true);
  if (dtype === 'i8') return view.getInt8(index);
  if (dtype === 'i32') return view.getInt32(4 * index, true);
  return (dtype === 'f16' ? f16ToF32 : bf16ToF32)(view.getUint16(2 * index, true));
}

/** What a value of `from` is in `to`: nearest, ties to even, integers saturate, NaN becomes 0 there. */
function converted(value: number, from: DType, to: DType): number {
  if (from === to) return value;
  const x = Math.fround(value);
  if (to === 'f16') return f16ToF32(f32ToF16(x));
  if (to === 'bf16') return bf16ToF32(f32ToBf16(x));
  if (to === 'f32') return x;
  if (Number.isNaN(x)) return 0;
  const [low, high] = to === 'i8' ? [-128, 127] : [-(2 ** 31), 2 ** 31 - 1];
  const down = Math.floor(x);
  const even = x - down === 0.5 ? (down % 2 === 0 ? down : down + 1) : Math.round(x);
  return Math.max(low!, Math.min(high!, even)) + 0; // + 0: integers have no negative zero
}

interface Case {
  readonly shape: readonly number[];
  readonly from: DType;
  readonly to: DType;
  readonly target: Target;
  readonly src?: Stride;
  readonly dst?: Stride;
  readonly method?: (typeof HIP_COPY_METHODS)[number];
}

async function run({ shape, from, to, target, src, dst, method = 'elements' }: Case) {
  const source = stridedLayout(shape, src ?? plainStride(shape.length));
  const goal = stridedLayout(shape, dst ?? plainStride(shape.length));
  const count = shape.reduce((x, y) => x * y, 1);
  const special = [Number.NaN, Infinity, -Infinity, 300, -300, 2.5, 3.5, -0.5, 65520, 3e9, 1e-7];
  const values = Array.from({ length: count }, (_, i) => {
    if (!DTYPES[from].float) return from === 'i8' ? (i % 256) - 128 : Math.imul(i, 0x12345677);
    return i < special.length ? special[i]! : ((i * 37) % 1000) / 7 - 60;
  });
  const position = ({ layout }: typeof source, i: number) => {
    let rest = i;
    let at = layout.offset;
    for (let d = shape.length - 1; d >= 0; d--) {
      at += (rest % shape[d]!) * layout.strides[d]!;
      rest = Math.floor(rest / shape[d]!);
    }
    return at;
  };
  const bytes = new Uint8Array(source.size * DTYPES[from].bytes);
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => {
    write(view, from, position(source, i), value);
  });
  const pad = (list: readonly number[], fill: number) => [...new Array<number>(8 - list.length).fill(fill), ...list];
  const offsets = { src: source.layout.offset * DTYPES[from].bytes, dst: goal.layout.offset * DTYPES[to].bytes };
  const lie = {
    shape: pad(shape, 1),
    src_stride: pad(source.layout.strides, 0),
    dst_stride: pad(goal.layout.strides, 0),
    src_dtype: DTYPES[from].id,
    dst_dtype: DTYPES[to].id,
  };
  const aligned = offsets.src % 16 === 0 && offsets.dst % 16 === 0 && method === 'elements';
  const { outputs, counters } = await launch({
    kernel: hipCopy as unknown as AnyHipKernel,
    target,
    constants: { method: HIP_COPY_METHODS.indexOf(method) },
    params: aligned ? hipCopyParams(lie) : hipCopyParams(lie, 0),
    buffers: { src: bytes, dst: { bytes: goal.size * DTYPES[to].bytes } },
    offsets,
  });
  const out = new DataView(outputs.dst!.buffer, outputs.dst!.byteOffset, outputs.dst!.byteLength);
  values.forEach((_, i) => {
    const value = converted(read(view, from, position(source, i)), from, to);
    expect(read(out, to, position(goal, i)), `element ${i}`).toBe(value);
  });
  return counters;
}

describe.skipIf(!hasClang)('HIP copy', () => {
  it.each(TYPES)('converts %s to every dtype', async (from) => {
    for (const to of TYPES) {
      await run({ shape: [3, 37], from, to, target: 'gfx906' });
      await run({ shape: [5, 40], from, to, target: 'gfx1100' });
    }
  });

  it('takes any strides at both wave sizes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc
          .array(fc.constantFrom<number[]>(1, 2, 3, 4, 8, 33), { minLength: 1, maxLength: 4 })
          .filter((shape) => shape.reduce((x: number, y) => x * y, 1) < 4000)
          .chain((shape) =>
            fc.record({
              shape: fc.constant(shape),
              from: fc.constantFrom(...TYPES),
              to: fc.constantFrom(...TYPES),
              target: fc.constantFrom<Target[]>('gfx906', 'gfx1100'),
              src: anyStride(shape.length),
              dst: anyStride(shape.length),
              method: fc.constantFrom(...HIP_COPY_METHODS),
            }),
          ),
        async (test) => {
          await run(test);
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
