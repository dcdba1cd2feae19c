import { limitOf } from '../../bench/limits/roofline.ts';
import { normals } from '../../bench/stats/random.ts';
import { summarize } from '../../bench/stats/summary.ts';
import type { SuiteResult } from '../../bench/suites/suite.ts';

const ROUNDS = 30;
const BATCH = 8;

export interface Machine {
  /** Median milliseconds. */
  readonly ms?: number;
  readonly bandwidth?: number;
  readonly clock?: number | null;
  readonly bound?: 'memory' | 'compute';
  readonly otherLoad?: number;
  readonly quick?: boolean;
  /** Of the level of a round; samples of a round are ten times closer together. */
  readonly spread?: number;
}

/** A result as the suites make them, of made-up samples. */
export function result(seed: number, machine: Machine = {}): SuiteResult {
  const {
    ms = 2,
    bandwidth = 50,
    clock = 500,
    bound = 'memory',
    otherLoad = 0,
    quick = false,
    spread = 0.03,
  } = machine;
  const around = (level: number, offset: number) => {
    const levels = normals(100 * seed + offset, ROUNDS, spread);
    const noise = normals(100 * seed + offset + 1, ROUNDS * BATCH, spread / 10);
    return Array.from(noise, (value, i) => level * Math.exp(levels[Math.floor(i / BATCH)]! + value));
  };
  const times = summarize(around(ms, 0), BATCH);
  const probes = (level: number, offset: number) => summarize(around(level, offset).filter((_, i) => i % BATCH === 0));
  const work = { bytes: bound === 'memory' ? 1e8 : 1e3, operations: bound === 'memory' ? 1e3 : 1e9, launches: 1 };
  const reading = { bandwidth, clock };
  return {
    suite: 'matmul',
    case: 'q4_k m=1',
    clock: 'device',
    threads: 2,
    isa: 'avx512',
    ms: times,
    wallMs: times,
    gflops: 1,
    gbps: 1,
    bytes: 1e8,
    limit: limitOf(work, { bandwidthGbps: bandwidth, peakGops: 500, peakKind: 'f32', launchMs: 1e-3 }, ms),
    against: null,
    bandwidth: probes(bandwidth, 10),
    clockGops: clock === null ? null : probes(clock, 20),
    method: {
      rounds: ROUNDS,
      batch: BATCH,
      copies: 2,
      quick,
      otherLoad,
      warmUp: { rounds: 3, ms: 100, stable: true },
      before: reading,
      after: reading,
    },
    environment: {
      tilewright: '0.1.0',
      revision: null,
      node: '20.19.0',
      platform: 'linux-x64',
      system: '6.1.0',
      cpu: 'A processor',
      cores: 2,
      memoryBytes: 2 ** 34,
      backend: 'cpu',
      device: 'A processor',
      architecture: 'avx512',
      computeUnits: 2,
      driver: null,
      date: '2026-01-01T00:00:00.000Z',
    },
  };
}
