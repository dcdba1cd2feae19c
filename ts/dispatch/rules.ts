// Rules that the candidates of every back end are made of.
import type { Capabilities } from '../device/backend.ts';
import type { MatmulVariant } from './args.ts';
import type { Candidate } from './catalogue.ts';
import type { MatmulProblem } from './problem.ts';
import { type CrossOver, entryName, showEntry, type TuningEntry } from './tuning.ts';

/** Legality: why a kernel may not run a problem, or null. */
export type Rule = (problem: MatmulProblem, capabilities: Capabilities) => string | null;

/** `3 rows` */
export const rows = (count: number): string => `${count} row${count === 1 ? '' : 's'}`;

/** What every built-in kernel needs: weights that it can decode. */
const refuseWeights: Rule = ({ format }) =>
  format !== null && format.id === undefined
    ? `the built-in kernels cannot decode ${format.name}; a registered CustomMatmulKernel could`
    : null;

const refuseNumbers: Rule = ({ outDType }) =>
  outDType === 'i8' || outDType === 'i32' ? `results of type ${outDType} are not offered; convert afterwards` : null;

export const refusePlain: Rule = ({ format }) => (format === null ? 'b is not block-quantized' : null);
export const refuseQuantized: Rule = ({ format }) => (format === null ? null : `b is block-quantized (${format.name})`);
export const single: Rule = ({ m }) => (m === 1 ? null : `m = ${m}; it is for one row`);
export const several: Rule = ({ m }) => (m > 1 ? null : `m = ${m}; it is for two rows or more`);

const available =
  (kernel: string): Rule =>
  (_, capabilities) =>
    capabilities.kernels.has(kernel) ? null : `the ${capabilities.backend} back end has no ${kernel} kernel`;

/** A candidate that refuses what its rules refuse, and what no built-in kernel takes. */
export function candidate(
  variant: MatmulVariant,
  kernel: string,
  rules: readonly Rule[],
  policy: Pick<Candidate, 'yields' | 'because'>,
): Candidate {
  const all = [available(kernel), refuseWeights, refuseNumbers, ...rules];
  return {
    variant,
    kernel,
    refuse: (problem, capabilities) => {
      for (const rule of all) {
        const reason = rule(problem, capabilities);
        if (reason !== null) return reason;
      }
      return null;
    },
    ...policy,
  };
}

/** What entries of the tuning call a problem's weights. */
export const weightsOf = ({ format, bDType }: MatmulProblem): string => format?.name ?? bDType ?? '';

/** The cross-over that counts for a problem, that of its weights first: `quantGemvRows.q4_k = 9`. */
export const crossOver = (problem: MatmulProblem, tuning: TuningEntry, limit: CrossOver): string =>
  showEntry(tuning, entryName(tuning, limit, weightsOf(problem)));

/** Policy: yields above a cross-over of the tuning. */
export const atMost =
  (limit: CrossOver): Candidate['yields'] =>
  (problem, tuning) =>
    problem.m <= tuning[entryName(tuning, limit, weightsOf(problem))]!
      ? null
      : `m = ${problem.m} is above ${crossOver(problem, tuning, limit)}, where unpacking once pays`;
export const never = (): null => null;

/** The last candidate of a back end: slow code for everything. */
export const reference = (kernel: string, how: string): Candidate =>
  candidate('Reference', kernel, [], {
    yields: () => `slow: ${how}; ask for it by name`,
    because: () => 'nothing else may run',
  });
