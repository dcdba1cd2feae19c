import type { MatmulCatalogue } from '../catalogue.ts';
import { CANDIDATES } from './candidates.ts';
import { type CpuPlan, commands, makePlan } from './plan.ts';
import { defaultTuning, LIMITS } from './tuning.ts';

/** The matmul kernels of Sources/CpuKernels. */
export const cpuMatmul: MatmulCatalogue<CpuPlan> = {
  candidates: CANDIDATES,
  limits: LIMITS,
  defaultTuning,
  plan: makePlan,
  commands,
};
