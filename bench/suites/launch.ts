import type { Command } from '../../ts/device/command-list.ts';
import { MatmulDispatcher } from '../../ts/dispatch/dispatcher.ts';
import { TinyLaunch } from '../limits/launch.ts';
import { normals } from '../stats/random.ts';
import type { Session } from './session.ts';
import type { Case, HostOperation, Suite } from './suite.ts';

export interface LaunchSuiteOptions {
  /** Launches of a submit. */
  readonly batch: readonly number[];
}

export interface LaunchFields {
  /** `alone`: submitted and awaited one by one; `in flight`: submitted one by one, awaited together; … */
  readonly how: 'alone' | 'in flight' | 'batched' | 'replayed';
  readonly batch: number;
}

/** Rows and columns of a matmul that takes no time worth mentioning. */
const TINY = 32;

async function* cases(
  session: Session,
  options: LaunchSuiteOptions,
): AsyncGenerator<Case<LaunchFields>, void, undefined> {
  const { device, signal, seed } = session;
  using nothing = new TinyLaunch(device);
  const submit = (commands: readonly Command[]) => device.submit(commands, { signal });
  const work = { bytes: 0, operations: 0, launches: 1 };
  const one = [nothing.command];
  const alone: HostOperation = { host: () => submit(one).done };
  yield { name: 'alone', operations: [alone], work, fields: () => ({ how: 'alone', batch: 1 }) };
  for (const batch of options.batch) {
    const list = new Array<Command>(batch).fill(nothing.command);
    const inFlight = () => Promise.all(Array.from({ length: batch }, () => submit(one).done));
    yield {
      name: `in flight ${batch}`,
      operations: [{ host: inFlight, units: batch }],
      work,
      against: { name: 'alone', operations: [alone] },
      fields: () => ({ how: 'in flight', batch }),
    };
    yield {
      name: `batched ${batch}`,
      operations: [{ host: () => submit(list).done, units: batch }],
      work,
      against: { name: 'in flight', operations: [{ host: inFlight, units: batch }] },
      fields: () => ({ how: 'batched', batch }),
    };
  }
  using dispatcher = new MatmulDispatcher(device);
  using a = device.tensor(normals(seed, TINY), { shape: [1, TINY] });
  using b = device.tensor(normals(seed + 1, TINY * TINY), { shape: [TINY, TINY] });
  using out = device.empty([1, TINY]);
  for (const batch of options.batch) {
    const encode = () =>
      dispatcher
        .encodeAll(Array.from({ length: batch }, () => ({ a, b, transposeB: true, out })))
        .flatMap(({ commands }) => commands);
    using recorded = device.record(encode());
    const elements = TINY * TINY + 2 * TINY;
    yield {
      name: `replayed ${batch}`,
      operations: [{ host: () => recorded.submit({ signal }).done, units: batch }],
      work: { bytes: 4 * elements, operations: 2 * TINY * TINY, launches: 1 },
      against: { name: 'encoded anew', operations: [{ host: () => submit(encode()).done, units: batch }] },
      fields: () => ({ how: 'replayed', batch }),
    };
  }
}

export const launchSuite: Suite<LaunchSuiteOptions, LaunchFields> = {
  name: 'launch',
  cases,
  columns: [
    { header: 'how', cell: ({ how }) => how },
    { header: 'batch', align: 'right', cell: ({ batch }) => String(batch) },
  ],
};
