import { afterAll, describe, expect, it } from 'vitest';
import { Limits } from '../../bench/limits/limits.ts';
import { suiteReport } from '../../bench/report/suite.ts';
import { dispatchSuite } from '../../bench/suites/dispatch.ts';
import { EPILOGUE_FORMS, epilogueSuite } from '../../bench/suites/epilogue.ts';
import { launchSuite } from '../../bench/suites/launch.ts';
import { matmulSuite } from '../../bench/suites/matmul.ts';
import { memorySuite } from '../../bench/suites/memory.ts';
import { runCases } from '../../bench/suites/run.ts';
import type { Session } from '../../bench/suites/session.ts';
import { softmaxSuite } from '../../bench/suites/softmax.ts';
import type { Suite, SuiteResult } from '../../bench/suites/suite.ts';
import { testDevice } from '../support/device.ts';

const device = await testDevice({ threads: 2 });
const limits = new Limits(device, undefined, true);
afterAll(() => limits.dispose());

const session: Session = {
  device,
  limits,
  effort: { timeMs: 1, rounds: 2, quick: true },
  seed: 1,
  signal: new AbortController().signal,
  progress: { update() {} },
  skipped(what, why) {
    throw new Error(`${what}: ${why}`);
  },
};

/** Runs a suite; checks what must hold of every result, and that people can read them. */
async function results<Options, Fields>(suite: Suite<Options, Fields>, options: Options, own = session) {
  const found: (SuiteResult & Fields)[] = [];
  for await (const result of runCases(own, suite, options)) found.push(result);
  for (const { ms, limit, against, wallMs, gbps, bytes } of found) {
    expect(ms.min).toBeGreaterThan(0);
    expect(wallMs.min).toBeGreaterThan(0);
    expect(gbps).toBeCloseTo(bytes / ms.p50 / 1e6, 9);
    if (limit !== null) expect(limit.share).toBeCloseTo(limit.minimalMs[limit.kind] / ms.p50, 9);
    if (against !== null) expect(against.ratio.low <= against.ratio.median).toBe(true);
  }
  expect(new Set(found.map((result) => result.case)).size).toBe(found.length);
  const report = suiteReport(suite, found);
  expect(report).not.toMatch(/undefined|NaN|Infinity/);
  return found;
}

describe('every suite, in short,', () => {
  it('softmax: all dtypes, layouts and masks, and counts what is moved', async () => {
    const found = await results(softmaxSuite, {
      rows: [7],
      length: [13],
      dtypes: ['f32', 'f16', 'bf16'],
      layouts: ['rows', 'columns'],
      masks: ['none', 'shared', 'full'],
    });
    expect(found.map((result) => result.bytes).slice(0, 3)).toEqual([2 * 91 * 4, (2 * 91 + 13) * 4, 3 * 91 * 4]);
    expect(found.length).toBe(18);
    expect(found[0]!.limit!.intensity).toBeCloseTo(5 / 8, 9);
  });

  it('epilogue: each fused form against its parts', async () => {
    const options = { forms: EPILOGUE_FORMS, formats: ['q8_0', 'f32'], m: [3], n: [33], k: [64] };
    const found = await results(epilogueSuite, { ...options, precision: 'fast' });
    expect(found.map(({ form }) => form)).toEqual([...EPILOGUE_FORMS, ...EPILOGUE_FORMS]);
    expect(found[0]!.against!.name).toBe('1 matmul + 1 pass');
    expect(found.at(-1)).toMatchObject({
      case: 'swiglu f32 m=3 n=33 k=64 exact',
      against: { name: '2 matmuls + 1 pass' },
    });
  });

  it('launch: alone, in flight, batched and replayed', async () => {
    const found = await results(launchSuite, { batch: [4] });
    expect(found.map(({ how }) => how)).toEqual(['alone', 'in flight', 'batched', 'replayed']);
    expect(found.every(({ clock }) => clock === 'host')).toBe(true);
  });

  it('memory: allocation, reuse, mapped and copied weights, and the peak', async () => {
    const found = await results(memorySuite, { mib: [1] });
    expect(found.map(({ what }) => what)).toEqual([
      'allocate',
      'allocate and write',
      'write',
      'read',
      'result kept',
      'matmul, mapped weights',
      'open, map and multiply',
    ]);
    for (const { peakBytes, size } of found) expect(peakBytes).toBeGreaterThan(size);
  });

  it('dispatch: what choosing costs, which no limit of the device applies to', async () => {
    const options = { steps: ['select', 'select first', 'explain', 'encode'], formats: ['q4_k'], m: [1] } as const;
    const found = await results(dispatchSuite, { ...options, precision: 'fast' });
    expect(found.map(({ step, limit }) => [step, limit])).toEqual(options.steps.map((step) => [step, null]));
  });

  it('matmul with extra work that the result does not tell of', async () => {
    const options = { formats: ['f32'], m: [1], n: [100], k: [64], precision: 'exact', variant: undefined } as const;
    const [plain] = await results(matmulSuite, options);
    const [planted] = await results(matmulSuite, options, { ...session, extraWork: 0.15 });
    expect(planted).toMatchObject({ case: plain!.case, n: 100, bytes: plain!.bytes });
  });
});
