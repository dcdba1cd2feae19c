import { median } from 'd3-array';
import type { Command } from '../../ts/device/command-list.ts';
import type { Session } from '../suites/session.ts';

/** The commands of one way to run a matmul, on each copy of the weights. */
export type Variant = readonly (readonly Command[])[];

/** Operations of a round take this long together at least. */
const BATCH_MS = 4;
const MAX_BATCH = 16;

/**
 * Measures variants in passes: one round of each per pass, in an order that turns round every time. A round reads the
 * memory of the bandwidth probe first, which leaves no weights in the caches, and then runs the operation on some copies.
 * @returns by variant: the median time of each round's operations, in milliseconds
 */
export async function measurePasses(session: Session, variants: readonly Variant[], passes: number) {
  const { device, limits, signal, effort } = session;
  const probe = limits.probe.command;
  let next = 0;
  const round = async (variant: Variant, batch: number): Promise<number> => {
    const taken = Array.from({ length: batch }, () => variant[next++ % variant.length]!);
    const { timings } = await device.submit([probe, ...taken.flat()], { timings: true, signal });
    let at = 1;
    return median(taken.map((commands) => commands.reduce((sum) => sum + timings[at++]!.ms, 0)))!;
  };
  // The first run of a kernel may compile it.
  for (const variant of variants) await round(variant, 1);
  const once = await round(variants[0]!, 1);
  const fitting = Math.min(Math.max(Math.ceil(BATCH_MS / once), 1), MAX_BATCH, variants[0]!.length);
  const batch = effort.quick ? 1 : fitting;
  const rounds = variants.map((): number[] => []);
  for (let pass = 0; pass < passes; pass++) {
    for (let turn = 0; turn < variants.length; turn++) {
      const i = pass % 2 === 0 ? turn : variants.length - 1 - turn;
      rounds[i]!.push(await round(variants[i]!, batch));
    }
  }
  return rounds;
}
