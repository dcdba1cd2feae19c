import { describe, expect, it } from 'vitest';
import type { Capabilities } from '../../ts/device/backend.ts';
import { gemmTile } from '../../ts/dispatch/metal/shapes.ts';
import { defaultTuning } from '../../ts/dispatch/metal/tuning.ts';
import type { MatmulProblem } from '../../ts/dispatch/problem.ts';
import { QuantFormat } from '../../ts/index.ts';
import { GEMM_TILES } from '../../ts/kernels/metal/matmul.ts';

const capabilities = {
  ...{ backend: 'metal', architecture: 'apple8', computeUnits: 10, simdgroupMatrix: true, bfloat: true },
  ...{ maxThreadgroupBytes: 32768, maxThreadgroupThreads: 1024 },
} as unknown as Capabilities;

function tile(change: Partial<Record<keyof MatmulProblem, unknown>>, device: Partial<Capabilities> = {}): string {
  const problem = {
    ...{ m: 1024, n: 1024, k: 1024, batch: [], format: null, gate: null, precision: 'exact' },
    ...{ aDType: 'f32', bDType: 'f32', outDType: 'f32', ...change },
  } as unknown as MatmulProblem;
  const own = { ...capabilities, ...device };
  const { m, n } = GEMM_TILES[gemmTile(problem, own, defaultTuning(own))]!;
  return `${m}x${n}`;
}

describe('the tile of metal_gemm', () => {
  it('is the largest for exact products that leave every core some threadgroups', () => {
    expect(tile({})).toBe('128x64');
    expect(tile({ m: 256, n: 512 })).toBe('64x64');
    expect(tile({ m: 64, n: 64 })).toBe('32x32');
    expect(tile({ m: 64, n: 64, batch: [40] })).toBe('64x64');
    expect(tile({ m: 16 })).toBe('16x64');
    // Plain weights are read once up to 32 rows; blocks are smaller than what 64 rows of f16 would waste.
    expect(tile({ m: 17 })).toBe('32x64');
    expect(tile({ m: 32 })).toBe('32x64');
    const q4 = QuantFormat.get('q4_0');
    expect(tile({ m: 32, format: q4, bDType: null })).toBe('16x64');
    expect(tile({ format: q4, bDType: null })).toBe('128x64');
    expect(tile({ format: q4, bDType: null, precision: 'fast' })).toBe('64x32');
  });

  it('is a smaller one with a gate, or where threadgroup memory is short', () => {
    expect(tile({ gate: 'f32' })).toBe('64x64');
    expect(tile({}, { maxThreadgroupBytes: 8192 })).toBe('64x64');
  });
});
