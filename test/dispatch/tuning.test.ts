import { existsSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, afterEach, beforeEach, expect, it, vi } from 'vitest';
import { matmulCatalogue } from '../../ts/dispatch/catalogues.ts';
import { MatmulDispatcher } from '../../ts/dispatch/dispatcher.ts';
import { layerTuning, originOf, type TuningEntry } from '../../ts/dispatch/tuning.ts';
import {
  changeTuningTable,
  readTuningTable,
  saveTuned,
  TUNING_FORMAT,
  TUNING_VERSION,
  TUNING_WARNING,
  type TuningRecord,
  tuningKey,
  tuningPath,
} from '../../ts/dispatch/tuning-table.ts';
import { BACKEND, testDevice } from '../support/device.ts';

const device = await testDevice();
const folder = mkdtempSync(join(tmpdir(), 'tilewright-tuning-'));
afterAll(() => rmSync(folder, { recursive: true }));

let count = 0;
let path = '';
beforeEach(() => {
  path = join(folder, String(count++), 'tuning.json');
  vi.stubEnv('TILEWRIGHT_TUNING', path);
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

const key = tuningKey(device.capabilities);
const record = (tuning: Readonly<Record<string, number>>, over: Partial<typeof key> = {}): TuningRecord => ({
  key: { ...key, ...over },
  created: '2026-01-02T03:04:05.000Z',
  tuning,
  evidence: [
    {
      case: 'q4_k m=12 n=4096 k=4096 fast',
      entries: Object.keys(tuning),
      defaultMs: 2,
      tunedMs: 1,
      ratio: { median: 0.5, low: 0.4, high: 0.6 },
    },
  ],
});

const a = device.tensor(new Float32Array(64), { shape: [4, 16] });
const b = device.tensor(new Float32Array(16 * 8), { shape: [8, 16] });
const args = { a, b, transposeB: true } as const;
afterAll(() => {
  a.dispose();
  b.dispose();
});

/** Warnings about tables, while `action` runs. */
function warnings(action: () => void): string[] {
  const told: string[] = [];
  const spy = vi.spyOn(process, 'emitWarning').mockImplementation(((message: string, options: { code?: string }) => {
    if (options.code === TUNING_WARNING) told.push(message);
  }) as never);
  action();
  spy.mockRestore();
  return told;
}

it('runs by what was measured for this device, says so, and lets what is given count more', async () => {
  using before = new MatmulDispatcher(device);
  expect(before.select(args).variant).toBe('Gemv');
  expect(String(before.explain(args))).not.toContain('tuned');
  expect(existsSync(path)).toBe(false);

  await saveTuned(path, record({ 'gemvRows.f32': 3 }));
  await saveTuned(path, record({ 'gemvRows.f32': 2 }, { computeUnits: key.computeUnits + 1 }));
  using tuned = new MatmulDispatcher(device);
  expect(tuned.select(args).variant).toBe('GemmTiled');
  expect(tuned.select(args).reason).toContain('gemvRows.f32 = 3, tuned on this machine');
  expect(tuned.explain(args).tuned?.created).toContain('2026');
  expect(String(tuned.explain(args))).toContain('tuned on this machine on 2026-01-02: gemvRows.f32 = 3');

  using given = new MatmulDispatcher(device, { tuning: { gemvRows: 5 } });
  expect(given.select(args).variant).toBe('Gemv');
  expect(given.select(args).reason).toContain('gemvRows = 5)');
  using other = new MatmulDispatcher(device, { tuning: { 'gemvRows.f16': 9 } });
  expect(other.select(args).variant).toBe('GemmTiled');
  using off = new MatmulDispatcher(device, { tuning: 'default' });
  expect(off.select(args).variant).toBe('Gemv');
  expect(off.explain(args).tuned).toBeNull();
  vi.stubEnv('TILEWRIGHT_TUNING', 'off');
  expect(tuningPath()).toBeNull();
  using silent = new MatmulDispatcher(device);
  expect(silent.select(args).variant).toBe('Gemv');
});

it('does not use what was measured for another device, driver or version', async () => {
  for (const over of [{ device: 'x' }, { architecture: 'x' }, { driver: 'x' }, { tilewright: '0.0.0' }]) {
    await saveTuned(path, record({ 'gemvRows.f32': 3 }, over));
  }
  expect(readTuningTable(path)?.records).toHaveLength(4);
  using dispatcher = new MatmulDispatcher(device);
  expect(dispatcher.select(args).variant).toBe('Gemv');
});

it('reads the table anew when it has changed', async () => {
  await saveTuned(path, record({ 'gemvRows.f32': 3 }));
  using first = new MatmulDispatcher(device);
  expect(first.select(args).variant).toBe('GemmTiled');
  await saveTuned(path, record({ 'gemvRows.f32': 4 }));
  utimesSync(path, 1, 1);
  using second = new MatmulDispatcher(device);
  expect(second.select(args).variant).toBe('Gemv');
});

it('warns once of a table that is damaged, foreign, old or out of range, and takes the defaults', async () => {
  const table = (records: unknown, over: object = {}) =>
    JSON.stringify({ format: TUNING_FORMAT, version: TUNING_VERSION, records, ...over });
  const good = record({ 'gemvRows.f32': 3 });
  const cases: readonly [string, RegExp][] = [
    ['{ "format": "tilewright-tun', /damaged/],
    ['[1, 2]', /does not say/],
    [table([good], { version: TUNING_VERSION + 1 }), /has version 2/],
    [table('none'), /no list of records/],
    [table([null]), /record 0 is no object/],
    [table([{ ...good, key: { ...key, backend: 7 } }]), /key without backend/],
    [table([{ ...good, tuning: { gemvRows: '3' } }]), /not made of numbers/],
    [table([{ ...good, evidence: [{}] }]), /evidence/],
    [table([record({ 'gemvRows.f32': 1000 })]), /does not fit this device: .*gemvRows\.f32 must be .* not 1000/],
    [table([record({ nothing: 1 })]), /does not fit this device: .*nothing is not known/],
    [table([record({ 'gemvRows.f32': 3, constructor: 1 })]), /constructor is not known/],
  ];
  await saveTuned(path, good);
  for (const [i, [text, message]] of cases.entries()) {
    writeFileSync(path, text);
    utimesSync(path, 1000 + i, 1000 + i);
    const told = warnings(() => {
      for (let time = 0; time < 2; time++) {
        using dispatcher = new MatmulDispatcher(device);
        expect(dispatcher.select(args).variant).toBe('Gemv');
      }
    });
    expect(told, text).toHaveLength(1);
    expect(told[0]).toMatch(message);
  }
  // What cannot be used does not stop a sweep from writing its own.
  await saveTuned(path, good);
  expect(readTuningTable(path)?.records).toEqual([good]);
});

it('never throws for any file', () => {
  vi.stubEnv('TILEWRIGHT_TUNING', join(folder, 'any.json'));
  let time = 2000;
  fc.assert(
    fc.property(fc.oneof(fc.json(), fc.string(), fc.constant(JSON.stringify(record({ gemvRows: 1 })))), (text) => {
      writeFileSync(join(folder, 'any.json'), text);
      utimesSync(join(folder, 'any.json'), time, time++);
      warnings(() => new MatmulDispatcher(device).dispose());
    }),
    { numRuns: 50 },
  );
});

it('loses nothing when several write at once, and takes over a lock that was left behind', async () => {
  await saveTuned(path, record({}, { device: 'first' }));
  writeFileSync(`${path}.lock`, '');
  utimesSync(`${path}.lock`, 1, 1);
  const devices = Array.from({ length: 12 }, (_, i) => `device ${i}`);
  await Promise.all(devices.map((name) => saveTuned(path, record({}, { device: name }))));
  const names = readTuningTable(path)!.records.map((one) => one.key.device);
  expect(names.sort()).toEqual(['first', ...devices].sort());
  expect(existsSync(`${path}.lock`)).toBe(false);
  await changeTuningTable(path, () => []);
  expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({
    format: TUNING_FORMAT,
    version: TUNING_VERSION,
    records: [],
  });
});

it('waits for whoever holds the lock', async () => {
  await saveTuned(path, record({}, { device: 'first' }));
  writeFileSync(`${path}.lock`, '');
  const saved = saveTuned(path, record({}, { device: 'second' }));
  await new Promise((resolve) => setTimeout(resolve, 60));
  expect(readTuningTable(path)!.records).toHaveLength(1);
  rmSync(`${path}.lock`);
  await saved;
  expect(readTuningTable(path)!.records).toHaveLength(2);
});

it('lets a general entry replace the special ones of the layers below', () => {
  const defaults = { gemvRows: 1, exactGemvRows: 2, quantGemvRows: 3, 'quantGemvRows.q4_k': 4 } as TuningEntry;
  expect(layerTuning(defaults, {}, { quantGemvRows: 5 })).not.toHaveProperty(['quantGemvRows.q4_k']);
  const tuning = layerTuning(defaults, { 'quantGemvRows.q4_k': 6, 'gemvRows.f16': 7 }, { gemvRows: 8 });
  expect(tuning).toEqual({ gemvRows: 8, exactGemvRows: 2, quantGemvRows: 3, 'quantGemvRows.q4_k': 6 });
  expect(originOf(tuning, 'quantGemvRows.q4_k')).toBe('measured');
  expect(originOf(tuning, 'quantGemvRows')).toBe('default');
  expect(originOf(tuning, 'gemvRows')).toBe('given');
});

it('has defaults within the limits', () => {
  const { limits, defaultTuning } = matmulCatalogue(BACKEND);
  for (const [name, value] of Object.entries(defaultTuning(device.capabilities))) {
    expect(value).toBeGreaterThanOrEqual(limits[name]![0]);
    expect(value).toBeLessThanOrEqual(limits[name]![1]);
  }
});
