import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { compare, type Verdict } from '../../bench/baseline/compare.ts';
import { baselineProblem, loadBaseline, saveBaseline } from '../../bench/baseline/file.ts';
import { hardwareDifferences, softwareDifferences } from '../../bench/baseline/hardware.ts';
import type { BaselineArgs, SessionArgs } from '../../bench/cli/options.ts';
import { runSuite } from '../../bench/cli/run-suite.ts';
import { matmulSuite } from '../../bench/suites/matmul.ts';
import type { SuiteResult } from '../../bench/suites/suite.ts';
import { type Machine, result } from './made-up.ts';

const RULE = { threshold: 0.1 };
const verdictOf = (now: SuiteResult, then: SuiteResult) => compare(now, then, RULE).verdict;

describe('a comparison with a baseline', () => {
  it.each<[string, Machine, Verdict]>([
    ['the same', {}, 'same'],
    ['15% slower', { ms: 2.3 }, 'slower'],
    ['twice as slow', { ms: 4 }, 'slower'],
    ['15% faster', { ms: 2 / 1.15 }, 'faster'],
    ['5% slower: within the threshold', { ms: 2.1 }, 'same'],
    ['slower as bandwidth is', { ms: 2.14, bandwidth: 50 / 1.07 }, 'same'],
    ['slower although bandwidth is 7% higher', { ms: 2.3 / 1.07, bandwidth: 50 * 1.07 }, 'slower'],
    ['another machine: half the bandwidth', { ms: 4, bandwidth: 25 }, 'inconclusive'],
    ['another machine: twice the bandwidth', { ms: 2, bandwidth: 100 }, 'inconclusive'],
    ['another clock, though memory binds', { clock: 400 }, 'inconclusive'],
    ['others at work', { ms: 4, otherLoad: 0.3 }, 'inconclusive'],
    ['a quick run', { ms: 4, quick: true }, 'inconclusive'],
    ['no clock probe', { ms: 2.3, clock: null }, 'slower'],
    ['samples that scatter too much to tell', { ms: 2.3, spread: 1.5 }, 'inconclusive'],
  ])('%s', (_, machine, verdict) => {
    for (let seed = 1; seed <= 10; seed++)
      expect(verdictOf(result(2 * seed + 1, machine), result(2 * seed))).toBe(verdict);
  });

  it('of what arithmetic binds is corrected by the clock and not by the bandwidth', () => {
    const then = result(1, { bound: 'compute' });
    expect(verdictOf(result(2, { bound: 'compute', ms: 2.3 / 1.07, clock: 500 * 1.07 }), then)).toBe('slower');
    const { correction } = compare(result(2, { bound: 'compute', bandwidth: 50 * 1.07 }), then, RULE);
    expect(correction).toBe(1);
  });

  it('says the same of a run and itself, whatever the threshold', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e6 }), fc.double({ min: 0, max: 1, noNaN: true }), (seed, threshold) => {
        const own = result(seed);
        const { verdict, ratio } = compare(own, own, { threshold });
        expect(verdict).toBe('same');
        expect(ratio.median).toBe(1);
      }),
      { numRuns: 20 },
    );
  });

  it('reports no regression where the interval holds 1, however large the ratio is', () => {
    const noisy = { spread: 0.6, bandwidth: 50 };
    for (let seed = 1; seed <= 40; seed++) {
      const { ratio, verdict } = compare(result(2 * seed + 1, noisy), result(2 * seed, noisy), RULE);
      if (ratio.low <= 1) expect(verdict).not.toBe('slower');
    }
  });
});

const folder = await mkdtemp(join(tmpdir(), 'tilewright-baseline-'));
afterAll(() => rm(folder, { recursive: true, force: true }));
const path = join(folder, 'baseline.json');

