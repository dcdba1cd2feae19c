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
  /** Null where the back end has no probe of it. */
  readonly peakGops: number | null;
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
  /** Operations for a byte that has to be moved. */
  readonly intensity: number;
  /** The intensity from which on arithmetic binds and not memory; null where the peak is not known. */
  readonly ridge: number | null;
}

/** Which limit binds, and what share of it was reached in `ms`. A peak that is not known binds nothing. */
export function limitOf(work: Work, ceilings: Ceilings, ms: number): Limit {
  const { bandwidthGbps, peakGops } = ceilings;
  const minimalMs = {
    memory: work.bytes / bandwidthGbps / 1e6,
    compute: peakGops === null ? 0 : work.operations / peakGops / 1e6,
    launch: work.launches * ceilings.launchMs,
  };
  let kind: LimitKind = 'memory';
  if (minimalMs.compute > minimalMs[kind]) kind = 'compute';
  if (minimalMs.launch > minimalMs[kind]) kind = 'launch';
  const intensity = work.bytes === 0 ? 0 : work.operations / work.bytes;
  const ridge = peakGops === null ? null : peakGops / bandwidthGbps;
  return { kind, share: minimalMs[kind] / ms, minimalMs, intensity, ridge, ...ceilings };
}
