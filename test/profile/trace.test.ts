import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { type ChromeTrace, DeviceTrace, KernelTimer, MatmulDispatcher, openDevice, saveTrace } from '../../ts/index.ts';
import { alignClocks, type Bracket } from '../../ts/profile/align.ts';
import { lanesOf } from '../../ts/profile/lanes.ts';
import { traceProblems } from './check-trace.ts';

const device = await openDevice({ backend: 'cpu', threads: 2 });
const folder = await mkdtemp(join(tmpdir(), 'tilewright-trace-'));
afterAll(async () => {
  await device.dispose();
  await rm(folder, { recursive: true });
});

const ms = (most: number) => fc.double({ min: 0, max: most, noNaN: true });

describe('clocks', () => {
  it('are aligned so that work lies between its submit and its end, nearly where it was', () => {
    const piece = fc.record({ gap: ms(10), latency: ms(1), duration: ms(5), wake: ms(1) });
    fc.assert(
      fc.property(
        fc.array(piece, { minLength: 1, maxLength: 40 }),
        fc.double({ min: -1e9, max: 1e9, noNaN: true }),
        (pieces, offset) => {
          let now = 0;
          const work = pieces.map(({ gap, latency, duration, wake }): Bracket => {
            now += gap;
            const submitted = now;
            const begin = submitted + latency;
            now = begin + duration + wake;
            return { submitted, done: now, begin: begin - offset, end: begin + duration - offset };
          });
          const slack = 1e-6; // of numbers around 1e9
          const least = Math.min(...pieces.map(({ latency }) => latency));
          alignClocks(work).forEach((found, i) => {
            const { submitted, done, begin, end } = work[i]!;
            expect(begin + found).toBeGreaterThanOrEqual(submitted - slack);
            expect(end + found).toBeLessThanOrEqual(done + slack);
            expect(Math.abs(offset - found)).toBeLessThanOrEqual(least + slack);
          });
        },
      ),
    );
  });

  it('are not taken for drifting where ranges miss each other by rounding', () => {
    // The second piece allows the true offset alone, the first up to half a millisecond less.
    const offset = 0.1;
    const piece = (submitted: number, latency: number): Bracket => {
      const at = submitted + latency - offset;
      return { submitted, done: submitted + latency, begin: at, end: at };
    };
    for (let i = 1; i < 1000; i++) {
      const work = [piece(i / 7, 0.5), piece(i / 7 + 0.5 + i / 3000, 0)];
      for (const found of alignClocks(work)) expect(Math.abs(found - offset)).toBeLessThan(1e-9);
    }
  });

  it('of a device that tells when work was handed over leave it in turn', () => {
    // Ten pieces of 5 ms, submitted a millisecond apart, told as if each had begun at once.
    const work = Array.from({ length: 10 }, (_, i): Bracket => {
      return { submitted: i, done: 5.5 + 5 * i, begin: 1000 + i + 0.1, end: 1000 + i + 5.1 };
    });
    const begins = alignClocks(work).map((offset, i) => work[i]!.begin + offset);
    begins.forEach((begin, i) => {
      expect(begin).toBeGreaterThanOrEqual(i === 0 ? 0 : begins[i - 1]! + 5 - 1e-9);
      expect(begin + 5).toBeLessThanOrEqual(work[i]!.done + 1e-9);
    });
  });

  it('that drift apart are aligned piece by piece', () => {
    const work = Array.from({ length: 100 }, (_, i): Bracket => {
      const begin = 10 * i + 0.1;
      return { submitted: 10 * i, done: begin + 1.1, begin: begin * 1.01, end: (begin + 1) * 1.01 };
    });
    alignClocks(work).forEach((offset, i) => {
      expect(work[i]!.begin + offset).toBeGreaterThanOrEqual(work[i]!.submitted - 0.02);
      expect(work[i]!.end + offset).toBeLessThanOrEqual(work[i]!.done + 0.02);
    });
  });
});

describe('lanes', () => {
  it('hold slices that nest or lie apart, and one is enough where all do', () => {
    const slice = fc.tuple(fc.integer({ min: 0, max: 50 }), fc.integer({ min: 0, max: 20 }));
    fc.assert(
      fc.property(fc.array(slice, { maxLength: 60 }), (pairs) => {
        const slices = pairs.map(([begin, length]) => ({ begin, end: begin + length }));
        const lanes = lanesOf(slices);
        const fits = (a: (typeof slices)[number], b: (typeof slices)[number]) =>
          a.end <= b.begin ||
          b.end <= a.begin ||
          (a.begin <= b.begin && b.end <= a.end) ||
          (b.begin <= a.begin && a.end <= b.end);
        slices.forEach((a, i) => {
          slices.slice(0, i).forEach((b, j) => {
            if (lanes[i] === lanes[j]) expect(fits(a, b)).toBe(true);
          });
        });
        if (slices.every((a) => slices.every((b) => fits(a, b)))) expect(Math.max(0, ...lanes)).toBe(0);
      }),
    );
  });
});

const slicesOf = ({ traceEvents }: ChromeTrace, cat: string) =>
  traceEvents.filter((event) => event.ph === 'X' && event.cat === cat);

