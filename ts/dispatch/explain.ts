import type { MatmulVariant } from './args.ts';
import type { MatmulProblem } from './problem.ts';
import type { TuningRecord } from './tuning-table.ts';

export interface Verdict {
  /** `chosen`; `passed over`: it may run, but another should; `refused`: it may not run. */
  readonly verdict: 'chosen' | 'passed over' | 'refused';
  readonly reason: string;
}

/** What became of one candidate. */
export interface CandidateVerdict extends Verdict {
  readonly variant: MatmulVariant;
  /** Kernel name; a plug-in's own name. */
  readonly kernel: string;
}

/** Why a matmul runs as it does. */
export interface Explanation {
  /** Null when no kernel may run. */
  readonly variant: MatmulVariant | null;
  readonly kernel: string | null;
  /** Why the chosen one was chosen. */
  readonly reason: string;
  readonly problem: MatmulProblem;
  readonly candidates: readonly CandidateVerdict[];
  /** What `bench sweep` measured on this machine and these choices follow; null if nothing is. */
  readonly tuned: TuningRecord | null;
  /** The same for people. */
  toString(): string;
}

const MARKS = { chosen: '→', 'passed over': '·', refused: '×' } as const;
/** A line for people, with the name in a column of that width. */
export const verdictLine = (name: string, width: number, { verdict, reason }: Verdict): string =>
  `  ${MARKS[verdict]} ${name.padEnd(width)} ${verdict}: ${reason}`;

export function explanation(
  problem: MatmulProblem,
  candidates: readonly CandidateVerdict[],
  tuned: TuningRecord | null = null,
): Explanation {
  const chosen = candidates.find(({ verdict }) => verdict === 'chosen');
  return {
    variant: chosen?.variant ?? null,
    kernel: chosen?.kernel ?? null,
    reason: chosen?.reason ?? 'no kernel may run this matmul',
    problem,
    candidates,
    tuned,
    toString() {
      const weights = problem.format?.name ?? problem.bDType;
      const batch = problem.batch.length > 0 ? `, batch ${problem.batch.join('x')}` : '';
      const width = Math.max(...candidates.map(({ variant, kernel }) => variant.length + kernel.length + 3));
      return [
        `matmul m=${problem.m} n=${problem.n} k=${problem.k}${batch}, ` +
          `${problem.aDType} x ${weights} -> ${problem.outDType}, ${problem.precision}`,
        ...candidates.map((candidate) => verdictLine(`${candidate.variant} (${candidate.kernel})`, width, candidate)),
        ...(tuned === null
          ? []
          : [
              `  tuned on this machine on ${tuned.created.slice(0, 10)}: ` +
                Object.entries(tuned.tuning)
                  .map(([name, value]) => `${name} = ${value}`)
                  .join(', '),
            ]),
      ].join('\n');
    },
  };
}
