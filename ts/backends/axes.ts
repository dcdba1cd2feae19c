// Orders of dimensions that suit GPUs: neighbouring threads shall touch neighbouring elements.

/** `values` behind as many `fill` as make it `rank` long. */
export const lead = <T>(values: readonly T[], rank: number, fill: T): T[] => [
  ...new Array<T>(rank - values.length).fill(fill),
  ...values,
];

/** Index of the dimension whose neighbours are closest in memory; of those alike the last, and none that has one entry. */
export function densest(shape: readonly number[], strides: readonly number[]): number {
  let best = -1;
  shape.forEach((size, d) => {
    if (size > 1 && (best === -1 || Math.abs(strides[d]!) <= Math.abs(strides[best]!))) best = d;
  });
  return best;
}

/** The dimensions in an order in which `last` come last, in that order. */
export const orderWith = (rank: number, ...last: readonly number[]): number[] => [
  ...Array.from({ length: rank }, (_, d) => d).filter((d) => !last.includes(d)),
  ...last,
];

/**
 * The order in which a copy visits the dimensions, and whether both sides are dense in different ones, so that tiles in
 * memory of the threadgroup have to turn one into the other.
 */
export function copyOrder(shape: readonly number[], from: readonly number[], to: readonly number[]) {
  const inner = densest(shape, to);
  const source = densest(shape, from);
  const transposed = inner !== -1 && source !== inner && Math.abs(from[source]!) === 1 && Math.abs(to[inner]!) === 1;
  const last = inner === -1 ? [] : transposed ? [source, inner] : [inner];
  return { order: orderWith(shape.length, ...last), transposed };
}
