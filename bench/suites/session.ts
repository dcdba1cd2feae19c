import type { Device } from '../../ts/device/device.ts';
import type { DeviceTrace } from '../../ts/profile/trace.ts';
import type { Limits } from '../limits/limits.ts';

/** How long to measure. */
export interface Effort {
  /** Milliseconds of measured rounds per result. */
  readonly timeMs: number;
  /** Rounds per result, in place of a time. */
  readonly rounds: number | undefined;
  /** Hardly any warm-up, small probes, few copies: to see that everything works, not how fast. */
  readonly quick: boolean;
}

/** Told what is being measured; see `report/progress.ts`. */
export interface Progress {
  update(text: string): void;
}

/** What every suite gets: a device, its limits, and how long to measure. */
export interface Session {
  readonly device: Device;
  readonly limits: Limits;
  readonly effort: Effort;
  readonly seed: number;
  readonly signal: AbortSignal;
  readonly progress: Progress;
  /** Records what happens on the device, if that was asked for. */
  readonly trace?: DeviceTrace | undefined;
  /** Told of what no kernel takes. */
  readonly skipped: (what: string, why: string) => void;
  /**
   * For tests of the comparison with a baseline: this share of more work than is told, 0.15 for a kernel that is 15%
   * slower. No option of the command line sets it.
   */
  readonly extraWork?: number;
}

/** `size` of a dimension over which the work is spread evenly, with the session's extra work. */
export function withExtraWork(session: Session, size: number): number {
  return Math.round(size * (1 + (session.extraWork ?? 0)));
}
