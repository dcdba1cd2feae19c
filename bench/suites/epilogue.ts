import type { Command } from '../../ts/device/command-list.ts';
import { copyLaunch, type Tensor } from '../../ts/device/tensor.ts';
import type { MatmulArgs, Precision, Weights } from '../../ts/dispatch/args.ts';
import { MatmulDispatcher } from '../../ts/dispatch/dispatcher.ts';
import { QuantFormat } from '../../ts/tensor/quant-format.ts';
import { normals } from '../stats/random.ts';
import { worksInIntegers } from './matmul.ts';
import { type Session, withExtraWork } from './session.ts';
import { skipping } from './skip.ts';
import type { Case, DeviceOperation, Suite } from './suite.ts';
import { WeightCopies, weightBytes } from './weights.ts';

interface Form {
  /** What is added to a plain matmul. */
  readonly args: (tensors: Tensors) => Partial<MatmulArgs>;
  /** Passes over the result that it takes apart. */
  readonly passes: number;
  /** Matmuls that it takes apart. */
  readonly matmuls: 1 | 2;
  /** Results that it reads besides, as large as its own. */
  readonly reads: number;
}

interface Tensors {
  readonly bias: Tensor;
  readonly residual: Tensor;
  readonly gate: Weights;
}

/** The fused forms of `matmul`. */
const FORMS = {
  bias: { args: ({ bias }) => ({ bias }), passes: 1, matmuls: 1, reads: 0 },
  silu: { args: () => ({ activation: 'silu' }), passes: 1, matmuls: 1, reads: 0 },
  residual: { args: ({ residual }) => ({ residual }), passes: 1, matmuls: 1, reads: 1 },
  'bias+gelu': { args: ({ bias }) => ({ bias, activation: 'gelu' }), passes: 2, matmuls: 1, reads: 0 },
  'bias+gelu+residual': {
    args: ({ bias, residual }) => ({ bias, activation: 'gelu', residual }),
    passes: 3,
    matmuls: 1,
    reads: 1,
  },
  swiglu: { args: ({ gate }) => ({ gate, activation: 'silu' }), passes: 1, matmuls: 2, reads: 0 },
} as const satisfies Record<string, Form>;
export const EPILOGUE_FORMS = Object.keys(FORMS) as (keyof typeof FORMS)[];

export interface EpilogueSuiteOptions {
  readonly forms: readonly (keyof typeof FORMS)[];
  readonly formats: readonly string[];
  readonly m: readonly number[];
  readonly n: readonly number[];
  readonly k: readonly number[];
  readonly precision: Precision;
}

export interface EpilogueFields {
  readonly form: string;
  readonly format: string;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly precision: Precision;
  readonly kernel: string;
}

async function* cases(
  session: Session,
  options: EpilogueSuiteOptions,
): AsyncGenerator<Case<EpilogueFields>, void, undefined> {
  const { device, seed, effort } = session;
  using dispatcher = new MatmulDispatcher(device);
  for (const format of options.formats) {
    const precision = QuantFormat.has(format) ? options.precision : 'exact';
    for (const n of options.n) {
      for (const k of options.k) {
        session.progress.update(`epilogue ${format} ${n}x${k}: preparing weights`);
        const rows = withExtraWork(session, n);
        using weights = new WeightCopies(device, { format, n: rows, k, seed, quick: effort.quick });
        using bias = device.tensor(normals(seed + 2, rows), { shape: [rows] });
        for (const m of options.m) {
          using a = device.tensor(normals(seed + 1, m * k), { shape: [m, k] });
          using residual = device.tensor(normals(seed + 3, m * rows), { shape: [m, rows] });
          using out = device.empty([m, rows]);
          using other = device.empty([m, rows]);
          for (const form of options.forms) {
            session.signal.throwIfAborted();
            const problem = { form, format, m, n, k, precision };
            const tensors = { a, out, other, bias, residual, weights: weights.copies };
            const name = `${form} ${format} m=${m} n=${n} k=${k} ${precision}`;
            const subject = skipping(session, name, () => caseOf(session, dispatcher, name, problem, tensors));
            if (subject !== null) yield subject;
          }
        }
      }
    }
  }
}

function caseOf(
  session: Session,
  dispatcher: MatmulDispatcher,
  name: string,
  problem: Omit<EpilogueFields, 'kernel' | 'form'> & { readonly form: keyof typeof FORMS },
  tensors: Omit<Tensors, 'gate'> & { a: Tensor; out: Tensor; other: Tensor; weights: readonly Weights[] },
): Case<EpilogueFields> {
  const { form, format, m, n, k, precision } = problem;
  const { a, out, other, weights } = tensors;
  const { args, passes, matmuls, reads }: Form = FORMS[form];
  const operationOf = (commands: readonly Command[]): DeviceOperation => ({
    commands,
    call: () => session.device.submit(commands, { signal: session.signal }).done,
  });
  const plain = (b: Weights, to: Tensor): MatmulArgs => ({ a, b, transposeB: true, out: to, precision });
  const fused = (b: Weights, gate: Weights) => ({ ...plain(b, out), ...args({ ...tensors, gate }) });
  const gateOf = (i: number) => weights[(i + 1) % weights.length]!;
  const operations = weights.map((b, i) => operationOf(dispatcher.encode(fused(b, gateOf(i))).commands));
  // A kernel that did the rest of it apart would have to read the result, or the residual, and write one at least: as a
  // copy does.
  const pass = copyLaunch(out, other);
  const rest = Array.from({ length: passes }, (_, i) => (i < reads ? copyLaunch(tensors.residual, other) : pass));
  const parts = weights.map((b, i) => {
    const lists = [plain(b, out), plain(gateOf(i), other)].slice(0, matmuls);
    const products = dispatcher.encodeAll(lists).flatMap(({ commands }) => commands);
    return operationOf([...products, ...rest]);
  });
  const { kernel } = dispatcher.select(fused(weights[0]!, gateOf(0)));
  return {
    name,
    operations,
    work: {
      bytes: matmuls * weightBytes(format, n, k) + (m * k + (1 + reads) * m * n) * Float32Array.BYTES_PER_ELEMENT,
      operations: matmuls * 2 * m * n * k,
      launches: operations[0]!.commands.length,
    },
    peakKind: worksInIntegers(operations[0]!) ? 'int8' : 'f32',
    against: {
      name: `${matmuls} matmul${matmuls > 1 ? 's' : ''} + ${passes} pass${passes > 1 ? 'es' : ''}`,
      operations: parts,
    },
    fields: () => ({ ...problem, kernel }),
  };
}

export const epilogueSuite: Suite<EpilogueSuiteOptions, EpilogueFields> = {
  name: 'epilogue',
  check({ formats, k }) {
    for (const format of formats) for (const size of k) weightBytes(format, 1, size);
  },
  cases,
  columns: [
    { header: 'form', cell: ({ form }) => form },
    { header: 'format', cell: ({ format }) => format },
    { header: 'm', align: 'right', cell: ({ m }) => String(m) },
    { header: 'n', align: 'right', cell: ({ n }) => String(n) },
    { header: 'k', align: 'right', cell: ({ k }) => String(k) },
  ],
};
