import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  CHIPS,
  type Chip,
  chipCapabilities,
  chipNamed,
  chipOf,
  configurationLabel,
  configurationOf,
  estimateMatmul,
  estimateRoofline,
  legalConfigurations,
  type MetalConfiguration,
  plainProblem,
  rankMetal,
} from '../../ts/cost/index.ts';
import type { Capabilities } from '../../ts/device/backend.ts';
import { metalMatmul } from '../../ts/dispatch/metal/matmul.ts';
import { matmulParams } from '../../ts/dispatch/params.ts';
import { GEMM_TILES, gemm, gemmThreads, gemv, gemvT } from '../../ts/kernels/metal/matmul.ts';
import { DTYPES } from '../../ts/tensor/dtype.ts';

const WEIGHTS = ['f32', 'f16', 'bf16', 'q4_0', 'q8_0', 'q4_k', 'q6_k'] as const;
const chips = fc.constantFrom(...CHIPS);
const problems = fc
  .record({
    m: fc.constantFrom(1, 2, 3, 8, 9, 16, 33, 128, 512),
    n: fc.constantFrom(1, 31, 64, 1000, 4096, 11008),
    k: fc.constantFrom(256, 1024, 4096),
    weights: fc.constantFrom(...WEIGHTS),
    aDType: fc.constantFrom('f32' as const, 'f16' as const),
    precision: fc.constantFrom('exact' as const, 'fast' as const),
    gate: fc.boolean(),
  })
  .map(plainProblem);

/** A problem with one of its legal configurations. */
const cases = fc.tuple(problems, chips, fc.nat()).map(([problem, chip, at]) => {
  const legal = legalConfigurations(problem, chipCapabilities(chip));
  return { problem, chip, configuration: legal[at % legal.length]! };
});
const msOn = (chip: Chip, problem: Parameters<typeof estimateMatmul>[0], configuration: MetalConfiguration) =>
  estimateMatmul(problem, configuration, chip).ms;

describe('the estimate of a matmul', () => {
  it('is finite, is at least a launch, and names its largest part', () => {
    fc.assert(
      fc.property(cases, ({ problem, chip, configuration }) => {
        const { ms, bound, bytes, operations, occupancy, parts } = estimateMatmul(problem, configuration, chip);
        const moving = Math.max(parts.memoryMs, parts.cacheMs);
        expect(ms).toBeCloseTo(parts.launchMs + Math.max(moving, parts.computeMs), 12);
        const largest = Math.max(parts.launchMs, moving, parts.computeMs);
        expect({ launch: parts.launchMs, memory: moving, compute: parts.computeMs }[bound]).toBe(largest);
        expect(operations).toBe(2 * problem.m * problem.n * problem.k * (problem.gate === null ? 1 : 2));
        // Never below what the chip could do with perfect code.
        expect(ms).toBeGreaterThanOrEqual(bytes / chip.bandwidthGbps / 1e6);
        expect(ms).toBeGreaterThanOrEqual(operations / (2 * 128 * chip.cores * chip.clockGhz) / 1e6);
        expect(occupancy.balance).toBeGreaterThan(0);
        expect(occupancy.balance).toBeLessThanOrEqual(1);
        expect(occupancy.groupsPerCore).toBeGreaterThanOrEqual(1);
      }),
    );
  });

  it('never falls as a problem grows along m, n or k', () => {
    fc.assert(
      fc.property(cases, fc.constantFrom('m', 'n', 'k'), ({ problem, chip, configuration }, side) => {
        const format = problem.format?.name ?? problem.bDType!;
        const { m, n, k, aDType, precision } = problem;
        const gate = problem.gate !== null;
        const larger = plainProblem({
          ...{ m, n, k, aDType, precision, gate },
          weights: format,
          [side]: 2 * problem[side],
        });
        expect(msOn(chip, larger, configuration)).toBeGreaterThanOrEqual(msOn(chip, problem, configuration) * 0.999999);
      }),
      { numRuns: 300 },
    );
  });

  it('never rises with bandwidth, clock or twice the cores', () => {
    fc.assert(
      fc.property(cases, fc.double({ min: 1, max: 4, noNaN: true }), ({ problem, chip, configuration }, factor) => {
        const now = msOn(chip, problem, configuration);
        const better = (change: Partial<Chip>) => msOn({ ...chip, ...change }, problem, configuration);
        expect(better({ bandwidthGbps: chip.bandwidthGbps * factor })).toBeLessThanOrEqual(now);
        expect(better({ clockGhz: chip.clockGhz * factor })).toBeLessThanOrEqual(now);
        expect(better({ cacheBytes: chip.cacheBytes * factor })).toBeLessThanOrEqual(now);
        expect(better({ cores: 2 * chip.cores })).toBeLessThanOrEqual(now * 1.000001);
      }),
    );
  });

  it('takes more bytes to take more time where memory binds', () => {
    const chip = chipNamed('m2-max');
    const best = (weights: string) => rankMetal(plainProblem({ m: 1, n: 11008, k: 4096, weights }), chip)[0]!.estimate;
    const [q4, q8, f16, f32] = ['q4_0', 'q8_0', 'f16', 'f32'].map(best);
    for (const estimate of [q8, f16, f32]) expect(estimate!.bound).toBe('memory');
    expect(q8!.parts.memoryMs / q4!.parts.memoryMs).toBeCloseTo(34 / 18, 1);
    // So many weights a second take more shifts and conversions than the chip has.
    expect(q4!.bound).toBe('compute');
    expect(f32!.parts.memoryMs / f16!.parts.memoryMs).toBeCloseTo(2, 1);
  });
});

