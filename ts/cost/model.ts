// What a token of a transformer takes: its matmuls one after the other, and what lies between them.
import type { MatmulProblem } from '../dispatch/problem.ts';
import { type Chip, CORE } from './chips.ts';
import type { MetalConfiguration } from './configuration.ts';
import { bandwidthOf, estimateMatmul } from './estimate.ts';
import { FITTED, type Fitted } from './fitted.ts';
import { weightRowBytes } from './formats.ts';
import { plainProblem } from './problem.ts';

/** One weight of a model: [n, k], and how many there are of it. */
export interface ModelWeight {
  readonly name: string;
  readonly n: number;
  readonly k: number;
  readonly count: number;
  /** A dtype or block format. */
  readonly weights: string;
  /** Only the last token of a prompt needs it: the vocabulary's. */
  readonly last?: boolean;
}

/** As much of a model as its speed depends on. */
export interface ModelShape {
  readonly name: string;
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  /** Elements of the keys, and of the values, of a token and layer. */
  readonly keyValue: number;
  readonly feedForward: number;
  readonly matrices: readonly ModelWeight[];
}

export interface ModelRun {
  /** Tokens that go through at once: 1 for decoding, the prompt for prefill. */
  readonly tokens: number;
  /** Tokens that attention looks back on, those included. */
  readonly context: number;
  /** The logits of every token and not of the last alone. */
  readonly allLogits?: boolean;
  /** Who decides the configuration of each matmul. */
  readonly choose: (problem: MatmulProblem) => MetalConfiguration;
}

/** A pass of a model over some tokens: what does not depend on the chip. */
export interface ModelPass {
  readonly model: ModelShape;
  readonly run: ModelRun;
  readonly matmuls: readonly {
    readonly weight: ModelWeight;
    readonly problem: MatmulProblem;
    readonly configuration: MetalConfiguration;
  }[];
}

export interface ModelEstimate {
  readonly ms: number;
  readonly tokensPerSecond: number;
  /** Sums over all launches of a pass. */
  readonly parts: Readonly<Record<'matmulMs' | 'attentionMs' | 'elementwiseMs' | 'launchMs', number>>;
  readonly launches: number;
  readonly weightBytes: number;
}

/**
 * Launches of a layer beside its matmuls, if nothing is fused: two norms with their weights (4), rotations of query and
 * key (2), both into the cache (2), scores, softmax and values (3), the heads put together (1), two residuals (2),
 * activation and product of the gate (2).
 */
const LAYER_LAUNCHES = 16;
/** Before and after the layers: embedding, norm and its weight. */
const OUTER_LAUNCHES = 3;
/** What those launches move, in f32 elements per token: so many times the hidden, the keys and values, the inner width. */
const MOVED = { hidden: 18, keyValue: 5, feedForward: 5 } as const;
/** Scores are written, read and written by softmax, and read. */
const SCORE_PASSES = 4;

export function modelPass(model: ModelShape, run: ModelRun): ModelPass {
  const matmuls = model.matrices.map((weight) => {
    const m = weight.last === true && run.allLogits !== true ? 1 : run.tokens;
    const problem = plainProblem({ m, n: weight.n, k: weight.k, weights: weight.weights });
    return { weight, problem, configuration: run.choose(problem) };
  });
  return { model, run, matmuls };
}

/** What a pass takes on a chip. */
export function estimateModel({ model, run, matmuls }: ModelPass, chip: Chip, fitted: Fitted = FITTED): ModelEstimate {
  const { tokens, context } = run;
  let matmulMs = 0;
  let launches = OUTER_LAUNCHES + model.layers * LAYER_LAUNCHES;
  let weightBytes = 0;
  for (const { weight, problem, configuration } of matmuls) {
    const { parts, ms } = estimateMatmul(problem, configuration, chip, fitted);
    matmulMs += weight.count * (ms - parts.launchMs);
    launches += weight.count;
    weightBytes += weight.count * weight.n * weightRowBytes(problem);
  }
  const bandwidth = bandwidthOf(chip, fitted) * 1e6;
  const cached = model.layers * 2 * model.keyValue * context * 2;
  // Scores and values, a multiply-add each, on simdgroup_matrix where there are rows enough.
  const products = model.layers * 2 * tokens * context * model.hidden;
  const rate = (512 * CORE.pipes * chip.cores * chip.clockGhz * 1e6) / CORE.mmaCycles;
  const attentionMs = Math.max(cached / bandwidth, tokens > 1 ? products / rate : 0);
  const { hidden, keyValue, feedForward } = MOVED;
  const width = hidden * model.hidden + keyValue * model.keyValue + feedForward * model.feedForward;
  const elements = tokens * (width + SCORE_PASSES * model.heads * context);
  const elementwiseMs = (model.layers * elements * 4) / bandwidth;
  const launchMs = (launches * fitted.launchUs) / 1000;
  const ms = matmulMs + attentionMs + elementwiseMs + launchMs;
  return {
    ms,
    tokensPerSecond: (1000 * tokens) / ms,
    parts: { matmulMs, attentionMs, elementwiseMs, launchMs },
    launches,
    weightBytes,
  };
}
