// A matmul that is swept: its size, tensors to ask dispatchers about, and what their launches look like.
import type { Command } from '../../ts/device/command-list.ts';
import type { Device } from '../../ts/device/device.ts';
import type { Tensor } from '../../ts/device/tensor.ts';
import type { MatmulArgs, Precision, Weights } from '../../ts/dispatch/args.ts';
import { MatmulDispatcher } from '../../ts/dispatch/dispatcher.ts';
import type { TuningEntry } from '../../ts/dispatch/tuning.ts';
import type { DTYPES } from '../../ts/tensor/dtype.ts';
import { QuantFormat } from '../../ts/tensor/quant-format.ts';
import { weightBytes } from '../suites/weights.ts';

export interface SweepShape {
  readonly format: string;
  readonly precision: Precision;
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

/** The words of `bench matmul`, so that results find each other. */
export const shapeName = ({ format, precision, m, n, k }: SweepShape): string =>
  `${format} m=${m} n=${n} k=${k} ${precision}`;

/** Entries that differ from the defaults. */
export type Configuration = Readonly<Record<string, number>>;

export const showConfiguration = (configuration: Configuration): string => {
  const entries = Object.entries(configuration);
  return entries.length === 0 ? 'default' : entries.map(([name, value]) => `${name}=${value}`).join(' ');
};

/** Dispatchers by configuration, none of which looks at the tuning table. */
export class Dispatchers implements Disposable {
  readonly defaults: TuningEntry;
  readonly #device: Device;
  readonly #known = new Map<string, MatmulDispatcher>();

  constructor(device: Device) {
    this.#device = device;
    using dispatcher = new MatmulDispatcher(device, { tuning: 'default' });
    this.defaults = dispatcher.tuning;
  }

  of(configuration: Configuration): MatmulDispatcher {
    const key = showConfiguration(configuration);
    let dispatcher = this.#known.get(key);
    if (dispatcher === undefined) {
      const tuning = Object.keys(configuration).length === 0 ? 'default' : { ...this.defaults, ...configuration };
      dispatcher = new MatmulDispatcher(this.#device, { tuning });
      this.#known.set(key, dispatcher);
    }
    return dispatcher;
  }

  [Symbol.dispose](): void {
    for (const dispatcher of this.#known.values()) dispatcher.dispose();
    this.#known.clear();
  }
}

export function argsOf({ precision }: SweepShape, a: Tensor, b: Weights, out: Tensor): MatmulArgs {
  return { a, b, transposeB: true, out, precision };
}

/** A shape's tensors, without data: memory that is never written costs nothing. */
export class Form implements Disposable {
  readonly shape: SweepShape;
  readonly args: MatmulArgs;
  readonly #held: readonly Disposable[];

  constructor(device: Device, shape: SweepShape) {
    this.shape = shape;
    const { format, m, n, k } = shape;
    const a = device.empty([m, k]);
    const out = device.empty([m, n]);
    let b: Weights;
    if (QuantFormat.has(format)) {
      using buffer = device.buffer(weightBytes(format, n, k));
      b = device.quantizedView(buffer.retain(), 0, { format, shape: [n, k] });
    } else b = device.empty([n, k], { dtype: format as keyof typeof DTYPES });
    this.args = argsOf(shape, a, b, out);
    this.#held = [a, out, b];
  }

  [Symbol.dispose](): void {
    for (const handle of this.#held) handle[Symbol.dispose]();
  }
}

/** What commands do, as text: two configurations with the same signature are one. */
export function signatureOf(commands: readonly Command[]): string {
  return commands
    .map((command) =>
      command.type === 'host'
        ? `host ${command.label}`
        : `${command.kernel.name} ${command.constants.join()} ${JSON.stringify(command.params)}`,
    )
    .join('; ');
}

/** Milliseconds that a machine of no great speed would need: only to say how long a sweep will take. */
export function roughMs({ format, m, n, k }: SweepShape): number {
  return 0.01 + weightBytes(format, n, k) / 2e7 + (2 * m * n * k) / 1.5e8;
}
