import type { PeakKind } from './peak.ts';

/** What an operation has to do, however it is done. */
export interface Work {
  /** Bytes that have to be moved once. */
  readonly bytes: number;
  /** Arithmetic operations; a multiply-add is two. */
  readonly operations: number;
  /** Launches that it takes. */
  readonly launches: number;
}

/** What the machine can do at most. */
export interface Ceilings {
  readonly bandwidthGbps: number;
  readonly peakGops: number;
  readonly peakKind: PeakKind;
  /** Milliseconds of a launch that does nothing. */
  readonly launchMs: number;
}

export type LimitKind = 'memory' | 'compute' | 'launch';

/** The limit that an operation is bound by, and how much of it was reached. */
export interface Limit extends Ceilings {
  /** Which of the three takes longest at least. */
  readonly kind: LimitKind;
  /** The least possible time by the time that was taken: 1 is the limit itself. */
  readonly share: number;
  readonly minimalMs: Readonly<Record<LimitKind, number>>;
}

/** Which limit binds, and what share of it was reached in `ms`. */
export function limitOf(work: Work, ceilings: Ceilings, ms: number): Limit {
  const minimalMs = {
    memory: work.bytes / ceilings.bandwidthGbps / 1e6,
    compute: work.operations / ceilings.peakGops / 1e6,
    launch: work.launches * ceilings.launchMs,
  };
  let kind: LimitKind = 'memory';
  if (minimalMs.compute > minimalMs[kind]) kind = 'compute';
  if (minimalMs.launch > minimalMs[kind]) kind = 'launch';
  return { kind, share: minimalMs[kind] / ms, minimalMs, ...ceilings };
}
