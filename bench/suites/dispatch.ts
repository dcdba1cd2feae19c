import type { MatmulArgs, Precision } from '../../ts/dispatch/args.ts';
import { MatmulDispatcher } from '../../ts/dispatch/dispatcher.ts';
import { QuantFormat } from '../../ts/tensor/quant-format.ts';
import { normals } from '../stats/random.ts';
import type { Session } from './session.ts';
import { skipping } from './skip.ts';
import type { Case, Suite } from './suite.ts';
import { WeightCopies } from './weights.ts';

export const DISPATCH_STEPS = ['select', 'select first', 'explain', 'encode'] as const;

export interface DispatchSuiteOptions {
  readonly steps: readonly (typeof DISPATCH_STEPS)[number][];
  readonly formats: readonly string[];
  readonly m: readonly number[];
  readonly precision: Precision;
}

export interface DispatchFields {
  readonly step: string;
  readonly format: string;
  readonly m: number;
}

/** Choosing costs the same for any size: the weights are as small as the formats allow. */
const N = 32;
const K = 256;

async function* cases(
  session: Session,
  options: DispatchSuiteOptions,
): AsyncGenerator<Case<DispatchFields>, void, undefined> {
  const { device, seed } = session;
  using dispatcher = new MatmulDispatcher(device);
  for (const format of options.formats) {
    const precision = QuantFormat.has(format) ? options.precision : 'exact';
    using weights = new WeightCopies(device, { format, n: N, k: K, seed, copies: 1 });
    for (const m of options.m) {
      using a = device.tensor(normals(seed + 1, m * K), { shape: [m, K] });
      using out = device.empty([m, N]);
      const args: MatmulArgs = { a, b: weights.copies[0]!, transposeB: true, out, precision };
      const runs: Record<(typeof DISPATCH_STEPS)[number], () => unknown> = {
        select: () => dispatcher.select(args),
        'select first': () => {
          using fresh = new MatmulDispatcher(device);
          return fresh.select(args);
        },
        explain: () => dispatcher.explain(args),
        encode: () => dispatcher.encode(args),
      };
      if (skipping(session, `${format} m=${m}`, runs.select) === null) continue;
      for (const step of options.steps) {
        session.signal.throwIfAborted();
        yield {
          name: `${step} ${format} m=${m} ${precision}`,
          operations: [{ host: runs[step] }],
          work: null,
          fields: () => ({ step, format, m }),
        };
      }
    }
  }
}

export const dispatchSuite: Suite<DispatchSuiteOptions, DispatchFields> = {
  name: 'dispatch',
  cases,
  columns: [
    { header: 'step', cell: ({ step }) => step },
    { header: 'format', cell: ({ format }) => format },
    { header: 'm', align: 'right', cell: ({ m }) => String(m) },
  ],
};
