import type { Capabilities } from '../device/backend.ts';
import { MatmulVariant } from './args.ts';
import type { MatmulKernelName } from './plan.ts';
import type { MatmulProblem } from './problem.ts';
import type { TuningEntry } from './tuning.ts';

/**
 * A way to run a matmul. Legality and policy are apart: `refuse` says why it may not run, `yields` why it should not
 * although it may. The first candidate that neither refuses nor yields is taken; else the first that does not refuse.
 */
export interface Candidate {
  readonly variant: MatmulVariant;
  readonly kernel: MatmulKernelName;
  readonly refuse: (problem: MatmulProblem, capabilities: Capabilities) => string | null;
  readonly yields: (problem: MatmulProblem, tuning: TuningEntry) => string | null;
  /** Why it is taken, when it is. */
  readonly because: (problem: MatmulProblem, tuning: TuningEntry) => string;
}

const rows = (count: number) => `${count} row${count === 1 ? '' : 's'}`;

/** What every built-in kernel needs: weights that it can decode. */
function refuseWeights({ format }: MatmulProblem): string | null {
  return format !== null && format.id === undefined
    ? `the built-in kernels cannot decode ${format.name}; a registered CustomMatmulKernel could`
    : null;
}

function refuseNumbers(problem: MatmulProblem): string | null {
  const { outDType } = problem;
  return outDType === 'i8' || outDType === 'i32'
    ? `results of type ${outDType} are not offered; convert afterwards`
    : null;
}

const refusePlain = (problem: MatmulProblem) => (problem.format === null ? 'b is not block-quantized' : null);
const refuseQuantized = (problem: MatmulProblem) =>
  problem.format === null ? null : `b is block-quantized (${problem.format.name})`;
const refuseExact = (problem: MatmulProblem) =>
  problem.precision === 'exact' ? 'it rounds activations to 8 bits, and precision is exact' : null;
const refuseFast = (problem: MatmulProblem) =>
  problem.precision === 'fast' ? 'it keeps f32 activations; precision is fast, so the integer kernels serve' : null;

type Rule = (problem: MatmulProblem, capabilities: Capabilities) => string | null;

const all =
  (...rules: readonly Rule[]): Rule =>
  (problem, capabilities) => {
    for (const rule of rules) {
      const reason = rule(problem, capabilities);
      if (reason !== null) return reason;
    }
    return null;
  };

const available =
  (kernel: string): Rule =>
  (_, capabilities) =>
    capabilities.kernels.has(kernel) ? null : `the ${capabilities.backend} back end has no ${kernel} kernel`;

function candidate(
  variant: MatmulVariant,
  kernel: MatmulKernelName,
  rules: readonly Rule[],
  policy: Pick<Candidate, 'yields' | 'because'>,
): Candidate {
  return { variant, kernel, refuse: all(available(kernel), refuseWeights, refuseNumbers, ...rules), ...policy };
}

const atMost =
  (limit: keyof TuningEntry): Candidate['yields'] =>
  ({ m }, tuning) =>
    m <= tuning[limit] ? null : `m = ${m} is above ${limit} = ${tuning[limit]}, where unpacking once pays`;
const single: Rule = ({ m }) => (m === 1 ? null : `m = ${m}; it is for one row`);
const several: Rule = ({ m }) => (m > 1 ? null : `m = ${m}; it is for two rows or more`);
const never = () => null;

/** In order of preference. */
export const CANDIDATES: readonly Candidate[] = [
  candidate(MatmulVariant.QuantGemv, 'quant_gemv', [refusePlain, refuseExact, single], {
    yields: never,
    because: ({ format }) => `one row: ${format!.name} weights are streamed once, integer dot products`,
  }),
  candidate(MatmulVariant.QuantGemvBatch, 'quant_gemv', [refusePlain, refuseExact, several], {
    yields: atMost('quantGemvRows'),
    because: ({ m }, t) => `${rows(m)} (at most quantGemvRows = ${t.quantGemvRows}): weights are streamed once for all`,
  }),
  candidate(MatmulVariant.QuantGemm, 'quant_gemm', [refusePlain, refuseExact], {
    yields: never,
    because: ({ m }, t) => `${rows(m)} (above quantGemvRows = ${t.quantGemvRows}): panels are unpacked once and reused`,
  }),
  candidate(MatmulVariant.QuantGemv, 'gemv', [refusePlain, refuseFast, single], {
    yields: never,
    because: ({ format }) => `one row, exact: ${format!.name} rows are decoded to f32 as they stream`,
  }),
  candidate(MatmulVariant.QuantGemvBatch, 'gemv', [refusePlain, refuseFast, several], {
    yields: atMost('exactGemvRows'),
    because: ({ m }, t) =>
      `${rows(m)} (at most exactGemvRows = ${t.exactGemvRows}), exact: each weight is decoded once`,
  }),
  candidate(MatmulVariant.QuantGemm, 'gemm', [refusePlain, refuseFast], {
    yields: never,
    because: ({ m }, t) => `${rows(m)} (above exactGemvRows = ${t.exactGemvRows}), exact: panels are decoded to f32`,
  }),
  candidate(MatmulVariant.Gemv, 'gemv', [refuseQuantized], {
    yields: atMost('gemvRows'),
    because: ({ m }, t) => `${rows(m)} (at most gemvRows = ${t.gemvRows}): b is streamed once, bound by memory`,
  }),
  candidate(MatmulVariant.GemmTiled, 'gemm', [refuseQuantized], {
    yields: never,
    because: ({ m }, t) => `${rows(m)} (above gemvRows = ${t.gemvRows}): blocked for the caches, bound by arithmetic`,
  }),
  candidate(MatmulVariant.Reference, 'matmul_reference', [], {
    yields: () => 'slow: float64, one output at a time; ask for it by name',
    because: () => 'nothing else may run',
  }),
];
