import type { Command } from './command-list.ts';
import type { Submission } from './submission.ts';

/** How a submission came about. Times are of `performance.now()`. */
export interface SubmissionCall {
  readonly commands: readonly Command[];
  /** When `submit` was called, */
  readonly begin: number;
  /** and when it returned. */
  readonly end: number;
}

/** Something on the JavaScript thread that took a while. Times are of `performance.now()`. */
export interface Span {
  readonly name: string;
  /** `encode`: commands were made, in one go; `scope`: a scope of a timer, which may overlap with others. */
  readonly kind: 'encode' | 'scope';
  readonly begin: number;
  readonly end: number;
  readonly args?: Readonly<Record<string, unknown>> | undefined;
}

/** Is told what happens on a device: see `Device.watch`. */
export interface DeviceWatcher {
  /** A submission was made; its commands are timed, whether or not whoever submits them asks for it. */
  readonly submitted?: (submission: Submission, call: SubmissionCall) => void;
  /** A span ended. */
  readonly span?: (span: Span) => void;
}
