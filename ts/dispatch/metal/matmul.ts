import type { MatmulCatalogue } from '../catalogue.ts';
import { CANDIDATES } from './candidates.ts';
import { customPlan } from './custom.ts';
import { commands, type MetalPlan, makePlan } from './plan.ts';
import { defaultTuning, LIMITS } from './tuning.ts';

/** The matmul kernels of `metal/`. */
export const metalMatmul: MatmulCatalogue<MetalPlan> = {
  candidates: CANDIDATES,
  limits: LIMITS,
  defaultTuning,
  plan: makePlan,
  commands,
  custom: { has: (kernel) => kernel.metal !== undefined, plan: customPlan },
};
