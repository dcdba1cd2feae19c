import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BandwidthProbe } from '../../bench/limits/bandwidth.ts';
import { lastLevelCacheBytes, parseSize } from '../../bench/limits/cache.ts';
import { Limits } from '../../bench/limits/limits.ts';
import { measurePeak } from '../../bench/limits/peak.ts';
import { limitOf } from '../../bench/limits/roofline.ts';
import { copiesFor, WeightCopies, weightBytes } from '../../bench/suites/weights.ts';
import { dequantize, openDevice, QuantizedTensor, type Tensor } from '../../ts/index.ts';

const ceilings = { bandwidthGbps: 50, peakGops: 500, peakKind: 'f32', launchMs: 0.001 } as const;

describe('the roofline', () => {
  it('binds few rows by memory, many by arithmetic and tiny ones by launching', () => {
    const work = (m: number, n: number, k: number) => ({ bytes: 4 * n * k, operations: 2 * m * n * k, launches: 1 });
    expect(limitOf(work(1, 4096, 4096), ceilings, 2)).toMatchObject({ kind: 'memory' });
    expect(limitOf(work(512, 4096, 4096), ceilings, 40)).toMatchObject({ kind: 'compute' });
    expect(limitOf(work(1, 16, 16), ceilings, 0.01)).toMatchObject({ kind: 'launch' });
  });

  it('gives the share as the least possible time by the measured one', () => {
    const limit = limitOf({ bytes: 100e6, operations: 1, launches: 1 }, ceilings, 4);
    expect(limit.minimalMs.memory).toBeCloseTo(2, 12);
    expect(limit.share).toBeCloseTo(0.5, 12);
  });

  it('is reached, and not passed, by the time of the slowest of the three', () => {
    const positive = fc.double({ min: 1e-3, max: 1e9, noNaN: true });
    fc.assert(
      fc.property(positive, positive, fc.integer({ min: 1, max: 9 }), (bytes, operations, launches) => {
        const { minimalMs, kind } = limitOf({ bytes, operations, launches }, ceilings, 1);
        const least = Math.max(minimalMs.memory, minimalMs.compute, minimalMs.launch);
        expect(minimalMs[kind]).toBe(least);
        expect(limitOf({ bytes, operations, launches }, ceilings, least).share).toBe(1);
      }),
    );
  });
});

describe('the caches', () => {
  it('are read as sysfs writes them', () => {
    expect(['32768K\n', '32M', '1G', '512', 'none'].map(parseSize)).toEqual([32 << 20, 32 << 20, 2 ** 30, 512, 0]);
  });
  it('have a size, even where the machine does not tell', () => {
    expect(lastLevelCacheBytes()).toBeGreaterThan(1 << 15);
  });
});

describe('probes', () => {
  it('measure bandwidth of memory that was written', async () => {
    await using device = await openDevice({ backend: 'cpu', threads: 2 });
    using probe = new BandwidthProbe(device, 3 << 20);
    const { timings } = await device.submit([probe.command], { timings: true });
    expect(probe.gbps(timings[0]!.ms)).toBeGreaterThan(0);
    expect(probe.gbps(1)).toBeCloseTo((3 << 20) / 1e6, 9);
    const binding = probe.command.bindings[0]!;
    const bytes = new Uint8Array(probe.bytes);
    binding.buffer.read(bytes);
    for (let page = 0; page < bytes.length; page += 4096) {
      expect(bytes.subarray(page, page + 4096).some((byte) => byte !== 0)).toBe(true);
    }
  });

  it('count what they compute', async () => {
    await using device = await openDevice({ backend: 'cpu', threads: 1 });
    const peak = (await measurePeak(device, 'f32'))!;
    expect(peak.gops).toBe(Math.max(...peak.samples));
    expect(peak.gops).toBeGreaterThan(0.1);
  });

  it('fall back to the f32 peak where there are no integer dot products', async () => {
    await using device = await openDevice({ backend: 'cpu', threads: 1, isa: 'generic' });
    expect(await measurePeak(device, 'int8')).toBeNull();
    using limits = new Limits(device);
    expect((await limits.peak('int8'))?.kind).toBe('f32');
    expect(await limits.launchMs()).toBeGreaterThan(0);
  });

  it('stop when they are told to', async () => {
    await using device = await openDevice({ backend: 'cpu', threads: 1 });
    await expect(measurePeak(device, 'f32', AbortSignal.abort('enough'))).rejects.toBe('enough');
  });
});

describe('copies of weights', () => {
  it('are enough to leave the caches, and never too many for the memory', () => {
    const memory = 64e9;
    expect(copiesFor(1e9, memory)).toBe(2);
    expect(copiesFor(33e6, memory) * 33e6).toBeGreaterThanOrEqual(Math.max(400e6, 10 * lastLevelCacheBytes()));
    expect(copiesFor(1000, memory)).toBe(128);
    expect(copiesFor(1e9, 2e9)).toBe(1);
  });

  it.each(['q4_k', 'q8_0', 'mxfp4', 'f16', 'bf16', 'f32'])(
    'of %s are alike, finite and not all zero',
    async (format) => {
      await using device = await openDevice({ backend: 'cpu', threads: 1 });
      const [n, k] = [5, 512];
      using weights = new WeightCopies(device, { format, n, k, seed: 3, copies: 3 });
      const decoded = await Promise.all(
        weights.copies.map(async (copy) =>
          copy instanceof QuantizedTensor ? dequantize(format, await copy.bytes()) : await (copy as Tensor).read(),
        ),
      );
      for (const values of decoded) {
        expect(values).toEqual(decoded[0]);
        expect(values.length).toBe(n * k);
        expect(values.every(Number.isFinite)).toBe(true);
        const deviation = Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0) / values.length);
        expect(deviation * Math.sqrt(k)).toBeGreaterThan(0.8);
        expect(deviation * Math.sqrt(k)).toBeLessThan(1.2);
      }
    },
  );

  it('know their bytes', () => {
    expect(weightBytes('q4_k', 2, 512)).toBe(2 * 2 * 144);
    expect(weightBytes('bf16', 2, 512)).toBe(2 * 512 * 2);
    expect(() => weightBytes('q4_k', 1, 100)).toThrow(/whole blocks/);
  });
});
