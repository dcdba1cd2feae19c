import { CORE } from '../../ts/cost/chips.ts';
import {
  type Chip,
  chipCapabilities,
  configurationLabel,
  configurationOf,
  type MetalConfiguration,
  type PlainMatmul,
  plainProblem,
  type Ranked,
  rankMetal,
} from '../../ts/cost/index.ts';
import { metalMatmul } from '../../ts/dispatch/metal/matmul.ts';
import type { MatmulProblem } from '../../ts/dispatch/problem.ts';

/** What the dispatcher's rules take on that chip, before anything was tuned. */
export function chosenConfiguration(problem: MatmulProblem, chip: Chip): MetalConfiguration {
  const capabilities = chipCapabilities(chip);
  const tuning = metalMatmul.defaultTuning(capabilities);
  const legal = metalMatmul.candidates.filter(({ refuse }) => refuse(problem, capabilities) === null);
  const taken = legal.find(({ yields }) => yields(problem, tuning, capabilities) === null) ?? legal[0]!;
  return configurationOf(metalMatmul.plan(problem, taken.kernel, capabilities, tuning));
}

export interface PredictedConfiguration extends Ranked {
  /** Place in the order in which a sweep tries them, from 1. */
  readonly place: number;
  /** The dispatcher takes it by its rules. */
  readonly chosen: boolean;
  /** The least time by the published bandwidth and arithmetic of the chip, each operand moved once, by the estimate. */
  readonly share: number;
}

export interface PredictedMatmul extends PlainMatmul {
  readonly chip: string;
  readonly configurations: readonly PredictedConfiguration[];
}

/** Every configuration of a matmul on a chip, in the order in which a sweep tries them. */
export function predictMatmul(matmul: PlainMatmul, chip: Chip): PredictedMatmul {
  const problem = plainProblem(matmul);
  const own = chosenConfiguration(problem, chip);
  const name = (configuration: MetalConfiguration) => `${configuration.kernel} ${configurationLabel(configuration)}`;
  const ranked = rankMetal(problem, chip);
  const leastBytes = Math.min(...ranked.map(({ estimate }) => estimate.bytes));
  const configurations = ranked.map((entry, i) => {
    const { operations, ms } = entry.estimate;
    const memory = leastBytes / chip.bandwidthGbps / 1e6;
    const compute = operations / (2 * CORE.fma * chip.cores * chip.clockGhz) / 1e6;
    const chosen = name(entry.configuration) === name(own);
    return { ...entry, place: i + 1, chosen, share: Math.max(memory, compute) / ms };
  });
  return { ...matmul, chip: chip.name, configurations };
}
