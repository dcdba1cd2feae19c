import { packageVersion } from '../../ts/backends/native.ts';
import type { Device } from '../../ts/device/device.ts';
import type { Limits } from '../limits/limits.ts';

/** How long to measure. */
export interface Effort {
  /** Milliseconds of measured rounds per result. */
  readonly timeMs: number;
  /** Rounds per result, in place of a time. */
  readonly rounds: number | undefined;
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
}

/** Where a result was measured; part of every one, so that a file of results can be compared with another. */
export interface Environment {
  readonly tilewright: string;
  readonly node: string;
  readonly platform: string;
  readonly backend: string;
  readonly device: string;
  readonly date: string;
}

export function environmentOf(device: Device): Environment {
  return {
    tilewright: packageVersion,
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
    backend: device.backend,
    device: device.capabilities.deviceName,
    date: new Date().toISOString(),
  };
}