describe('the ranking', () => {
  it('offers only what the kernels and the device allow', () => {
    const small = { maxThreadgroupBytes: 8192, maxThreadgroupThreads: 128 };
    const kernels = { metal_gemv: gemv, metal_gemv_t: gemvT, metal_gemm: gemm, metal_gemm_threads: gemmThreads };
    fc.assert(
      fc.property(problems, chips, fc.boolean(), (problem, chip, limited) => {
        const capabilities: Capabilities = { ...chipCapabilities(chip), ...(limited && small) };
        const ranked = rankMetal(problem, capabilities);
        expect(ranked.length).toBeGreaterThan(0);
        const plan = metalMatmul.plan(problem, 'metal_gemv', capabilities, metalMatmul.defaultTuning(capabilities));
        const params = matmulParams(problem);
        for (const { configuration: c } of ranked) {
          const kernel = kernels[c.kernel as keyof typeof kernels];
          const tile_dtype = DTYPES[c.tileBytes === 2 ? 'f16' : 'f32'].id;
          const { rows, columns, split, simdgroups, tile } = c;
          const constants = { ...plan.constants, rows, columns, split, simdgroups, tile, tile_dtype };
          expect(kernel.refuse(params, constants)).toBeNull();
          const { threads, threadgroupBytes } = kernel.geometry(params, constants);
          expect(threads[0]).toBeLessThanOrEqual(capabilities.maxThreadgroupThreads!);
          expect(threadgroupBytes?.[0] ?? 0).toBeLessThanOrEqual(capabilities.maxThreadgroupBytes!);
        }
        expect(new Set(ranked.map(({ configuration: c, label }) => `${c.kernel} ${label}`)).size).toBe(ranked.length);
        const times = ranked.map(({ estimate }) => estimate.ms);
        expect(times).toEqual([...times].sort((x, y) => x - y));
      }),
      { numRuns: 60 },
    );
  });

  it('holds whatever the dispatcher would choose', () => {
    fc.assert(
      fc.property(problems, chips, (problem, chip) => {
        const capabilities = chipCapabilities(chip);
        const tuning = metalMatmul.defaultTuning(capabilities);
        const chosen = metalMatmul.candidates.find(
          ({ refuse, yields }) =>
            refuse(problem, capabilities) === null && yields(problem, tuning, capabilities) === null,
        )!;
        const plan = metalMatmul.plan(problem, chosen.kernel, capabilities, tuning);
        const own = configurationLabel(configurationOf(plan as never));
        const labels = rankMetal(problem, chip).map(({ configuration, label }) => `${configuration.kernel} ${label}`);
        expect(labels).toContain(`${chosen.kernel} ${own}`);
      }),
      { numRuns: 100 },
    );
  });

  it('streams weights for one row and multiplies tiles for many', () => {
    for (const chip of CHIPS) {
      for (const weights of ['q4_0', 'f16']) {
        const first = (m: number) => rankMetal(plainProblem({ m, n: 4096, k: 4096, weights }), chip)[0]!.configuration;
        expect(first(1).kernel).toBe('metal_gemv');
        expect(first(1).columns).toBe(1);
        expect(first(512).kernel).toBe('metal_gemm');
        expect(GEMM_TILES[first(512).tile]!.m).toBeGreaterThanOrEqual(32);
      }
    }
  });
});

describe('the chip of a device', () => {
  const device = (deviceName: string, architecture: string, computeUnits: number) =>
    chipOf({ ...chipCapabilities(CHIPS[0]!), deviceName, architecture, computeUnits });

  it('is found by name and cores, else one of its generation stands in', () => {
    for (const chip of CHIPS) expect(chipOf(chipCapabilities(chip))).toBe(chip);
    expect(device('Apple M2 Max', 'apple8', 34)).toMatchObject({ cores: 34, bandwidthGbps: 400, clockGhz: 1.398 });
    expect(device('Test bed', 'apple8', 20)).toMatchObject({ generation: 2, tier: 'pro', cores: 20 });
    expect(device('Apple M9', 'apple12', 12)).toMatchObject({ generation: 4, cores: 12 });
    expect(device('Paravirtual', 'apple5', 0).cores).toBe(8);
  });

  it('is known by the names that people write', () => {
    expect(chipNamed('M2 Max').cores).toBe(38);
    expect(chipNamed('m2-max-38')).toBe(chipNamed('m2-max'));
    expect(chipNamed('m2-max-30').cores).toBe(30);
    expect(() => chipNamed('m2-maxi')).toThrow(/Known: m1-7, m1,/);
    expect(new Set(CHIPS.map(({ name }) => name)).size).toBe(CHIPS.length);
  });
});

it('estimates other back ends from their own measured limits', () => {
  const limits = { bandwidthGbps: 50, peakGops: 1000, launchMs: 0.01 };
  const problem = plainProblem({ m: 16, n: 4096, k: 4096, weights: 'f32' });
  const gemv = estimateRoofline(problem, limits, { rowsPerPass: 8 });
  const gemm = estimateRoofline(problem, limits);
  expect(gemv.bound).toBe('memory');
  expect(gemv.ms).toBeGreaterThan(1.9 * gemm.ms);
  expect(estimateRoofline(problem, { ...limits, peakGops: 10 }).bound).toBe('compute');
  expect(estimateRoofline(problem, { ...limits, launchMs: 100 }).bound).toBe('launch');
  expect(estimateRoofline(problem, { ...limits, peakGops: null }).ms).toBeCloseTo(0.01 + gemm.bytes / 50e6, 9);
});
