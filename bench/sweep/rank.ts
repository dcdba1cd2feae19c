// What a cost model says before anything is measured.
import { chipOf, configurationOf, estimateMatmul } from '../../ts/cost/index.ts';
import type { Capabilities } from '../../ts/device/backend.ts';
import type { Selection } from '../../ts/dispatch/dispatcher.ts';
import { makePlan } from '../../ts/dispatch/metal/plan.ts';
import type { TuningEntry } from '../../ts/dispatch/tuning.ts';
import type { Configuration, SweepShape } from './shape.ts';

/** A configuration at a shape, as the dispatcher would run it. */
export interface Candidate {
  readonly shape: SweepShape;
  readonly configuration: Configuration;
  readonly selection: Selection;
  readonly tuning: TuningEntry;
  readonly capabilities: Capabilities;
}

export interface Ranker {
  /** Null: the model says nothing of it. */
  estimateMs(candidate: Candidate): number | null;
}

/** No model: everything is measured, in the order in which it is listed. */
export const NO_RANKER: Ranker = { estimateMs: () => null };

const MODELLED: ReadonlySet<string> = new Set(['metal_gemv', 'metal_gemv_t', 'metal_gemm', 'metal_gemm_threads']);

/** The cost model of Apple GPUs. */
const METAL_RANKER: Ranker = {
  estimateMs({ selection: { kernel, problem }, capabilities, tuning }) {
    if (!MODELLED.has(kernel)) return null;
    const plan = makePlan(problem, kernel, capabilities, tuning);
    return estimateMatmul(problem, configurationOf(plan), chipOf(capabilities)).ms;
  },
};

/** Of the CPU and of HIP devices a roofline is known, which says the same of every size of a kernel's blocks. */
export const rankerOf = ({ backend }: Capabilities): Ranker => (backend === 'metal' ? METAL_RANKER : NO_RANKER);

/** Configurations whose estimate is above this many times the best are not measured. */
export const PRUNE_ABOVE = 1.5;

/**
 * Indices of configurations in the order in which they are measured: the default first, then by estimate. Those that the
 * model thinks are far from the best are left out unless the sweep is exhaustive.
 * @param estimates  by configuration: the mean logarithm over the shapes, null if the model does not know one of them
 */
export function rankedOrder(estimates: readonly (number | null)[], exhaustive: boolean): number[] {
  const known = estimates.flatMap((value) => (value === null ? [] : [value]));
  const best = Math.min(...known);
  const kept = estimates.flatMap((value, i) =>
    i === 0 || exhaustive || value === null || value <= best + Math.log(PRUNE_ABOVE) ? [i] : [],
  );
  const place = (i: number) => (i === 0 ? Number.NEGATIVE_INFINITY : (estimates[i] ?? Number.POSITIVE_INFINITY));
  return kept.sort((x, y) => (place(x) === place(y) ? x - y : place(x) - place(y)));
}
