import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, afterEach, beforeEach, expect, it, vi } from 'vitest';
import { main } from '../../bench/cli/main.ts';
import { Limits } from '../../bench/limits/limits.ts';
import { NO_RANKER, rankedOrder, rankerOf } from '../../bench/sweep/rank.ts';
import { planReport } from '../../bench/sweep/report.ts';
import { Sweep, type SweepOptions } from '../../bench/sweep/run.ts';
import { bestOf, crossOverOf, scoreOf, survivors } from '../../bench/sweep/search.ts';
import type { SweepShape } from '../../bench/sweep/shape.ts';
import { combinations, studiesOf } from '../../bench/sweep/space.ts';
import { SweepState } from '../../bench/sweep/state.ts';
import { openDevice } from '../../ts/backends/open.ts';
import type { Device } from '../../ts/device/device.ts';
import { launchSizes } from '../../ts/dispatch/cpu/tuning.ts';
import { MatmulDispatcher } from '../../ts/dispatch/dispatcher.ts';
import { readTuningTable, tuningKey } from '../../ts/dispatch/tuning-table.ts';
import { openMetal } from '../support/device.ts';
import { runNode } from './spawn.ts';

const folder = mkdtempSync(join(tmpdir(), 'tilewright-sweep-'));
const device = await openDevice({ backend: 'cpu', threads: 2 });
const metal = openMetal({ software: { families: ['apple8', 'metal3'], coreCount: 10 } });
afterAll(async () => {
  await device.dispose();
  await metal.dispose();
  rmSync(folder, { recursive: true });
});

let count = 0;
let table = '';
beforeEach(() => {
  table = join(folder, String(count++), 'tuning.json');
  vi.stubEnv('TILEWRIGHT_TUNING', table);
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  process.exitCode = 0;
});

const SHAPES: readonly SweepShape[] = [
  { format: 'q8_0', precision: 'fast', m: 1, n: 48, k: 64 },
  { format: 'q8_0', precision: 'fast', m: 5, n: 48, k: 64 },
  { format: 'f32', precision: 'exact', m: 20, n: 40, k: 64 },
];

function sweepOn(on: Device, shapes: readonly SweepShape[], options: Partial<SweepOptions> = {}) {
  const limits = new Limits(on, undefined, true);
  const session = {
    ...{ device: on, limits, effort: { timeMs: 1, rounds: 1, quick: true }, seed: 1 },
    ...{ signal: new AbortController().signal, progress: { update() {} } },
    skipped(what: string, why: string) {
      throw new Error(`${what}: ${why}`);
    },
  };
  const sweep = new Sweep(session, {
    ...{ shapes, only: '', exhaustive: false, fresh: false, passes: 3, ranker: NO_RANKER, table, save: true },
    ...options,
  });
  return {
    sweep,
    [Symbol.dispose]() {
      sweep[Symbol.dispose]();
      limits.dispose();
    },
  };
}

it('measures studies on the CPU, checks what it chose, and writes a table that dispatchers read', async () => {
  using run = sweepOn(device, SHAPES);
  const result = await run.sweep.run();
  const names = result.studies.map(({ study }) => study);
  expect(names.slice(0, 2)).toEqual(['q8_0 fast: quantGemvRows', 'f32: gemvRows']);
  expect(names).toContain('q8_0 fast: threads');
  expect(result.measurements.every(({ ms, rounds }) => ms > 0 && rounds > 0)).toBe(true);
  expect(result.evidence.every(({ ratio }) => ratio.low <= 1)).toBe(true);
  const record = readTuningTable(table)!.records[0]!;
  expect(record).toEqual(result.record);
  expect(record.key).toEqual(tuningKey(device.capabilities));
  expect(readdirSync(join(table, '..'))).toEqual(['tuning.json']);
  using dispatcher = new MatmulDispatcher(device);
  expect(dispatcher.tuning).toMatchObject(result.tuning);

  // A sweep of other shapes leaves alone what this one found.
  using other = sweepOn(device, [{ format: 'f16', precision: 'exact', m: 3, n: 32, k: 32 }]);
  const after = await other.sweep.run();
  expect(after.record.tuning).toEqual({ ...result.tuning, ...after.tuning });
});

