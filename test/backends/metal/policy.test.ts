// What the dispatcher chooses on Metal devices of all kinds: nothing runs.
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import type { MetalOptions } from '../../../ts/backends/metal/metal.ts';
import type { Device } from '../../../ts/device/device.ts';
import { makePlan } from '../../../ts/dispatch/metal/plan.ts';
import { fittingTiles, gemmTile, gemvShape, gemvTShape, threadTile } from '../../../ts/dispatch/metal/shapes.ts';
import { defaultTuning, type MetalTuning } from '../../../ts/dispatch/metal/tuning.ts';
import { describe as describeProblem } from '../../../ts/dispatch/problem.ts';
import { MatmulDispatcher, MatmulVariant, QuantFormat, rowBytes } from '../../../ts/index.ts';
import { GEMM_TILES, THREAD_TILES } from '../../../ts/kernels/metal/matmul.ts';
import { prepareLaunch } from '../../../ts/kernels/metal/prepare.ts';
import { openMetal } from '../../support/device.ts';

const opened: Device[] = [];
afterAll(() => Promise.all(opened.map((device) => device.dispose())));
const open = (software: NonNullable<MetalOptions['software']>) => {
  const device = openMetal({ software });
  opened.push(device);
  return device;
};
const devices = {
  m1: open({ families: ['apple7', 'metal3'], coreCount: 8 }),
  m3: open({ families: ['apple9', 'metal3'], coreCount: 40 }),
  'no simdgroup_matrix': open({ families: ['apple5'], simdgroupMatrix: false, coreCount: 4 }),
  small: open({ families: ['apple7'], maxThreadgroupBytes: 10000, maxThreadgroupThreads: 256, coreCount: 0 }),
  tiny: open({ families: ['apple7'], maxThreadgroupBytes: 4096, maxThreadgroupThreads: 64, coreCount: 1 }),
};

/** A weight of any kind; memory is not filled. */
function weights(device: Device, type: string, n: number, k: number) {
  if (type === 'f32' || type === 'f16' || type === 'bf16') return device.empty([n, k], { dtype: type });
  const format = QuantFormat.get(type);
  return device.quantized(new Uint8Array(n * rowBytes(format, k)), { format: type, shape: [n, k] });
}

const types = ['f32', 'f16', 'bf16', 'q4_0', 'q6_k'] as const;
const sizes = fc.constantFrom(1, 2, 3, 8, 9, 16, 17, 32, 33, 63, 64, 65, 100, 200);
const form = fc.record({
  m: sizes,
  n: sizes,
  k: fc.constantFrom(256, 512, 2048),
  type: fc.constantFrom(...types),
  aType: fc.constantFrom('f32' as const, 'f16' as const, 'bf16' as const),
  precision: fc.constantFrom('exact' as const, 'fast' as const),
  across: fc.boolean(),
  gate: fc.boolean(),
});

describe.each(Object.entries(devices))('on a device of the kind %s', (_, device) => {
  const dispatcher = new MatmulDispatcher(device);
  const argsOf = (c: {
    m: number;
    n: number;
    k: number;
    type: string;
    aType: 'f32' | 'f16' | 'bf16';
    across: boolean;
    gate: boolean;
    precision: 'exact' | 'fast';
  }) => {
    const a = device.empty([c.m, c.k], { dtype: c.aType });
    const across = c.across && (c.type === 'f32' || c.type === 'f16' || c.type === 'bf16');
    const weight = () => {
      if (!across) return weights(device, c.type, c.n, c.k);
      return device.empty([c.k, c.n], { dtype: c.type as 'f32' }).transpose();
    };
    return { a, b: weight(), transposeB: true, precision: c.precision, ...(c.gate && { gate: weight() }) };
  };

  it('only ever launches what the kernels and the device allow', () => {
    fc.assert(
      fc.property(form, fc.constantFrom(undefined, ...Object.values(MatmulVariant)), (c, variant) => {
        const args = argsOf(c);
        const legal = dispatcher.explain({ ...args, ...(variant && { variant }) });
        if (legal.variant === null || legal.kernel === 'host_reference') return;
        const { commands } = dispatcher.encode({ ...args, ...(variant && { variant }) });
        for (const command of commands) {
          if (command.type !== 'kernel') throw new Error('a host step');
          // Throws where the kernel refuses or the device's limits are passed.
          expect(prepareLaunch(command, device.capabilities as never)).not.toBeNull();
        }
      }),
      { numRuns: 300 },
    );
  });

  it('takes larger tiles and never smaller ones as rows are added', () => {
    fc.assert(
      fc.property(form, (c) => {
        const tuning = defaultTuning(device.capabilities) as MetalTuning;
        const tile = (m: number) => {
          const problem = describeProblem(argsOf({ ...c, m }), c.precision);
          if (device.capabilities.simdgroupMatrix !== true)
            return THREAD_TILES[threadTile(problem, device.capabilities)]!.m;
          return GEMM_TILES[gemmTile(problem, device.capabilities, tuning)]!.m;
        };
        const matrix = device.capabilities.simdgroupMatrix === true;
        if (fittingTiles(describeProblem(argsOf(c), c.precision), matrix, device.capabilities).length === 0) return;
        const rows = [1, 2, 8, 9, 16, 17, 32, 33, 64, 65, 128, 257].map(tile);
        expect(rows).toEqual([...rows].sort((x, y) => x - y));
      }),
      { numRuns: 20 },
    );
  });

  it('moves from streaming to tiles once, as rows are added', () => {
    for (const type of ['f16', 'q4_0'] as const) {
      for (const precision of ['exact', 'fast'] as const) {
        const families = Array.from({ length: 80 }, (_, i) => {
          const args = {
            a: device.empty([i + 1, 256]),
            b: weights(device, type, 64, 256),
            transposeB: true,
            precision,
          };
          return dispatcher.select(args).kernel.includes('gemv');
        });
        // Where no tile fits into a threadgroup, weights are streamed for any number of rows.
        const streamed = families.includes(false) ? families.indexOf(false) : families.length;
        expect(streamed).toBeGreaterThan(0);
        expect(families.lastIndexOf(true)).toBe(streamed - 1);
      }
    }
  });

  it('splits k only where outputs are too few for the cores, and never wider than the device', () => {
    const shape = (n: number, k: number) => {
      const problem = describeProblem({ a: device.empty([1, k]), b: weights(device, 'q4_0', n, k) }, 'exact');
      return gemvShape(problem, device.capabilities, defaultTuning(device.capabilities));
    };
    const splits = [8, 64, 512, 4096].map((n) => shape(n, 4096).split);
    expect(splits).toEqual([...splits].sort((x, y) => y - x));
    for (const split of splits) expect(split * 32).toBeLessThanOrEqual(device.capabilities.maxThreadgroupThreads!);
    expect(shape(8, 64).split).toBe(1);
  });
});

