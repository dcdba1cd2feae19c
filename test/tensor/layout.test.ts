import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { forEachPosition } from '../../ts/device/host-access.ts';
import { contiguousStrides, Layout } from '../../ts/tensor/layout.ts';
import { anyStride, stridedLayout } from '../support/strided.ts';

/** Positions in row-major order: what a layout means. */
const positions = (layout: Layout): number[] => {
  const list: number[] = [];
  forEachPosition(layout, (position) => list.push(position));
  return list;
};

const anyLayout = fc
  .array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 })
  .chain((shape) => anyStride(shape.length).map((stride) => stridedLayout(shape, stride).layout));
const nonEmpty = anyLayout.filter((layout) => layout.size > 0);

describe('Layout', () => {
  it('is row-major by default', () => {
    expect(new Layout([2, 3, 4]).strides).toEqual([12, 4, 1]);
    expect(contiguousStrides([2, 0, 4])).toEqual([4, 4, 1]);
    expect(positions(new Layout([]))).toEqual([0]);
  });

  it('spans exactly the positions that it visits', () => {
    fc.assert(
      fc.property(nonEmpty, (layout) => {
        const visited = positions(layout);
        expect(layout.span).toEqual({ from: Math.min(...visited), to: Math.max(...visited) + 1 });
      }),
    );
  });

  it('permutes as an array of arrays would', () => {
    fc.assert(
      fc.property(
        nonEmpty.chain((layout) =>
          fc.tuple(
            fc.constant(layout),
            fc.shuffledSubarray(
              layout.shape.map((_, i) => i),
              { minLength: layout.rank },
            ),
          ),
        ),
        ([layout, order]) => {
          const permuted = layout.permute(order);
          const inverse = order.map((_, d) => order.indexOf(d));
          expect(permuted.permute(inverse)).toEqual(layout);
          expect([...positions(permuted)].sort()).toEqual([...positions(layout)].sort());
        },
      ),
    );
  });

  it('slices as Array.prototype.slice does, steps included', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 9 }),
        fc.option(fc.integer({ min: -12, max: 12 }), { nil: undefined }),
        fc.option(fc.integer({ min: -12, max: 12 }), { nil: undefined }),
        fc.constantFrom(1, 2, 3, -1, -2, -3),
        (size, start, end, step) => {
          const items = Array.from({ length: size }, (_, i) => i);
          const range = { ...(start === undefined ? {} : { start }), ...(end === undefined ? {} : { end }), step };
          const got = positions(new Layout([size]).slice(range));
          // Downwards, the reference walks from the clamped start to the clamped end by hand.
          const clamp = (v: number, low: number, high: number) => Math.min(Math.max(v < 0 ? v + size : v, low), high);
          const expected: number[] = [];
          if (step > 0) {
            const cut = items.slice(start, end);
            for (let i = 0; i < cut.length; i += step) expected.push(cut[i]!);
          } else {
            const stop = end === undefined ? -1 : clamp(end, -1, size - 1);
            for (let i = start === undefined ? size - 1 : clamp(start, -1, size - 1); i > stop; i += step)
              expected.push(i);
          }
          expect(got).toEqual(expected);
        },
      ),
    );
  });

  it('removes dimensions that are sliced by an index', () => {
    const layout = new Layout([2, 3, 4]).slice(1, null, -1);
    expect(layout.shape).toEqual([3]);
    expect(positions(layout)).toEqual([15, 19, 23]);
  });

  it('broadcasts by stride 0', () => {
    const layout = new Layout([3, 1]).broadcastTo([2, 3, 2]);
    expect(layout.strides).toEqual([0, 1, 0]);
    expect(positions(layout)).toEqual([0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2]);
  });

  it('reshapes without moving an element, or says that it cannot', () => {
    const shapes = [[24], [4, 6], [2, 2, 6], [3, 8], [1, 24, 1], [2, 3, 2, 2], [6, 1, 4], [-1, 3]];
    fc.assert(
      fc.property(
        fc
          .constantFrom([24], [4, 6], [2, 3, 4], [1, 24], [2, 2, 2, 3])
          .chain((shape) => anyStride(shape.length).map((s) => stridedLayout(shape, s).layout)),
        fc.constantFrom(...shapes),
        (layout, shape) => {
          const reshaped = layout.reshape(shape);
          if (reshaped === null) expect(layout.isContiguous).toBe(false);
          else expect(positions(reshaped)).toEqual(positions(layout));
        },
      ),
    );
  });

  it('reshapes evenly strided memory, whatever its stride', () => {
    const columns = new Layout([12], [-5], 100);
    expect(columns.reshape([3, 4])?.strides).toEqual([-20, -5]);
    expect(new Layout([4, 6]).transpose().reshape([24])).toBeNull();
  });

  it('is contiguous whatever the strides of dimensions of size 1', () => {
    expect(new Layout([1, 3, 1], [99, 1, -7]).isContiguous).toBe(true);
    expect(new Layout([2, 3], [1, 2]).isContiguous).toBe(false);
  });

  it.each([
    ['a fractional size', () => new Layout([1.5])],
    ['a negative size', () => new Layout([-1])],
    ['more elements than a safe integer', () => new Layout([2 ** 30, 2 ** 30])],
    ['a size that only a zero hides', () => new Layout([2 ** 40, 2 ** 40, 0])],
    ['strides of another rank', () => new Layout([2, 2], [1])],
    ['a dimension named twice', () => new Layout([2, 2]).permute([0, 0])],
    ['a dimension that is not there', () => new Layout([2, 2]).transpose(0, 2)],
    ['a broadcast of 2 to 3', () => new Layout([2]).broadcastTo([3])],
    ['a reshape to another count', () => new Layout([2, 3]).reshape([7])],
    ['two sizes to infer', () => new Layout([2, 3]).reshape([-1, -1])],
    ['a step of 0', () => new Layout([2]).slice({ step: 0 })],
    ['too many ranges', () => new Layout([2]).slice(null, null)],
  ])('refuses %s', (_, make) => {
    expect(make).toThrowError(expect.objectContaining({ code: 'ERR_SHAPE_MISMATCH' }));
  });

  it('refuses an index outside the dimension', () => {
    expect(() => new Layout([3]).slice(3)).toThrowError(expect.objectContaining({ code: 'ERR_OUT_OF_BOUNDS' }));
  });

  it('addresses more than 2^31 elements exactly', () => {
    const layout = new Layout([70_000, 70_000]).slice(69_999, 69_999);
    expect(layout.offset).toBe(4_899_999_999);
  });
});