it('goes on where it was killed, and measures nothing again', async () => {
  const script = `
    Promise.all(['ts/backends/open.ts', 'bench/limits/limits.ts', 'bench/sweep/run.ts', 'bench/sweep/rank.ts']
      .map((file) => import('./' + file))).then(async ([{ openDevice }, { Limits }, { Sweep }, { NO_RANKER }]) => {
      const device = await openDevice({ backend: 'cpu', threads: 2 });
      let units = 0;
      const session = { device, limits: new Limits(device, undefined, true), seed: 1, skipped() {},
        effort: { timeMs: 1, rounds: 1, quick: true }, signal: new AbortController().signal, progress: { update() {} } };
      const sweep = new Sweep(session, { shapes: ${JSON.stringify(SHAPES)}, only: '', exhaustive: false, fresh: false, passes: 3,
        ranker: NO_RANKER, table: process.env.TILEWRIGHT_TUNING, save: true,
        onUnit: () => { if (++units === 3) process.kill(process.pid, 'SIGKILL'); } });
      await sweep.run();
    });`;
  await runNode(['--eval', script], { TILEWRIGHT_TUNING: table });
  expect(existsSync(table)).toBe(false);
  const [state] = readdirSync(join(table, '..'));
  const path = join(table, '..', state!);
  const units = (text: string) =>
    text
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => (JSON.parse(line) as { unit: string }).unit);
  const before = units(readFileSync(path, 'utf8'));
  expect(before).toHaveLength(3);
  // What a process was writing when it was killed.
  writeFileSync(path, `${readFileSync(path, 'utf8')}{"unit": "half`);

  const measured: string[] = [];
  using run = sweepOn(device, SHAPES, { onUnit: (unit) => measured.push(unit) });
  const result = await run.sweep.run();
  expect(result.resumedUnits).toBe(3);
  expect(measured.length).toBeGreaterThan(0);
  expect(measured.filter((unit) => before.includes(unit))).toEqual([]);
  expect(existsSync(path)).toBe(false);
  expect(readTuningTable(table)!.records).toHaveLength(1);
});

it('keeps measurements of the same device and sources only, unless it is told to forget them', () => {
  const path = join(table, '..', 'state.jsonl');
  const header = { key: tuningKey(device.capabilities), revision: 'abc', quick: false };
  const first = new SweepState(path, header, false);
  first.add('one', { x: [1, 2] });
  first.add('two', { y: [3] });
  const again = new SweepState(path, header, false);
  expect(again.resumed).toBe(2);
  expect(again.get('one')).toEqual({ x: [1, 2] });
  expect(new SweepState(path, { ...header, revision: 'def' }, false).resumed).toBe(0);
  writeFileSync(path, readFileSync(path, 'utf8').replace('two', 'tw'));
  expect(new SweepState(path, header, false).get('two')).toBeUndefined();
  expect(new SweepState(path, header, true).resumed).toBe(0);
  expect(existsSync(path)).toBe(false);
});

it('lists what it would measure on a GPU, by the model, with what is not legal and why', () => {
  const shapes: SweepShape[] = ['q4_k', 'f16'].flatMap((format) =>
    [1, 4, 64].map((m) => ({ format, precision: 'fast' as const, m, n: 512, k: 512 })),
  );
  const ranker = rankerOf(metal.capabilities);
  using run = sweepOn(metal, shapes, { ranker });
  const studies = run.sweep.plan();
  const tiles = studies.find(({ study }) => study === 'tile of metal_gemm')!;
  expect(tiles.configurations[0]!.configuration).toEqual({});
  const estimates = tiles.configurations.slice(1).map(({ estimateMs }) => estimateMs!);
  expect(estimates).toEqual([...estimates].sort((x, y) => x - y));
  expect(tiles.refused.map(({ reason }) => reason).join()).toContain(
    'tile 32x32x16, 2 by 2 simdgroups has no instance',
  );
  expect(planReport('x', studies)).toContain('nothing was measured');
  using all = sweepOn(metal, shapes, { ranker, exhaustive: true });
  const more = all.sweep.plan().find(({ study }) => study === tiles.study)!;
  expect(more.pruned).toEqual([]);
  expect(more.configurations.length).toBe(tiles.configurations.length + tiles.pruned.length);
  expect(existsSync(table)).toBe(false);
});

it('has studies of waves and splits for HIP, by format and columns, and of GEMMs by format', () => {
  const capabilities = { ...device.capabilities, backend: 'hip' as const };
  const limits = { 'quantGemvRows.q4_k': [1, 64] as const };
  const shapes = [1, 3, 4].map((m): SweepShape => ({ format: 'q4_k', precision: 'fast', m, n: 512, k: 512 }));
  const names = studiesOf(capabilities, limits, shapes).map(({ name, shapes: of }) => [name, of.length]);
  expect(names).toEqual([
    ['q4_k fast: quantGemvRows', 2],
    ['q4_k.c1: waves and split of hip_gemv', 1],
    ['q4_k.c4: waves and split of hip_gemv', 2],
    ['q4_k: split of hip_gemm', 3],
  ]);
});