it('uses simdgroup_matrix where there is one, else tiles of threads, and says why', () => {
  const kernelOf = (device: Device, m: number) => {
    const { kernel, candidates } = new MatmulDispatcher(device).explain({
      a: device.empty([m, 64]),
      b: device.empty([64, 64]),
    });
    return { kernel, reasons: Object.fromEntries(candidates.map((c) => [c.kernel, c.reason])) };
  };
  expect(kernelOf(devices.m1, 64).kernel).toBe('metal_gemm');
  const without = kernelOf(devices['no simdgroup_matrix'], 64);
  expect(without.kernel).toBe('metal_gemm_threads');
  expect(without.reasons.metal_gemm).toBe('the device has no simdgroup_matrix');
  // Without matrices weights are streamed for as many rows as one pass takes.
  expect(kernelOf(devices['no simdgroup_matrix'], 16).kernel).toBe('metal_gemv_t');
  expect(kernelOf(devices.m1, 17).kernel).toBe('metal_gemm');
  expect(kernelOf(devices.tiny, 64).reasons.metal_gemm_threads).toMatch('no tile fits');
});

it('keeps tiles of f32 unless f16 loses nothing, or is allowed to', () => {
  const device = devices.m1;
  const tileType = (aType: 'f32' | 'f16' | 'bf16', type: string, precision: 'exact' | 'fast') => {
    const problem = describeProblem(
      { a: device.empty([64, 256], { dtype: aType }), b: weights(device, type, 64, 256), transposeB: true },
      precision,
    );
    return makePlan(problem, 'metal_gemm', device.capabilities, defaultTuning(device.capabilities)).constants
      .tile_dtype;
  };
  expect(tileType('f16', 'f16', 'exact')).toBe(1);
  expect(tileType('f32', 'f16', 'exact')).toBe(0);
  expect(tileType('f32', 'q4_0', 'exact')).toBe(0);
  expect(tileType('f32', 'q4_0', 'fast')).toBe(1);
  expect(tileType('bf16', 'f16', 'fast')).toBe(0);
});

it('follows a tile that the tuning names, where the weights have it', () => {
  const device = devices.m3;
  const problem = describeProblem({ a: device.empty([64, 64]), b: device.empty([64, 64]) }, 'exact');
  const tuning = { ...defaultTuning(device.capabilities), tile: 3 };
  expect(gemmTile(problem, device.capabilities, tuning)).toBe(2);
  const quantized = describeProblem({ a: device.empty([64, 64]), b: weights(device, 'q4_0', 64, 64) }, 'exact');
  expect(gemmTile(quantized, device.capabilities, { ...tuning, tile: 7 })).toBeLessThan(3);
});

it('splits the columns of weights that lie along n no finer than a device can hold', () => {
  for (const device of Object.values(devices)) {
    const problem = describeProblem({ a: device.empty([1, 8192]), b: device.empty([8192, 32]) }, 'exact');
    const { simdgroups } = gemvTShape(problem, device.capabilities, defaultTuning(device.capabilities));
    expect(simdgroups * 512).toBeLessThanOrEqual(device.capabilities.maxThreadgroupBytes!);
    expect(simdgroups * 32).toBeLessThanOrEqual(device.capabilities.maxThreadgroupThreads!);
  }
});
