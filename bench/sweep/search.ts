// Decisions of a sweep, as functions of numbers alone: the same measurements always lead to the same table.
import { mean, median } from 'd3-array';

/** Gains below this are not worth an entry. */
export const LEAST_GAIN = 0.02;
/** Share of the configurations that go on to the next rung. */
const KEEP = 1 / 3;

/** Times of one configuration at one shape, round by round. */
export type Rounds = readonly number[];

/**
 * Mean logarithm of a configuration's time by that of the first one, over the shapes where both were measured; each
 * round is compared with the default's of the same pass.
 */
export function scoreOf(own: readonly (Rounds | undefined)[], base: readonly (Rounds | undefined)[]): number {
  const ratios = own.flatMap((rounds, shape) => {
    const other = base[shape];
    if (rounds === undefined || other === undefined) return [];
    const pairs = rounds.slice(0, other.length).map((ms, i) => Math.log(ms / other[i]!));
    return pairs.length === 0 ? [] : [median(pairs)!];
  });
  return mean(ratios) ?? 0;
}

/** Who goes on after a rung: the default, and the best third of the others (one at least), best first. */
export function survivors(alive: readonly number[], scores: ReadonlyMap<number, number>): number[] {
  const others = alive.filter((i) => i !== 0).sort((x, y) => scores.get(x)! - scores.get(y)! || x - y);
  return [0, ...others.slice(0, Math.max(1, Math.ceil(others.length * KEEP)))];
}

/** The best configuration; the default if none is better by {@link LEAST_GAIN}. */
export function bestOf(alive: readonly number[], scores: ReadonlyMap<number, number>): number {
  let best = 0;
  for (const i of alive) if (scores.get(i)! < (best === 0 ? Math.log(1 - LEAST_GAIN) : scores.get(best)!)) best = i;
  return best;
}

/** One number of rows: logarithm of the streaming kernel's time by the tiling one's. */
export interface CrossOverPoint {
  readonly m: number;
  readonly advantage: number;
}

/**
 * The number of rows up to which streaming pays: one number, so the choice can only move from GEMV to GEMM as rows are
 * added. Of all numbers it takes the one with the least mean time, then as near to the default as what was measured
 * allows. Null: the default is as good.
 */
export function crossOverOf(
  points: readonly CrossOverPoint[],
  standard: number,
  [low, high]: readonly [number, number],
): number | null {
  const rows = [...new Set(points.map(({ m }) => m))].sort((x, y) => x - y);
  /** Logarithms of times against tiling everywhere, if rows up to `limit` stream. */
  const costOf = (limit: number) => points.reduce((sum, { m, advantage }) => sum + (m <= limit ? advantage : 0), 0);
  const splits = [low, ...rows.filter((m) => m >= low && m <= high)];
  let best = standard;
  for (const limit of splits) if (costOf(limit) < costOf(best)) best = limit;
  const changed = points.filter(({ m }) => m <= best !== m <= standard);
  const gain = costOf(standard) - costOf(best);
  if (changed.length === 0 || gain / changed.length < LEAST_GAIN) return null;
  // Between the last number of rows that streams and the first that does not, nothing is known.
  const first = rows.find((m) => m > best) ?? high + 1;
  return Math.min(Math.max(standard, best), Math.min(first - 1, high));
}