describe('DeviceTrace', () => {
  it('has encoding, submits, waiting and launches in the order in which they were, and keeps to the format', async () => {
    using dispatcher = new MatmulDispatcher(device);
    const args = { a: device.empty([4, 64]), b: device.empty([64, 32]), out: device.empty([4, 32]) };
    using trace = new DeviceTrace(device);
    using recorded = device.record(dispatcher.encode(args).commands);
    await dispatcher.matmul(args);
    await recorded.submit();
    await Promise.all(Array.from({ length: 8 }, () => dispatcher.matmul(args)));
    await device.submit([{ type: 'host', label: 'a step', run: () => {} }]);
    const failing = { type: 'host', label: 'broken', run: () => Promise.reject(new Error('broken')) } as const;
    await expect(device.submit([failing])).rejects.toThrow('broken');
    const path = join(folder, 'trace.json');
    await trace.save(path);
    const told = JSON.parse(await readFile(path, 'utf8')) as ChromeTrace;
    expect(traceProblems(told)).toEqual([]);
    expect(slicesOf(told, 'submit')).toHaveLength(12);
    expect(told.traceEvents.filter(({ ph }) => ph === 'b')).toHaveLength(12);
    expect(slicesOf(told, 'encode')).toHaveLength(10);
    expect(slicesOf(told, 'host').map(({ name }) => name)).toEqual(['a step']);
    expect(slicesOf(told, 'submit').filter(({ args }) => args!.failed)).toHaveLength(1);

    const kernels = slicesOf(told, 'kernel');
    expect(kernels).toHaveLength(10);
    expect(kernels[0]).toMatchObject({
      name: expect.stringContaining('4x32x64'),
      args: { kernel: expect.any(String), bufferBytes: expect.any(Array), submission: 1 },
    });
    for (const { ts, dur, args } of kernels) {
      const submit = slicesOf(told, 'submit').find((slice) => slice.args!.submission === args!.submission)!;
      const waited = told.traceEvents.find(({ ph, args: own }) => ph === 'b' && own!.submission === args!.submission)!;
      const done = told.traceEvents.find(({ ph, id }) => ph === 'e' && id === waited.id)!;
      expect(ts!).toBeGreaterThanOrEqual(submit.ts! - 0.02);
      expect(ts! + dur!).toBeLessThanOrEqual(done.ts! + 0.02);
    }
    expect(told.traceEvents.filter(({ ph }) => ph === 's')).toHaveLength(10);
  });

  it('nests scopes of timers and its own, and gives those that overlap lanes of their own', async () => {
    using trace = new DeviceTrace(device);
    const timer = new KernelTimer(device);
    {
      using _ = trace.scope('all', { note: 1 });
      using layer = timer.scope('layer');
      layer.scope('q/proj').end();
    }
    const [first, second] = [timer.scope('first'), timer.scope('second')];
    await new Promise((resolve) => setTimeout(resolve, 1));
    first.end();
    await new Promise((resolve) => setTimeout(resolve, 1));
    second.end();
    const told = trace.toJSON();
    expect(traceProblems(told)).toEqual([]);
    const tids = Object.fromEntries(slicesOf(told, 'scope').map(({ name, tid }) => [name, tid]));
    expect(tids).toEqual({ 'q/proj': 0, layer: 0, all: 0, first: expect.any(Number), second: expect.any(Number) });
    expect(tids.first).not.toBe(tids.second);
    expect(slicesOf(told, 'scope').find(({ name }) => name === 'all')!.args).toEqual({ note: 1 });
  });

  it('stops where it is full, counts what it left out, and ends when it is disposed', async () => {
    using dispatcher = new MatmulDispatcher(device);
    const { commands } = dispatcher.encode({ a: device.empty([4, 64]), b: device.empty([64, 32]) });
    const trace = new DeviceTrace(device, { maxEvents: 2 * (commands.length + 1) });
    for (let i = 0; i < 5; i++) await device.submit(commands);
    await trace.settled();
    trace.dispose();
    expect((await device.submit(commands)).timings).toEqual([]);
    expect(slicesOf(trace.toJSON(), 'kernel')).toHaveLength(2 * commands.length);
    expect(trace.dropped).toBe(3 * (commands.length + 1));
    expect(() => new DeviceTrace(device, { maxEvents: 0 })).toThrowError(/maxEvents/);
  });

  it('of several devices has a process for each', async () => {
    await using other = await openDevice({ backend: 'cpu', threads: 1 });
    const traces = [new DeviceTrace(device), new DeviceTrace(other)];
    for (const own of [device, other]) {
      using dispatcher = new MatmulDispatcher(own);
      await dispatcher.matmul({ a: own.empty([4, 64]), b: own.empty([64, 32]) });
    }
    const path = join(folder, 'two.json');
    await saveTrace(path, traces);
    for (const trace of traces) trace.dispose();
    const told = JSON.parse(await readFile(path, 'utf8')) as ChromeTrace;
    expect(traceProblems(told)).toEqual([]);
    expect(new Set(slicesOf(told, 'kernel').map(({ pid }) => pid))).toEqual(new Set([2, 3]));
    await expect(saveTrace(join(folder, 'no/where.json'), traces)).rejects.toMatchObject({ code: 'ERR_FILE' });
  });
});
