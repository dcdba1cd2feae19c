import type { MatmulCatalogue } from '../catalogue.ts';
import { CANDIDATES } from './candidates.ts';
import { hipExperts } from './experts.ts';
import { commands, type HipPlan, makePlan } from './plan.ts';
import { defaultTuning, LIMITS } from './tuning.ts';

/** The matmul kernels of `hip/`. */
export const hipMatmul: MatmulCatalogue<HipPlan> = {
  candidates: CANDIDATES,
  limits: LIMITS,
  defaultTuning,
  plan: makePlan,
  commands,
  experts: hipExperts,
};