it('chooses one cross-over, the best of all, as near to the default as the measurements allow', () => {
  const limits = [1, 16] as const;
  const point = (m: number, advantage: number) => ({ m, advantage });
  // Streaming wins up to 8 rows and loses at 12: between them nothing is known.
  const points = [point(4, -0.5), point(8, -0.2), point(12, 0.3), point(16, 0.4)];
  expect(crossOverOf(points, 16, limits)).toBe(11);
  expect(crossOverOf(points, 9, limits)).toBeNull();
  expect(crossOverOf(points, 2, limits)).toBe(8);
  expect(crossOverOf([point(4, 0.5), point(8, 0.5)], 16, limits)).toBe(3);
  expect(crossOverOf([point(16, -0.001)], 4, limits)).toBeNull();
  const some = fc.array(fc.tuple(fc.integer({ min: 2, max: 16 }), fc.double({ min: -1, max: 1, noNaN: true })), {
    minLength: 1,
  });
  fc.assert(
    fc.property(some, fc.integer({ min: 1, max: 16 }), (list, standard) => {
      const all = list.map(([m, advantage]) => point(m, advantage));
      const limit = crossOverOf(all, standard, limits);
      const cost = (upTo: number) => all.reduce((sum, { m, advantage }) => sum + (m <= upTo ? advantage : 0), 0);
      if (limit === null) return;
      expect(limit).toBeGreaterThanOrEqual(1);
      expect(limit).toBeLessThanOrEqual(16);
      for (let other = 1; other <= 16; other++) expect(cost(limit)).toBeLessThanOrEqual(cost(other) + 1e-12);
      expect(cost(limit)).toBeLessThan(cost(standard));
    }),
  );
});

it('drops losers early, and keeps the default in the race', () => {
  const scores = new Map([0, 0.5, -0.3, 0.1, -0.1, 0.9, 0.8].map((score, i) => [i, score]));
  expect(survivors([0, 1, 2, 3, 4, 5, 6], scores)).toEqual([0, 2, 4]);
  expect(survivors([0, 2, 4], scores)).toEqual([0, 2]);
  expect(bestOf([0, 2, 4], scores)).toBe(2);
  expect(bestOf([0, 1], scores)).toBe(0);
  expect(
    bestOf(
      [0, 1],
      new Map([
        [0, 0],
        [1, -0.01],
      ]),
    ),
  ).toBe(0);
  // Rounds are compared pass by pass: a machine that becomes slower meanwhile does not count.
  expect(scoreOf([[2, 20, 200]], [[1, 10, 100]])).toBeCloseTo(Math.log(2));
  expect(rankedOrder([3, 1, null, 2, 0.9], false)).toEqual([0, 4, 1, 2]);
  expect(rankedOrder([3, 1, null, 2, 0.9], true)).toEqual([0, 4, 1, 3, 2]);
  expect(combinations({ a: [1, 2], b: [3] })).toEqual([{}, { a: 1, b: 3 }, { a: 2, b: 3 }]);
});

it('gives a launch no fewer threads when it has more to do', () => {
  const size = fc.integer({ min: 1, max: 3000 });
  const capabilities = { ...device.capabilities, computeUnits: 12 };
  const tuning = fc.record({ threads: fc.integer({ min: 0, max: 20 }), threadWork: fc.integer({ min: 0, max: 4096 }) });
  fc.assert(
    fc.property(size, size, size, size, tuning, (m, n, k, more, entries) => {
      const threadsOf = (rows: number) => {
        const problem = { m: rows, n, k, batch: [], gate: null, format: null, bDType: 'f32' };
        return launchSizes(problem as never, 'gemm', capabilities, entries as never).threads || 12;
      };
      expect(threadsOf(m + more)).toBeGreaterThanOrEqual(threadsOf(m));
      expect(threadsOf(m)).toBeLessThanOrEqual(12);
    }),
  );
});

it('is a command, with another that shows and forgets what it found', async () => {
  let out = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
    out += String(chunk);
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation(() => true);
  const said = async (program: 'bench' | 'tilewright', ...words: string[]) => {
    out = '';
    process.exitCode = 0;
    await main(program, words);
    return out;
  };
  const shape = ['--format', 'q8_0', '--m', '4', '--n', '32', '--k', '64', '--backend', 'cpu', '--threads', '1'];
  const [result] = JSON.parse(await said('bench', 'sweep', ...shape, '--quick', '--json')) as [{ saved: boolean }];
  expect(result.saved).toBe(false);
  expect(await said('bench', 'sweep', ...shape, '--dry-run')).toContain('quantGemvRows.q8_0=16');
  expect(await said('tilewright', 'tune', '--path')).toBe(`${table}\n`);
  expect(await said('tilewright', 'tune')).toContain('nothing was tuned');
  using run = sweepOn(device, SHAPES.slice(0, 2));
  await run.sweep.run();
  expect(await said('tilewright', 'tune', '--show')).toMatch(/2 threads or units\)\nmeasured 20/);
  expect(await said('tilewright', 'tune', '--show', '--backend', 'hip')).toContain('nothing was tuned');
  expect(await said('tilewright', 'tune', '--reset', '--backend', 'hip')).toContain('Forgot 0 devices');
  expect(await said('tilewright', 'tune', '--reset')).toContain('Forgot 1 device:');
  expect(readTuningTable(table)!.records).toEqual([]);
  await said('tilewright', 'tune', '--reset', '--path');
  expect(process.exitCode).toBe(2);
  vi.stubEnv('TILEWRIGHT_TUNING', 'off');
  await said('bench', 'sweep', ...shape);
  expect(process.exitCode).toBe(2);
});
