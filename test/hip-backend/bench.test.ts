import { expect, it } from 'vitest';
import { Limits } from '../../bench/limits/limits.ts';
import { matmulSuite } from '../../bench/suites/matmul.ts';
import { runCases } from '../../bench/suites/run.ts';
import { softmaxSuite } from '../../bench/suites/softmax.ts';
import { NO_RANKER } from '../../bench/sweep/rank.ts';
import { Sweep } from '../../bench/sweep/run.ts';
import { hasClang, openSoft } from './support.ts';

// Times of an emulated device say nothing; that every part of a suite finds its kernels there does.
it.runIf(hasClang)('suites of bench run on HIP: softmax, matmul', async () => {
  await using device = await openSoft({ arch: 'gfx1100' });
  using limits = new Limits(device, undefined, true);
  const session = {
    device,
    limits,
    effort: { timeMs: 1, rounds: 1, quick: true },
    seed: 1,
    signal: new AbortController().signal,
    progress: { update() {} },
    skipped(what: string, why: string) {
      throw new Error(`${what}: ${why}`);
    },
  };
  const softmax = { rows: [4], length: [32], dtypes: ['f32'], layouts: ['rows'], masks: ['none'] } as const;
  const matmul = { formats: ['q8_0'], m: [1], n: [8], k: [64], precision: 'fast', variant: undefined } as const;
  const found = [];
  for await (const result of runCases(session, softmaxSuite, softmax)) found.push(result);
  for await (const result of runCases(session, matmulSuite, matmul)) found.push(result);
  for (const { ms, bandwidth, limit, environment } of found) {
    expect(ms.min).toBeGreaterThan(0);
    expect(bandwidth.min).toBeGreaterThan(0);
    expect(limit!.share).toBeGreaterThan(0);
    expect(environment).toMatchObject({ backend: 'hip', driver: expect.stringMatching(/^hip \d+/) });
  }

  // Nothing runs: what a sweep would measure, with one configuration for all that come to the same launches.
  const shapes = [1, 3].map((m) => ({ format: 'q4_k', precision: 'fast' as const, m, n: 64, k: 1024 }));
  const options = { only: '', exhaustive: false, fresh: false, passes: 1, ranker: NO_RANKER, table: '', save: false };
  using sweep = new Sweep(session, { shapes, ...options });
  const studies = sweep.plan();
  expect(studies.map(({ study }) => study)).toEqual([
    'q4_k fast: quantGemvRows',
    'q4_k.c1: waves and split of hip_gemv',
    'q4_k.c4: waves and split of hip_gemv',
  ]);
  for (const { configurations } of studies.slice(1)) {
    expect(configurations.length).toBeGreaterThan(2);
    expect(configurations.length).toBeLessThan(4 * 5 * 5);
  }
});
