import type { QuantizedTensor, Tensor } from '../../ts/device/tensor.ts';
import { DTYPES, type DType } from '../../ts/tensor/dtype.ts';
import { QuantFormat } from '../../ts/tensor/quant-format.ts';
import { fixed } from '../report/format.ts';
import { Held } from './held.ts';
import { type Session, withExtraWork } from './session.ts';
import { skipping } from './skip.ts';
import type { Case, DeviceOperation, Suite } from './suite.ts';
import { copiesFor, WeightCopies, weightBytes } from './weights.ts';

/** Formats that have something to decode. */
export const DEQUANT_FORMATS: readonly string[] = QuantFormat.list().map(({ name }) => name);

export interface DequantSuiteOptions {
  readonly formats: readonly string[];
  readonly n: readonly number[];
  readonly k: readonly number[];
  /** What is decoded to. */
  readonly to: DType;
}

export interface DequantFields {
  readonly format: string;
  readonly to: DType;
  readonly n: number;
  readonly k: number;
  /** Billion weights a second at the median. */
  readonly gweights: number;
}

async function* cases(
  session: Session,
  options: DequantSuiteOptions,
): AsyncGenerator<Case<DequantFields>, void, undefined> {
  const { device, seed, effort } = session;
  const { to } = options;
  for (const format of options.formats) {
    for (const n of options.n) {
      for (const k of options.k) {
        session.signal.throwIfAborted();
        session.progress.update(`dequant ${format} ${n}x${k}: preparing weights`);
        const rows = withExtraWork(session, n);
        const written = n * k * DTYPES[to].bytes;
        // As many copies as it takes to keep both sides out of the caches; the written one is the larger.
        const copies = copiesFor(written, device.capabilities.memoryBytes, effort.quick);
        using weights = new WeightCopies(device, { format, n: rows, k, seed, copies });
        using held = new Held();
        const operations = skipping(session, `${format} to ${to}`, () =>
          weights.copies.map((copy) => {
            const out = held.hold(device.empty([rows, k], { dtype: to }));
            return operationOf(copy as QuantizedTensor, out, session.signal);
          }),
        );
        if (operations === null) continue;
        yield {
          name: `${format} to ${to} n=${n} k=${k}`,
          operations,
          // Blocks read and floats written, each counted once; one multiply-add a weight at least.
          work: { bytes: weightBytes(format, n, k) + written, operations: 2 * n * k, launches: 1 },
          fields: (ms) => ({ format, to, n, k, gweights: (n * k) / ms / 1e6 }),
        };
      }
    }
  }
}

function operationOf(weights: QuantizedTensor, out: Tensor, signal: AbortSignal): DeviceOperation {
  const { device } = weights;
  const source = weights.byteOffset;
  const commands = [
    device.elementwise.dequantize({ weights, out, rows: weights.shape[0]!, source, target: out.offset }),
  ];
  return { commands, call: () => device.submit(commands, { signal }).done };
}

export const dequantSuite: Suite<DequantSuiteOptions, DequantFields> = {
  name: 'dequant',
  check({ formats, k }) {
    for (const format of formats) for (const size of k) weightBytes(format, 1, size);
  },
  cases,
  columns: [
    { header: 'format', cell: ({ format }) => format },
    { header: 'to', cell: ({ to }) => to },
    { header: 'n', align: 'right', cell: ({ n }) => String(n) },
    { header: 'k', align: 'right', cell: ({ k }) => String(k) },
    { header: 'Gweights/s', align: 'right', cell: ({ gweights }) => fixed(gweights, 2) },
  ],
};
