// The cost model against what others published.
import {
  type Chip,
  chipNamed,
  estimateMatmul,
  estimateModel,
  FITTED,
  type Fitted,
  type MetalConfiguration,
  modelPass,
  plainProblem,
  rankMetal,
} from '../../ts/cost/index.ts';
import type { MatmulProblem } from '../../ts/dispatch/problem.ts';
import { fitPair } from './fit.ts';
import { publishedModel } from './models.ts';
import { PUBLISHED_MATMULS, PUBLISHED_RUNS, type PublishedMatmul, type PublishedRun } from './published.ts';

/** What the table was measured with: 512 tokens of prompt, 128 generated tokens, so 64 to look back on by the mean. */
const PROMPT = 512;
const CONTEXT = 64;

type Phase = 'prefill' | 'decode';

const NONE = { rows: 4, columns: 1, split: 1, simdgroups: 2, tile: 0, tileBytes: 2 } as const;
/**
 * How llama.cpp divides a matmul: four rows of weights a simdgroup, or tiles of 32 rows of a by 64 of weights, f16. Its
 * GEMV multiplies nibbles where they stand in their word, by activations scaled to match: a mask, a conversion, and no
 * shift.
 */
function ggmlConfiguration({ m }: MatmulProblem): MetalConfiguration {
  if (m === 1) return { ...NONE, kernel: 'metal_gemv', decodeCycles: 5 };
  return { ...NONE, kernel: 'metal_gemm', shape: { m: 32, n: 64, k: 32, wm: 2, wn: 2 } };
}

/** Both phases of llama.cpp's LLaMA 7B, by the type of its weights. */
const PASSES = new Map(
  (['f16', 'q8_0', 'q4_0'] as const).map((weights) => {
    const model = publishedModel('llama-7b', weights);
    const common = { allLogits: true, choose: ggmlConfiguration };
    return [
      weights,
      {
        decode: modelPass(model, { ...common, tokens: 1, context: CONTEXT }),
        prefill: modelPass(model, { ...common, tokens: PROMPT, context: PROMPT }),
      },
    ];
  }),
);

/** Tokens a second of llama.cpp's LLaMA 7B by the model. */
export const predictRun = ({ chip, weights }: PublishedRun, phase: Phase, fitted: Fitted = FITTED): number =>
  estimateModel(PASSES.get(weights)![phase], chipNamed(chip), fitted).tokensPerSecond;

/** The four constants that fit these runs best: decoding gives the first two, prefill then the others. */
export function fitConstants(runs: readonly PublishedRun[]): Fitted {
  const errors = (phase: Phase, fitted: Fitted) =>
    runs.map((run) => Math.log(predictRun(run, phase, fitted) / run[phase]));
  const [launchUs, bandwidthShare] = fitPair(
    ([launch, share]) => errors('decode', { ...FITTED, launchUs: launch, bandwidthShare: share }),
    [8, 0.9],
  );
  const [exposedTraffic, exposedDecoding] = fitPair(
    ([traffic, decoding]) =>
      errors('prefill', { launchUs, bandwidthShare, exposedTraffic: traffic, exposedDecoding: decoding }),
    [0.3, 0.5],
  );
  return { launchUs, bandwidthShare, exposedTraffic, exposedDecoding };
}

export interface CheckedRun extends PublishedRun {
  readonly predicted: Readonly<Record<Phase, number>>;
  /** The same with constants that were fitted without this chip's family (`m1-max` and `m1-max-24`). */
  readonly unseen: Readonly<Record<Phase, number>>;
}
export interface CheckedMatmul extends PublishedMatmul {
  readonly predictedMs: number;
}
/** Mean and largest share by which predictions are off. */
export interface Errors {
  readonly mean: number;
  readonly worst: number;
}
export interface Check {
  readonly fitted: Fitted;
  readonly runs: readonly CheckedRun[];
  readonly matmuls: readonly CheckedMatmul[];
  /** By phase: with all rows in the fit; without the family; without the generation. */
  readonly errors: Readonly<Record<Phase, Readonly<Record<'fitted' | 'family' | 'generation', Errors>>>>;
}

const familyOf = (chip: Chip): string => `${chip.generation}${chip.tier}`;
const generationOf = (chip: Chip): string => `${chip.generation}`;

/** Predictions for each run by constants that were fitted without the runs of its group. */
function leaveOut(group: (chip: Chip) => string): Map<PublishedRun, Record<Phase, number>> {
  const constants = new Map<string, Fitted>();
  const of = (run: PublishedRun) => group(chipNamed(run.chip));
  return new Map(
    PUBLISHED_RUNS.map((run) => {
      const own = of(run);
      const fitted = constants.get(own) ?? fitConstants(PUBLISHED_RUNS.filter((other) => of(other) !== own));
      constants.set(own, fitted);
      return [run, { prefill: predictRun(run, 'prefill', fitted), decode: predictRun(run, 'decode', fitted) }];
    }),
  );
}

function summarize(errors: readonly number[]): Errors {
  const sizes = errors.map(Math.abs);
  return { mean: sizes.reduce((sum, error) => sum + error, 0) / sizes.length, worst: Math.max(...sizes) };
}

/** By how much predictions are off, how they are without the chip in question, and on what no constant was fitted to. */
export function checkModel(): Check {
  const families = leaveOut(familyOf);
  const generations = leaveOut(generationOf);
  const runs = PUBLISHED_RUNS.map((run) => ({
    ...run,
    predicted: { prefill: predictRun(run, 'prefill'), decode: predictRun(run, 'decode') },
    unseen: families.get(run)!,
  }));
  const of = (phase: Phase) => ({
    fitted: summarize(runs.map((run) => run.predicted[phase] / run[phase] - 1)),
    family: summarize(runs.map((run) => run.unseen[phase] / run[phase] - 1)),
    generation: summarize(PUBLISHED_RUNS.map((run) => generations.get(run)![phase] / run[phase] - 1)),
  });
  const matmuls = PUBLISHED_MATMULS.map((entry) => ({ ...entry, predictedMs: predictMatmul(entry) }));
  return { fitted: FITTED, runs, matmuls, errors: { prefill: of('prefill'), decode: of('decode') } };
}

/** By the fastest configuration that the model finds, as whoever timed it will have looked for one. */
function predictMatmul({ chip, weights, m, n, k, kernels }: PublishedMatmul): number {
  const aDType = weights === 'f16' || weights === 'bf16' ? weights : 'f32';
  const problem = plainProblem({ m, n, k, weights, aDType });
  const best =
    kernels === 'llama.cpp' ? ggmlConfiguration(problem) : rankMetal(problem, chipNamed(chip))[0]!.configuration;
  return estimateMatmul(problem, best, chipNamed(chip)).ms;
}
