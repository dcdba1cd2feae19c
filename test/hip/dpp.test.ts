import { describe, expect, it } from 'vitest';
import type { CompiledModule } from '../../ts/testbed/compile.ts';
import { hasClang } from '../testbed/support.ts';
import { hipModule, range, runInts, type Target, waveOf } from './emulation.ts';

// Lane l holds 1000 + l; `old` is -1. Expectations are written out per row of 16 as the instruction sets draw them:
// a number is the lane within the row, `o` keeps old, `z` gives zero.
const row = (...lanes: (number | 'o' | 'z')[]) => lanes;
type Expected = readonly (number | 'o' | 'z')[];
const SHR1 = row('o', 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14);
const SHR8 = row('o', 'o', 'o', 'o', 'o', 'o', 'o', 'o', 0, 1, 2, 3, 4, 5, 6, 7);
const SHL4 = row(4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 'o', 'o', 'o', 'o');
const ROR8 = row(8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
const ROR1 = row(15, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14);
const MIRROR = row(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
const HALF = row(7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8);
const SWAP = row(1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
const XMASK4 = row(4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);

interface Case {
  readonly name: string;
  readonly control: number;
  readonly rows?: number;
  readonly banks?: number;
  readonly bound?: boolean;
  /** Of each row, or of the whole wave in absolute lanes. */
  readonly expected?: Expected;
  readonly wave?: (lane: number) => number | 'o' | 'z';
}
const everywhere: readonly Case[] = [
  { name: 'quad_perm_1032', control: 0xb1, expected: SWAP },
  { name: 'quad_perm_0000', control: 0, expected: row(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12) },
  { name: 'row_shr_1', control: 0x111, expected: SHR1 },
  { name: 'row_shr_1_zero', control: 0x111, bound: true, expected: row('z', ...SHR1.slice(1)) },
  { name: 'row_shr_8', control: 0x118, expected: SHR8 },
  { name: 'row_shl_4', control: 0x104, expected: SHL4 },
  { name: 'row_ror_1', control: 0x121, expected: ROR1 },
  { name: 'row_ror_8', control: 0x128, expected: ROR8 },
  { name: 'row_mirror', control: 0x140, expected: MIRROR },
  { name: 'row_half_mirror', control: 0x141, expected: HALF },
  {
    name: 'bank_mask',
    control: 0xb1,
    banks: 0b0101,
    expected: row(1, 0, 3, 2, 'o', 'o', 'o', 'o', 9, 8, 11, 10, 'o', 'o', 'o', 'o'),
  },
  { name: 'row_mask', control: 0xb1, rows: 0b0010, wave: (l) => (l >> 4 === 1 ? l ^ 1 : 'o') },
];
const gfx9: readonly Case[] = [
  { name: 'row_bcast_15', control: 0x142, wave: (l) => (l < 16 ? 'o' : [0, 15, 31, 47][l >> 4]!) },
  { name: 'row_bcast_31', control: 0x143, wave: (l) => (l < 32 ? 'o' : 31) },
  {
    name: 'row_bcast_15_masked',
    control: 0x142,
    rows: 0xa,
    wave: (l) => (l >> 4 === 1 ? 15 : l >> 4 === 3 ? 47 : 'o'),
  },
  { name: 'row_bcast_31_masked', control: 0x143, rows: 0xc, wave: (l) => (l < 32 ? 'o' : 31) },
  { name: 'wave_shr_1', control: 0x138, wave: (l) => (l === 0 ? 'o' : l - 1) },
  { name: 'wave_rol_1', control: 0x134, wave: (l) => (l === 63 ? 0 : l + 1) },
];
const rdna: readonly Case[] = [
  { name: 'row_share_5', control: 0x155, expected: range(16).map(() => 5) },
  { name: 'row_xmask_4', control: 0x164, expected: XMASK4 },
  { name: 'row_xmask_1', control: 0x161, expected: SWAP },
  { name: 'row_xmask_15', control: 0x16f, expected: MIRROR },
];
const casesOf = (target: Target): readonly Case[] => [...everywhere, ...(waveOf(target) === 64 ? gfx9 : rdna)];

const moduleOf = (target: Target): Promise<CompiledModule> =>
  hipModule(target, {
    ...Object.fromEntries(
      casesOf(target).map((c) => [
        c.name,
        `  out[lane] = __builtin_amdgcn_update_dpp(-1, in[lane], ${c.control}, ${c.rows ?? 15}, ${c.banks ?? 15}, ${c.bound === true});`,
      ]),
    ),
    foreign: `  out[lane] = __builtin_amdgcn_update_dpp(-1, in[lane], ${waveOf(target) === 64 ? 0x161 : 0x142}, 15, 15, false);`,
    divergent:
      '  int x = in[lane];\n  if (lane < 20) x = __builtin_amdgcn_update_dpp(-1, x, 0x111, 15, 15, false);\n  out[lane] = x;',
  });

describe.skipIf(!hasClang)('emulated DPP', () => {
  it.each(['gfx906', 'gfx1100'] as const)('moves every lane where the instruction set of %s says', async (target) => {
    const module = await moduleOf(target);
    const wave = waveOf(target);
    for (const c of casesOf(target)) {
      const { out, findings } = await runInts(
        module,
        c.name,
        range(wave).map((l) => 1000 + l),
        wave,
        wave,
      );
      const value = (l: number) => {
        const from = c.wave === undefined ? c.expected![l % 16]! : c.wave(l);
        return from === 'o' ? -1 : from === 'z' ? 0 : 1000 + (c.wave === undefined ? (l & ~15) + from : from);
      };
      expect({ name: c.name, out, findings }).toEqual({ name: c.name, out: range(wave).map(value), findings: [] });
    }
  });

  it('keeps old, or gives zero with bound_ctrl, where the source lane does not exist', async () => {
    const module = await moduleOf('gfx906');
    const input = range(40).map((l) => 1000 + l);
    const mirrored = await runInts(module, 'row_mirror', input, 40, 40);
    expect(mirrored).toEqual({
      out: range(40).map((l) => (l < 32 ? 1000 + (l ^ 15) : -1)),
      findings: [],
    });
  });

  it('reports a control that the GPU lacks, and DPP in divergent code', async () => {
    for (const target of ['gfx906', 'gfx1100'] as const) {
      const module = await moduleOf(target);
      const wave = waveOf(target);
      const foreign = await runInts(module, 'foreign', range(wave), wave, wave);
      expect(foreign.findings.map(({ rule }) => rule)).toEqual(['unknown-instruction']);
      const divergent = await runInts(module, 'divergent', range(wave), wave, wave);
      expect(divergent.findings.map(({ rule }) => rule)).toContain('divergent-collective');
    }
  });
});
