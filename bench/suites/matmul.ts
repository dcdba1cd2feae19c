import type { Tensor } from '../../ts/device/tensor.ts';
import type { MatmulArgs, MatmulVariant, Precision, Weights } from '../../ts/dispatch/args.ts';
import { MatmulDispatcher } from '../../ts/dispatch/dispatcher.ts';
import type { CandidateVerdict } from '../../ts/dispatch/explain.ts';
import { QuantFormat } from '../../ts/tensor/quant-format.ts';
import { normals } from '../stats/random.ts';
import { type Session, withExtraWork } from './session.ts';
import { skipping } from './skip.ts';
import type { Case, DeviceOperation, Suite } from './suite.ts';
import { WeightCopies, weightBytes } from './weights.ts';

export interface MatmulSuiteOptions {
  readonly formats: readonly string[];
  readonly m: readonly number[];
  readonly n: readonly number[];
  readonly k: readonly number[];
  /** Of block-quantized weights. */
  readonly precision: Precision;
  readonly variant: MatmulVariant | undefined;
}

export interface MatmulFields {
  readonly format: string;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly variant: MatmulVariant;
  readonly kernel: string;
  readonly reason: string;
  /** What became of every kernel that the dispatcher looked at. */
  readonly candidates: readonly CandidateVerdict[];
  readonly precision: Precision;
}

async function* cases(
  session: Session,
  options: MatmulSuiteOptions,
): AsyncGenerator<Case<MatmulFields>, void, undefined> {
  const { device, seed, effort } = session;
  using dispatcher = new MatmulDispatcher(device);
  for (const format of options.formats) {
    for (const n of options.n) {
      for (const k of options.k) {
        session.progress.update(`matmul ${format} ${n}x${k}: preparing weights`);
        const rows = withExtraWork(session, n);
        using weights = new WeightCopies(device, { format, n: rows, k, seed, quick: effort.quick });
        for (const m of options.m) {
          session.signal.throwIfAborted();
          using a = device.tensor(normals(seed + 1, m * k), { shape: [m, k] });
          using out = device.empty([m, rows]);
          const problem = { format, m, n, k };
          const subject = skipping(session, `${format} m=${m} n=${n} k=${k}`, () =>
            caseOf(dispatcher, options, problem, { a, out, weights: weights.copies }, session.signal),
          );
          if (subject !== null) yield subject;
        }
      }
    }
  }
}

function caseOf(
  dispatcher: MatmulDispatcher,
  options: MatmulSuiteOptions,
  problem: { readonly format: string; readonly m: number; readonly n: number; readonly k: number },
  tensors: { readonly a: Tensor; readonly out: Tensor; readonly weights: readonly Weights[] },
  signal: AbortSignal,
): Case<MatmulFields> {
  const { format, m, n, k } = problem;
  const { a, out, weights } = tensors;
  const precision = QuantFormat.has(format) ? options.precision : 'exact';
  const argsOf = (b: Weights): MatmulArgs => ({ a, b, transposeB: true, out, precision, variant: options.variant });
  const { variant, kernel, reason } = dispatcher.select(argsOf(weights[0]!));
  const { candidates } = dispatcher.explain(argsOf(weights[0]!));
  const operations = weights.map((b) => matmulOperation(dispatcher, argsOf(b), signal));
  return {
    name: `${format} m=${m} n=${n} k=${k} ${precision}`,
    operations,
    work: {
      bytes: weightBytes(format, n, k) + (m * k + m * n) * Float32Array.BYTES_PER_ELEMENT,
      operations: 2 * m * n * k,
      launches: operations[0]!.commands.length,
    },
    peakKind: worksInIntegers(operations[0]!) ? 'int8' : 'f32',
    fields: () => ({ ...problem, variant, kernel, reason, candidates, precision }),
  };
}

/** A matmul on its own: in a list encoded together, neighbours would share the rounding of their activations. */
export function matmulOperation(dispatcher: MatmulDispatcher, args: MatmulArgs, signal: AbortSignal): DeviceOperation {
  return {
    commands: dispatcher.encode(args).commands,
    call: () => dispatcher.matmul(args, { signal }),
  };
}

/** Kernels that multiply in integers have their activations rounded first; all others work in floats. */
export function worksInIntegers({ commands }: DeviceOperation): boolean {
  return commands.some((command) => command.type === 'kernel' && command.kernel.name.includes('quantize'));
}

export const matmulSuite: Suite<MatmulSuiteOptions, MatmulFields> = {
  name: 'matmul',
  check({ formats, k }) {
    for (const format of formats) for (const size of k) weightBytes(format, 1, size);
  },
  cases,
  columns: [
    { header: 'format', cell: ({ format }) => format },
    { header: 'm', align: 'right', cell: ({ m }) => String(m) },
    { header: 'n', align: 'right', cell: ({ n }) => String(n) },
    { header: 'k', align: 'right', cell: ({ k }) => String(k) },
    { header: 'variant', cell: ({ variant }) => variant },
  ],
};