describe('a baseline file', () => {
  it('comes back as it was saved', async () => {
    const results = [result(1), result(2, { clock: null })];
    await saveBaseline(path, results);
    expect((await loadBaseline(path)).results).toEqual(results);
  });

  it.each<[string, (content: Record<string, unknown>) => unknown, RegExp]>([
    ['of another kind', () => ({ some: 'json' }), /--save-baseline/],
    ['that is no object', () => null, /--save-baseline/],
    ['of a later version', (content) => ({ ...content, version: 2 }), /version 2/],
    ['without results', (content) => ({ ...content, results: [] }), /\/results must NOT have fewer/],
    [
      'with samples that are no numbers',
      (content) => broken(content, 'ms', { samples: ['1'] }),
      /\/results\/0\/ms\/samples\/0/,
    ],
    ['without samples', (content) => broken(content, 'ms', { samples: [] }), /\/results\/0\/ms\/samples/],
    ['with a median of zero', (content) => broken(content, 'ms', { p50: 0 }), /\/results\/0\/ms\/p50 must be > 0/],
    ['without hardware', (content) => broken(content, 'environment', { cpu: undefined }), /required property 'cpu'/],
  ])('%s is refused with the place', async (_, change, message) => {
    await saveBaseline(path, [result(1)]);
    const content = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
    await writeFile(path, JSON.stringify(change(content)));
    await expect(loadBaseline(path)).rejects.toMatchObject({
      code: 'ERR_FILE',
      message: expect.stringMatching(message),
    });
  });

  it('that is missing or cut short is refused with its name', async () => {
    await expect(loadBaseline(join(folder, 'nothing.json'))).rejects.toMatchObject({ code: 'ERR_FILE' });
    await writeFile(path, '{"format": "tile');
    await expect(loadBaseline(path)).rejects.toThrow(/baseline\.json cannot be read as a baseline/);
    await expect(saveBaseline(join(folder, 'no/where.json'), [result(1)])).rejects.toMatchObject({ code: 'ERR_FILE' });
  });

  it('may tell more than this version knows', () => {
    const content = {
      format: 'tilewright-bench-baseline',
      version: 1,
      created: '',
      results: [{ ...result(1), more: 1 }],
    };
    expect(baselineProblem({ ...content, extra: true })).toBeNull();
  });
});

function broken(content: Record<string, unknown>, field: string, change: Record<string, unknown>) {
  const [first] = content.results as Record<string, Record<string, unknown>>[];
  return { ...content, results: [{ ...first, [field]: { ...first![field], ...change } }] };
}

describe('hardware', () => {
  it('differs by processor and device, software by version and driver', () => {
    const { environment } = result(1);
    const other = { ...environment, cpu: 'Another', node: '24.0.0', driver: '7' };
    expect(hardwareDifferences(other, environment).map(({ field }) => field)).toEqual(['cpu']);
    expect(softwareDifferences(other, environment).map(({ field }) => field)).toEqual(['node', 'driver']);
  });
});

describe('a run that is compared', () => {
  const OPTIONS = { formats: ['f32'], m: [1], n: [32], k: [64], precision: 'exact', variant: undefined } as const;
  const ARGS: SessionArgs & BaselineArgs = {
    backend: ['cpu'],
    threads: 1,
    isa: undefined,
    time: 1,
    rounds: 3,
    quick: true,
    seed: 1,
    json: false,
    threshold: 0.1,
    retries: 0,
    'save-baseline': undefined,
    'compare-baseline': undefined,
    'allow-other-hardware': false,
  };
  const own = join(folder, 'own.json');

  async function run(args: Partial<SessionArgs & BaselineArgs>) {
    let text = '';
    vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
      text += chunk;
      return true;
    });
    try {
      await runSuite(matmulSuite, { ...ARGS, ...args }, OPTIONS);
      return { text, code: process.exitCode };
    } finally {
      vi.restoreAllMocks();
    }
  }
  /** Saves a baseline of this machine, with times that `change` made up. */
  async function saved(change: (found: SuiteResult) => SuiteResult) {
    await run({ 'save-baseline': own });
    const { results } = await loadBaseline(own);
    await saveBaseline(own, results.map(change));
  }
  const made = (found: SuiteResult, times: SuiteResult): SuiteResult => ({ ...times, ...pick(found) });
  const pick = ({ suite, case: name, environment }: SuiteResult) => ({ suite, case: name, environment });
  afterEach(() => {
    process.exitCode = 0;
  });

  it('is inconclusive, with an exit code of its own, if it was quick', async () => {
    await saved((found) => found);
    const { text, code } = await run({ 'compare-baseline': own });
    expect(code).toBe(3);
    expect(text).toMatch(/f32 m=1 .*inconclusive +a quick run/);
  });

  it('is refused on other hardware, and takes place if that is allowed', async () => {
    await saved((found) => ({ ...found, environment: { ...found.environment, cpu: 'Another' } }));
    await expect(run({ 'compare-baseline': own })).rejects.toMatchObject({
      code: 'ERR_USAGE',
      message: expect.stringMatching(/other hardware \(cpu Another → /),
    });
    expect((await run({ 'compare-baseline': own, 'allow-other-hardware': true })).code).toBe(3);
  });

  it('tells of cases that the baseline does not have', async () => {
    await saved((found) => ({ ...found, case: 'something else' }));
    const { text, code } = await run({ 'compare-baseline': own });
    expect(code).toBe(0);
    expect(text).toMatch(/1 of the results are not in the baseline/);
  });

  it('has the comparison in its JSON', async () => {
    await saved((found) => made(found, result(1)));
    const { text } = await run({ 'compare-baseline': own, json: true });
    expect(JSON.parse(text)).toMatchObject([
      { comparison: { verdict: 'inconclusive', ratio: { median: expect.any(Number) } } },
    ]);
  });
});
