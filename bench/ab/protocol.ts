import type { Environment } from '../info/environment.ts';
import type { ProbeReading, Round, WarmUp } from '../suites/measure.ts';

/** What `bench ab` and the workers of both sides understand; a side of another version is refused. */
export const AB_PROTOCOL = 1;

/** One request is under way at a time: both sides are kept in step by whoever asks. */
export type Request =
  | {
      readonly type: 'open';
      readonly protocol: number;
      readonly suite: string;
      readonly argv: readonly string[];
      /** For tests: see `Session.extraWork`. */
      readonly extraWork?: number;
    }
  /** Let the case at hand go and prepare the next one. */
  | { readonly type: 'next' }
  | { readonly type: 'warm up' }
  | { readonly type: 'probe' }
  | { readonly type: 'round' };

/** What a worker answers, by request. */
export interface Answers {
  readonly open: { readonly environment: Environment };
  /** Null after the last case. */
  readonly next: { readonly name: string | null };
  readonly 'warm up': { readonly warmUp: WarmUp; readonly batch: number; readonly copies: number };
  readonly probe: { readonly reading: ProbeReading };
  readonly round: { readonly round: Round };
}

export type Reply =
  | { readonly type: 'answer'; readonly answer: Answers[keyof Answers] }
  | { readonly type: 'error'; readonly code: string; readonly message: string };
