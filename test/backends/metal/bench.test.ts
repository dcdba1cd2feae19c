import { afterAll, expect, it } from 'vitest';
import { Limits } from '../../../bench/limits/limits.ts';
import { dequantSuite } from '../../../bench/suites/dequant.ts';
import { runCases } from '../../../bench/suites/run.ts';
import type { Session } from '../../../bench/suites/session.ts';
import { softmaxSuite } from '../../../bench/suites/softmax.ts';
import type { Suite } from '../../../bench/suites/suite.ts';
import { testDevice } from '../../support/device.ts';

const device = await testDevice();
const limits = new Limits(device, undefined, true);
afterAll(() => limits.dispose());
const session: Session = {
  device,
  limits,
  effort: { timeMs: 1, rounds: 1, quick: true },
  seed: 1,
  signal: new AbortController().signal,
  progress: { update() {} },
  skipped(what, why) {
    throw new Error(`${what}: ${why}`);
  },
};

async function results<Options, Fields>(suite: Suite<Options, Fields>, options: Options) {
  const found = [];
  for await (const result of runCases(session, suite, options)) found.push(result);
  return found;
}

// Times of an emulated device say nothing; that every part of a suite finds its kernels there does.
it('suites of bench run on Metal: softmax and dequant', async () => {
  const softmax = { rows: [4], length: [32], dtypes: ['f32'], layouts: ['rows'], masks: ['none'] } as const;
  const found = [
    ...(await results(softmaxSuite, softmax)),
    ...(await results(dequantSuite, { formats: ['q4_0'], n: [4], k: [64], to: 'f32' })),
  ];
  for (const { ms, bandwidth, clockGops, limit, environment } of found) {
    expect(ms.min).toBeGreaterThan(0);
    expect(bandwidth.min).toBeGreaterThan(0);
    // There is no probe of arithmetic yet: memory or launches bind.
    expect([clockGops, limit!.peakGops]).toEqual([null, null]);
    expect(limit!.kind).not.toBe('compute');
    expect(environment.backend).toBe('metal');
  }
});
