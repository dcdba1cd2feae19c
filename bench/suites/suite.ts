import type { Limit } from '../limits/roofline.ts';
import type { Column } from '../report/table.ts';
import type { Summary } from '../stats/summary.ts';
import type { Measurement } from './measure.ts';
import type { Environment, Session } from './session.ts';

/** What the results of all suites share. */
export interface SuiteResult {
  readonly suite: string;
  /** The kernel itself, by the device's clock, in milliseconds. */
  readonly ms: Summary;
  /** The whole call as JavaScript sees it, from the call to the awaited result, in milliseconds. */
  readonly wallMs: Summary;
  readonly gbps: number;
  readonly limit: Limit;
  /** GB/s of the probes that ran between the samples. */
  readonly bandwidth: Summary;
  /** How it was measured. */
  readonly method: Measurement['method'];
  readonly environment: Environment;
}

/**
 * A family of measurements. A new one is a file here, with its command in `cli/`, which is a list of options and a call
 * of `runSuite`.
 */
export interface Suite<Options, Result extends SuiteResult> {
  readonly name: string;
  /** Checks the options before anything is measured. @throws ERR_USAGE */
  readonly check: (options: Options) => void;
  /** Results as they are measured. Throws the signal's reason when aborted. */
  readonly run: (session: Session, options: Options) => AsyncGenerator<Result, void, undefined>;
  readonly columns: readonly Column<Result>[];
}
