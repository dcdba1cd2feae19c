import type { Command } from '../../ts/device/command-list.ts';
import type { Environment } from '../info/environment.ts';
import type { PeakKind } from '../limits/peak.ts';
import type { Limit, Work } from '../limits/roofline.ts';
import type { Column } from '../report/table.ts';
import type { Ratio } from '../stats/bootstrap.ts';
import type { Summary } from '../stats/summary.ts';
import type { Method } from './measure.ts';
import type { Session } from './session.ts';

/** Work of the device: timed by its own clock, command by command. */
export interface DeviceOperation {
  readonly commands: readonly Command[];
  /** The same as a user calls it. */
  readonly call: () => Promise<unknown>;
}

/** Work that is timed as JavaScript sees it: code of the host alone, or submits as a whole. */
export interface HostOperation {
  readonly host: () => unknown;
  /** What one run does so many times; figures are for one. Defaults to 1. */
  readonly units?: number;
}

/** One way to run what is measured; the several of a list do the same on different memory. */
export type Operation = DeviceOperation | HostOperation;

/** One configuration, ready to be measured. What it needs is held by the generator that made it. */
export interface Case<Fields> {
  /** Says what is measured, in the same words in every run: baselines and A/B find their counterpart by it. */
  readonly name: string;
  readonly operations: readonly Operation[];
  /** What one operation has to do; null if the device has no part in it. */
  readonly work: Work | null;
  /** The arithmetic that it is made of. Defaults to f32. */
  readonly peakKind?: PeakKind;
  /** Another way to do the same, measured in turns with it. */
  readonly against?: { readonly name: string; readonly operations: readonly Operation[] };
  /** What the suite's results have of their own, given the median of milliseconds. */
  readonly fields: (ms: number) => Fields;
}

/** What the results of all suites share. */
export interface SuiteResult {
  readonly suite: string;
  /** {@link Case.name} */
  readonly case: string;
  /** Whose clock `ms` is by. */
  readonly clock: 'device' | 'host';
  readonly threads: number;
  readonly isa: string;
  /** One operation, in milliseconds. */
  readonly ms: Summary;
  /** The whole call as JavaScript sees it, from the call to the awaited result, in milliseconds. */
  readonly wallMs: Summary;
  /** Billions a second at the median of `ms`; 0 where nothing is counted. */
  readonly gflops: number;
  readonly gbps: number;
  /** What has to be moved once. */
  readonly bytes: number;
  /** Null where no limit of the device applies: code of the host alone. */
  readonly limit: Limit | null;
  /** The other way to do the same: its times, and this one's by them, pair by pair. */
  readonly against: { readonly name: string; readonly ms: Summary; readonly ratio: Ratio } | null;
  /** GB/s of the probes that ran between the samples, and before the first and after the last one. */
  readonly bandwidth: Summary;
  /** 10^9 operations a second from registers: the clock, by the same probes. Null where the back end has none. */
  readonly clockGops: Summary | null;
  /** How it was measured. */
  readonly method: Method;
  readonly environment: Environment;
}

/**
 * A family of measurements. A new one is a file here, with its command in `cli/`, which is a list of options.
 */
export interface Suite<Options, Fields> {
  readonly name: string;
  /** Checks the options before anything is measured. @throws ERR_USAGE */
  readonly check?: (options: Options) => void;
  /** Cases one after the other: what a case needs is let go when the next one is asked for. */
  readonly cases: (session: Session, options: Options) => AsyncGenerator<Case<Fields>, void, undefined>;
  /** What tells the results apart; `report/suite.ts` puts times, limits and shares after it. */
  readonly columns: readonly Column<SuiteResult & Fields>[];
}
