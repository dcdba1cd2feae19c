import { softmaxLaunch } from '../../ts/ops/elementwise.ts';
import { DTYPES, type DType } from '../../ts/tensor/dtype.ts';
import { normals } from '../stats/random.ts';
import { Held } from './held.ts';
import { type Session, withExtraWork } from './session.ts';
import { skipping } from './skip.ts';
import type { Case, DeviceOperation, Suite } from './suite.ts';
import { copiesFor } from './weights.ts';

/** Along which dimension of [rows, length] or [length, rows]: neighbours in memory, or elements a row apart. */
export const SOFTMAX_LAYOUTS = ['rows', 'columns'] as const;
export const SOFTMAX_MASKS = ['none', 'shared', 'full'] as const;
export const SOFTMAX_DTYPES = ['f32', 'f16', 'bf16'] as const;

export interface SoftmaxSuiteOptions {
  readonly rows: readonly number[];
  readonly length: readonly number[];
  readonly dtypes: readonly (typeof SOFTMAX_DTYPES)[number][];
  readonly layouts: readonly (typeof SOFTMAX_LAYOUTS)[number][];
  /** `shared`: one row for all; `full`: one of x's shape. */
  readonly masks: readonly (typeof SOFTMAX_MASKS)[number][];
}

export interface SoftmaxFields {
  readonly rows: number;
  readonly length: number;
  readonly dtype: DType;
  readonly layout: string;
  readonly mask: string;
}

/** Scale, subtract the maximum, exponential (counted as one), add up, divide. */
const OPERATIONS_PER_ELEMENT = 5;

async function* cases(
  session: Session,
  options: SoftmaxSuiteOptions,
): AsyncGenerator<Case<SoftmaxFields>, void, undefined> {
  for (const dtype of options.dtypes) {
    for (const rows of options.rows) {
      for (const length of options.length) {
        for (const layout of options.layouts) {
          for (const mask of options.masks) {
            session.signal.throwIfAborted();
            using held = new Held();
            const fields = { rows, length, dtype, layout, mask };
            const name = `${dtype} ${rows}x${length} ${layout} mask=${mask}`;
            const operations = skipping(session, name, () => operationsOf(session, fields, held));
            if (operations === null) continue;
            const elements = rows * length;
            const masked = mask === 'none' ? 0 : mask === 'shared' ? length : elements;
            yield {
              name,
              operations,
              work: {
                bytes: (2 * elements + masked) * DTYPES[dtype].bytes,
                operations: OPERATIONS_PER_ELEMENT * elements,
                launches: 1,
              },
              fields: () => fields,
            };
          }
        }
      }
    }
  }
}

function operationsOf(session: Session, fields: SoftmaxFields, held: Held): DeviceOperation[] {
  const { device, seed, effort, signal } = session;
  const { length, dtype, layout, mask } = fields;
  const rows = withExtraWork(session, fields.rows);
  const [shape, dimension] = layout === 'rows' ? [[rows, length], 1] : [[length, rows], 0];
  const bytes = 2 * rows * length * DTYPES[dtype].bytes;
  const copies = copiesFor(bytes, device.capabilities.memoryBytes, effort.quick);
  const values = normals(seed, rows * length, 3);
  const maskShape = mask === 'full' ? shape : layout === 'rows' ? [1, length] : [length, 1];
  return Array.from({ length: copies }, () => {
    const x = held.hold(device.tensor(values, { shape, dtype }));
    const out = held.hold(device.empty(shape, { dtype }));
    const added =
      mask === 'none'
        ? undefined
        : held.hold(device.tensor(values.subarray(0, maskShape[0]! * maskShape[1]!), { shape: maskShape, dtype }));
    const commands = [softmaxLaunch(x, out, { dimension, scale: 0.125, mask: added })];
    return { commands, call: () => device.submit(commands, { signal }).done };
  });
}

export const softmaxSuite: Suite<SoftmaxSuiteOptions, SoftmaxFields> = {
  name: 'softmax',
  cases,
  columns: [
    { header: 'dtype', cell: ({ dtype }) => dtype },
    { header: 'rows', align: 'right', cell: ({ rows }) => String(rows) },
    { header: 'length', align: 'right', cell: ({ length }) => String(length) },
    { header: 'along', cell: ({ layout }) => layout },
    { header: 'mask', cell: ({ mask }) => mask },
  ],
};
