import { describe, expect, it } from 'vitest';
import { hasClang } from '../testbed/support.ts';
import { hipModule, range, runInts } from './emulation.ts';

const exchange = (before: string, after: string) =>
  `  __shared__ int s[128];\n  s[lane] = in[lane];\n  ${before} __builtin_amdgcn_s_barrier(); ${after}\n  out[lane] = s[127 - lane];`;
const RELEASE = '__builtin_amdgcn_fence(__ATOMIC_RELEASE, "workgroup", "local");';
const ACQUIRE = '__builtin_amdgcn_fence(__ATOMIC_ACQUIRE, "workgroup", "local");';
const GLOBAL = '__builtin_amdgcn_fence(__ATOMIC_RELEASE, "workgroup", "global");';
const ALL = '__builtin_amdgcn_fence(__ATOMIC_SEQ_CST, "workgroup");';

describe.skipIf(!hasClang)('emulated fences', () => {
  it.each([
    ['release and acquire of local memory', RELEASE, ACQUIRE, []],
    ['fences of all memory', ALL, ALL, []],
    ['no fence at all', '', '', ['race']],
    ['no release', '', ACQUIRE, ['race']],
    ['no acquire', RELEASE, '', ['race']],
    ['a release of global memory only', GLOBAL, ACQUIRE, ['race']],
    ['fences of the wave only', RELEASE.replace('workgroup', 'wavefront'), ACQUIRE, ['race']],
  ])('around a barrier: %s', async (_, before, after, rules) => {
    const module = await hipModule('gfx906', { k: exchange(before, after) });
    const { out, findings } = await runInts(module, 'k', range(128), 128, 128);
    expect(findings.map(({ rule }) => rule)).toEqual(rules);
    expect(out).toEqual(range(128).reverse());
  });

  it('keep what an earlier barrier ordered', async () => {
    const module = await hipModule('gfx906', {
      k: `${exchange(RELEASE, ACQUIRE)}\n  __builtin_amdgcn_s_barrier();\n  out[128 + lane] = s[127 - lane];`,
    });
    expect((await runInts(module, 'k', range(128), 256, 128)).findings).toEqual([]);
  });
});
