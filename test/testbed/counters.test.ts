import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { type Baseline, baselineOf, compareBaseline } from '../../ts/testbed/baseline.ts';
import { formatFinding } from '../../ts/testbed/check.ts';
import { type CompiledModule, compile } from '../../ts/testbed/compile.ts';
import { type Counters, dispatch } from '../../ts/testbed/dispatch.ts';
import type { RunResult } from '../../ts/testbed/run.ts';
import { encode } from '../../ts/testbed/spec.ts';
import { checkAndRun, hasClang, KERNELS, kernelFiles } from './support.ts';

/** A kernel of one statement, counted: `i` is the thread's position, `lane` its lane. */
async function count(statement: string, groups = 1): Promise<Counters> {
  const text = `#include_is_done
using namespace metal;
kernel void k(device const float* src [[buffer(0)]], device float* dst [[buffer(1)]], constant uint& n [[buffer(2)]],
              uint i [[thread_position_in_grid]], ushort lane [[thread_index_in_simdgroup]]) { ${statement} }`;
  const source = { path: 'k.metal', dialect: 'msl', text: text.replace('#include_is_done', '# 1 "k.metal"') } as const;
  const module = (await compile(source, 'sanitize')) as CompiledModule;
  const result = await dispatch(module, {
    kernel: 'k',
    grid: [groups, 1, 1],
    group: [64, 1, 1],
    buffers: [
      { index: 0, data: new Uint8Array(65536) },
      { index: 1, data: { bytes: 65536 } },
      { index: 2, data: encode([1], 'uint') },
    ],
    count: true,
  });
  expect(result.findings).toEqual([]);
  return result.counters!;
}

describe.skipIf(!hasClang)('counters', () => {
  it('count bytes, accesses and threads exactly', async () => {
    const c = await count('dst[i] = src[i];', 3);
    expect(c).toMatchObject({ threadgroups: 3, threads: 192, simdgroups: 6, threadgroupBarriers: 0, collectives: 0 });
    expect(c.spaces.device).toEqual({
      ...{ bytesRead: 768, bytesWritten: 768, reads: 192, writes: 192 },
      ...{ simdReads: 6, readLines: 6, readSectors: 24, simdWrites: 6, writeLines: 6, writeSectors: 24 },
    });
    expect(c.buffers[0]).toMatchObject({ distinctBytesRead: 768, distinctBytesWritten: 0, threadgroupSectors: 24 });
  });

  it.each([
    ['src[i]', 1, 4],
    ['src[i * 2]', 2, 8],
    ['src[i * 8]', 8, 32],
    ['src[i * 32]', 32, 32],
    ['src[0]', 1, 1],
    ['src[i / 8]', 1, 1],
    ['src[i + 1]', 2, 5],
    ['((device const float4*)src)[i].x + ((device const float4*)src)[i].w', 4, 16],
  ])('see %s as %i lines and %i sectors per simdgroup load', async (expression, lines, sectors) => {
    const { device } = (await count(`dst[i] = ${expression};`)).spaces;
    const loads = device.simdReads / 2; // of each of the two simdgroups; a vector may be read in parts
    expect([device.readLines / 2 / loads, device.readSectors / 2 / loads]).toEqual([lines, sectors]);
  });

  it('count the constant space apart', async () => {
    const { constant, device } = (await count('dst[i] = n;')).spaces;
    expect(constant).toMatchObject({ reads: 64, bytesRead: 256, simdReads: 2, readSectors: 2 });
    expect(device.reads).toBe(0);
  });

  it.each([
    ['s[i]', 1],
    ['s[i * 2 % 64]', 2],
    ['s[i * 8 % 64]', 2],
    ['s[0]', 1],
    ['s[i ^ 5]', 1],
  ])('give threadgroup memory 32 banks: %s takes %i cycles', async (expression, cycles) => {
    const c = await count(
      `threadgroup float s[64]; s[i] = 1; threadgroup_barrier(mem_flags::mem_threadgroup); dst[i] = ${expression};`,
    );
    expect(c.threadgroupBytes).toBe(256);
    expect(c.threadgroupBarriers).toBe(1);
    expect(c.spaces.threadgroup).toMatchObject({ simdReads: 2, simdWrites: 2, writeBankCycles: 2 });
    expect(c.spaces.threadgroup.readBankCycles / 2).toBe(cycles);
  });

  it('count simdgroup functions, barriers and matrix operations per simdgroup', async () => {
    const c = await count(`simdgroup_float8x8 a, b; simdgroup_load(a, src, 8); b = a;
      simdgroup_multiply_accumulate(b, a, a, b); simdgroup_barrier(mem_flags::mem_none);
      if (i < 32) simdgroup_store(b, dst, 8); dst[64 + i] = simd_sum(src[i]) + simd_max(src[i]);`);
    expect(c).toMatchObject({ matrixLoads: 2, mmas: 2, simdgroupBarriers: 2, matrixStores: 1, collectives: 4 });
  });

  it('name the lines of the kernel that the traffic comes from', async () => {
    const c = await count('dst[i] = src[i * 4];');
    expect(
      c.sites.map(({ file, line, space, write, accesses, lines }) => [file, line, space, write, accesses, lines]),
    ).toEqual([
      [expect.stringMatching(/k\.metal$/), 3, 'device', false, 2, 8],
      [expect.stringMatching(/k\.metal$/), 3, 'device', true, 2, 2],
    ]);
  });

  // After a change that is meant to change traffic: TILEWRIGHT_SAVE_BASELINE=1 npx vitest run test/testbed/counters
  it('are the same in every run, and as the committed baseline says', async () => {
    const file = fileURLToPath(new URL('baselines/valid.json', import.meta.url));
    const results: RunResult[] = [];
    for (const name of kernelFiles('valid')) {
      const { runs } = await checkAndRun(join(KERNELS, 'valid', name));
      results.push(...runs.map((run) => ({ ...run, findings: [], outputs: new Map<string, Uint8Array>() })));
    }
    expect(Object.keys(baselineOf(results)).length).toBe(results.length);
    if (process.env.TILEWRIGHT_SAVE_BASELINE === '1') {
      writeFileSync(file, `${JSON.stringify(baselineOf(results), null, 2)}\n`);
    }
    const baseline = JSON.parse(readFileSync(file, 'utf8')) as Baseline;
    expect(compareBaseline(results, baseline, file).map(formatFinding)).toEqual([]);
  });
});
