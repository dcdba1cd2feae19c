import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hasClang } from '../testbed/support.ts';
import { hipModule, range, runInts } from './emulation.ts';

const bytes = (x: number, signed: boolean) =>
  range(4).map((i) => (signed ? ((x >> (8 * i)) << 24) >> 24 : (x >>> (8 * i)) & 255));
const dot4 = (a: number, b: number, c: number, aSigned: boolean, bSigned: boolean) => {
  const y = bytes(b, bSigned);
  return bytes(a, aSigned).reduce((sum, v, i) => sum + v * y[i]!, c);
};
const clamped = (x: number) => Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, x));
const words = (count: number) =>
  fc.array(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), { minLength: count, maxLength: count });
const TERNARY = 'in[3 * lane], in[3 * lane + 1], in[3 * lane + 2]';

describe.skipIf(!hasClang)('emulated dot products and bit fields', () => {
  it('multiply signed bytes with gfx906, of either sign with gfx1100, and saturate on demand', async () => {
    const gcn = await hipModule('gfx906', {
      wrap: `  out[lane] = __builtin_amdgcn_sdot4(${TERNARY}, false);`,
      clamp: `  out[lane] = __builtin_amdgcn_sdot4(${TERNARY}, true);`,
      nibbles: `  out[lane] = __builtin_amdgcn_sdot8(${TERNARY}, false);`,
    });
    const rdna = await hipModule('gfx1100', {
      mixed:
        '  out[lane] = __builtin_amdgcn_sudot4(true, in[3 * lane], false, in[3 * lane + 1], in[3 * lane + 2], false);',
    });
    await fc.assert(
      fc.asyncProperty(words(192), async (input) => {
        // The extremes are always there.
        input.splice(0, 6, -2139062144, -2139062144, 2147483647, -2139062144, 2139062143, -2147483648);
        const triple = (l: number) => input.slice(3 * l, 3 * l + 3) as [number, number, number];
        const expected = (f: (a: number, b: number, c: number) => number, n: number) =>
          range(n).map((l) => f(...triple(l)));
        expect((await runInts(gcn, 'wrap', input, 64, 64)).out).toEqual(
          expected((a, b, c) => dot4(a, b, c, true, true) | 0, 64),
        );
        expect((await runInts(gcn, 'clamp', input, 64, 64)).out).toEqual(
          expected((a, b, c) => clamped(dot4(a, b, c, true, true)), 64),
        );
        const nibble = (x: number, i: number) => ((x >> (4 * i)) << 28) >> 28;
        expect((await runInts(gcn, 'nibbles', input, 64, 64)).out).toEqual(
          expected((a, b, c) => range(8).reduce((sum, i) => sum + nibble(a, i) * nibble(b, i), c) | 0, 64),
        );
        expect((await runInts(rdna, 'mixed', input.slice(0, 96), 32, 32)).out).toEqual(
          expected((a, b, c) => dot4(a, b, c, true, false) | 0, 32),
        );
      }),
      { numRuns: 3 },
    );
  });

  it('take bytes and bits apart as V_PERM, V_BFE and V_ALIGN do', async () => {
    const module = await hipModule('gfx906', {
      perm: `  out[lane] = (int)__builtin_amdgcn_perm(0x83828180u, 0x03020100u + (in[0] & 0), (unsigned)in[lane]);`,
      sbfe: '  out[lane] = __builtin_amdgcn_sbfe(in[lane], 4, 4);',
      ubfe: '  out[lane] = (int)__builtin_amdgcn_ubfe(in[lane], 28, 8);',
      bit: '  out[lane] = (int)__builtin_amdgcn_alignbit(0x11223344u, in[lane], 8);',
      byte: '  out[lane] = (int)__builtin_amdgcn_alignbyte(0x11223344u, in[lane], 3);',
    });
    const one = async (name: string, x: number) => (await runInts(module, name, [x], 1, 1)).out[0]! >>> 0;
    expect(await one('perm', 0x07060504)).toBe(0x83828180);
    expect(await one('perm', 0x00010203)).toBe(0x00010203);
    expect(await one('perm', 0x0c0d0904)).toBe(0x00ff0080);
    expect(await one('perm', 0x0a0b0808)).toBe(0xffff0000);
    expect(await one('sbfe', 0x81)).toBe(0xfffffff8);
    expect(await one('ubfe', 0xf0000000 | 0)).toBe(0xf);
    expect(await one('bit', 0xaabbccdd | 0)).toBe(0x44aabbcc);
    expect(await one('byte', 0xaabbccdd | 0)).toBe(0x223344aa);
  });

  it('have the transcendental instructions in base 2, without denormals', async () => {
    const f = (call: string) =>
      `  out[lane] = __builtin_bit_cast(int, __builtin_amdgcn_${call}(__builtin_bit_cast(float, in[lane])));`;
    const module = await hipModule('gfx1100', { exp2: f('exp2f'), log2: f('logf'), rcp: f('rcpf'), rsq: f('rsqf') });
    const bits = (x: number) => new Int32Array(Float32Array.of(x).buffer)[0]!;
    const one = async (name: string, x: number) =>
      new Float32Array(Int32Array.of((await runInts(module, name, [bits(x)], 1, 1)).out[0]!).buffer)[0];
    expect(await one('exp2', 3)).toBe(8);
    expect(await one('exp2', -127)).toBe(0);
    expect(await one('exp2', Number.NEGATIVE_INFINITY)).toBe(0);
    expect(await one('log2', 8)).toBe(3);
    expect(await one('log2', 2 ** -130)).toBe(Number.NEGATIVE_INFINITY);
    expect(await one('rcp', 4)).toBe(0.25);
    expect(await one('rcp', 2 ** -130)).toBe(Number.POSITIVE_INFINITY);
    expect(await one('rsq', 16)).toBe(0.25);
  });

  it('are not declared on a GPU that lacks them', async () => {
    await expect(hipModule('gfx1100', { k: '  out[lane] = __builtin_amdgcn_sdot4(1, 2, 3, false);' })).rejects.toThrow(
      /sdot4/,
    );
    await expect(
      hipModule('gfx906', { k: '  out[lane] = __builtin_amdgcn_sudot4(true, 1, true, 2, 3, false);' }),
    ).rejects.toThrow(/sudot4/);
  });
});
