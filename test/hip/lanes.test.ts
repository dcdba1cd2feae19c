import { describe, expect, it } from 'vitest';
import { hasClang } from '../testbed/support.ts';
import { hipModule, range, runInts, waveOf } from './emulation.ts';

const swizzle = (and: number, or: number, xor: number) => and | (or << 5) | (xor << 10);
const BODIES = {
  swap16: `  out[lane] = __builtin_amdgcn_ds_swizzle(in[lane], ${swizzle(31, 0, 16)});`,
  xor5: `  out[lane] = __builtin_amdgcn_ds_swizzle(in[lane], ${swizzle(31, 0, 5)});`,
  broadcast: `  out[lane] = __builtin_amdgcn_ds_swizzle(in[lane], ${swizzle(0x18, 3, 0)});`,
  quad: `  out[lane] = __builtin_amdgcn_ds_swizzle(in[lane], ${0x8000 | 0b00_01_10_11});`,
  readlane: '  out[lane] = __builtin_amdgcn_readlane(in[lane], 17);',
  first: '  out[lane] = __builtin_amdgcn_readfirstlane(in[lane]);',
  pull: '  out[lane] = __builtin_amdgcn_ds_bpermute(4 * (63 - lane), in[lane]);',
  push: '  out[lane] = __builtin_amdgcn_ds_permute(4 * (lane / 2), in[lane]);',
  below: `  out[lane] = (int)__builtin_amdgcn_mbcnt_hi(0x0000ffffu, __builtin_amdgcn_mbcnt_lo(0xfffffff0u, 100));`,
  positions:
    '  out[lane] = (int)(__builtin_amdgcn_workitem_id_x() + 100 * __builtin_amdgcn_workgroup_id_x() + __builtin_amdgcn_workitem_id_y());',
};

describe.skipIf(!hasClang)('emulated lane operations', () => {
  it('follow the instruction set at wave 64', async () => {
    const module = await hipModule('gfx906', {
      ...BODIES,
      ballot:
        '  const unsigned long b = __builtin_amdgcn_ballot_w64(in[lane] % 3 == 0); out[2 * lane] = (int)b; out[2 * lane + 1] = (int)(b >> 32);',
    });
    const input = range(64).map((l) => 1000 + l);
    const run = async (name: string, outputs = 64) => {
      const { out, findings } = await runInts(module, name, input, outputs, 64);
      expect(findings).toEqual([]);
      return out;
    };
    const from = (f: (lane: number) => number) => range(64).map((l) => 1000 + f(l));
    expect(await run('swap16')).toEqual(from((l) => l ^ 16));
    expect(await run('xor5')).toEqual(from((l) => l ^ 5));
    expect(await run('broadcast')).toEqual(from((l) => (l & ~7) + 3));
    expect(await run('quad')).toEqual(from((l) => (l & ~3) + (3 - (l & 3))));
    expect(await run('readlane')).toEqual(from(() => 17));
    expect(await run('first')).toEqual(from(() => 0));
    expect(await run('pull')).toEqual(from((l) => 63 - l));
    expect(await run('push')).toEqual(range(64).map((l) => (l < 32 ? 1000 + 2 * l + 1 : 0)));
    expect(await run('below')).toEqual(
      range(64).map((l) => 100 + Math.max(0, Math.min(l, 32) - 4) + Math.max(0, Math.min(l - 32, 16))),
    );
    expect(await run('positions')).toEqual(range(64));
    const bits = range(64).reduce((all, l) => ((1000 + l) % 3 === 0 ? all | (1n << BigInt(l)) : all), 0n);
    const halves = [Number(BigInt.asIntN(32, bits)), Number(BigInt.asIntN(32, bits >> 32n))];
    expect(await run('ballot', 128)).toEqual(range(128).map((i) => halves[i % 2]));
  });

  it('follow the instruction set at wave 32', async () => {
    const module = await hipModule('gfx1100', {
      ...BODIES,
      ballot: '  out[lane] = (int)__builtin_amdgcn_ballot_w32(in[lane] % 3 == 0);',
    });
    const input = range(32).map((l) => 1000 + l);
    const run = async (name: string) => (await runInts(module, name, input, 32, 32)).out;
    expect(await run('swap16')).toEqual(range(32).map((l) => 1000 + (l ^ 16)));
    expect(await run('pull')).toEqual(range(32).map((l) => 1000 + (31 - l)));
    expect(await run('readlane')).toEqual(range(32).map(() => 1017));
    const bits = range(32).reduce((all, l) => ((1000 + l) % 3 === 0 ? all | (1 << l) : all), 0);
    expect(await run('ballot')).toEqual(range(32).map(() => bits));
  });

  it('give zero through the crossbar and a finding through readlane where the lane takes no part', async () => {
    const module = await hipModule('gfx906', BODIES);
    const input = range(40).map((l) => 1000 + l);
    const swapped = await runInts(module, 'swap16', input, 40, 40);
    expect(swapped).toEqual({
      out: range(40).map((l) => ((l ^ 16) < 40 ? 1000 + (l ^ 16) : 0)),
      findings: [],
    });
    const pulled = await runInts(module, 'pull', input, 40, 40);
    expect(pulled).toEqual({ out: range(40).map((l) => (63 - l < 40 ? 1000 + 63 - l : 0)), findings: [] });
    const read = await runInts(
      await hipModule('gfx906', { k: '  out[lane] = __builtin_amdgcn_readlane(in[lane], 50);' }),
      'k',
      input,
      40,
      40,
    );
    expect(read.findings.map(({ rule }) => rule)).toEqual(['inactive-lane']);
  });

  it.each([
    ['swap16', '__builtin_amdgcn_ds_swizzle(x, 0x401f)'],
    ['readlane', '__builtin_amdgcn_readlane(x, 3)'],
    ['pull', '__builtin_amdgcn_ds_bpermute(4 * lane, x)'],
  ])('report %s in divergent code', async (_, call) => {
    const module = await hipModule('gfx1030', {
      k: `  int x = in[lane];\n  if (lane & 1) x = ${call};\n  out[lane] = x;`,
    });
    const { findings } = await runInts(module, 'k', range(32), 32, 32);
    expect(findings.map(({ rule }) => rule)).toContain('divergent-collective');
    expect(waveOf('gfx1030')).toBe(32);
  });
});
