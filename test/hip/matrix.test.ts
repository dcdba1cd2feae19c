import { describe, expect, it } from 'vitest';
import { hasClang } from '../testbed/support.ts';
import { hipModule, range, runInts, type Target, waveOf } from './emulation.ts';

// Layouts as AMD's matrix instruction calculator prints them: lane and element of A[i][k] (B[k][j] is the same with j for
// i), and row of register r in a lane of D. Rows are written out where the pattern changes.
interface Instruction {
  readonly target: Target;
  readonly builtin: string;
  readonly kind: 'half' | 'bfloat' | 'byte';
  readonly size: 16 | 32;
  readonly depth: number;
  /** Elements of A that a lane holds. */
  readonly held: number;
  readonly place: (i: number, k: number) => readonly (readonly [lane: number, element: number])[];
  readonly row: (lane: number, register: number) => number;
}
const cdna16 = (held: number) => ({
  size: 16 as const,
  depth: 4 * held,
  held,
  place: (i: number, k: number) => [[i + 16 * Math.floor(k / held), k % held]] as const,
  row: (lane: number, r: number) => 4 * (lane >> 4) + r,
});
const cdna32 = (held: number) => ({
  size: 32 as const,
  depth: 2 * held,
  held,
  place: (i: number, k: number) => [[i + 32 * Math.floor(k / held), k % held]] as const,
  row: (lane: number, r: number) => 8 * (r >> 2) + 4 * (lane >> 5) + (r & 3),
});
const rdna3 = {
  size: 16 as const,
  depth: 16,
  held: 16,
  place: (i: number, k: number) => [[i, k], [i + 16, k]] as const, // biome-ignore format: a pair of lanes
  row: (lane: number, r: number) => 2 * r + (lane >> 4),
};
const rdna4 = (turn: number) => ({
  size: 16 as const,
  depth: 16,
  held: 8,
  place: (i: number, k: number) =>
    [[i + 16 * (Math.floor(k / turn) % 2), Math.floor(k / (2 * turn)) * turn + (k % turn)]] as const,
  row: (lane: number, r: number) => 8 * (lane >> 4) + r,
});
const INSTRUCTIONS: readonly Instruction[] = [
  { target: 'gfx908', builtin: 'mfma_f32_16x16x16f16', kind: 'half', ...cdna16(4) },
  { target: 'gfx908', builtin: 'mfma_f32_32x32x8f16', kind: 'half', ...cdna32(4) },
  { target: 'gfx90a', builtin: 'mfma_f32_16x16x16bf16_1k', kind: 'bfloat', ...cdna16(4) },
  { target: 'gfx90a', builtin: 'mfma_f32_32x32x8bf16_1k', kind: 'bfloat', ...cdna32(4) },
  { target: 'gfx90a', builtin: 'mfma_i32_16x16x16i8', kind: 'byte', ...cdna16(4) },
  { target: 'gfx90a', builtin: 'mfma_i32_32x32x8i8', kind: 'byte', ...cdna32(4) },
  { target: 'gfx942', builtin: 'mfma_i32_16x16x32_i8', kind: 'byte', ...cdna16(8) },
  { target: 'gfx942', builtin: 'mfma_i32_32x32x16_i8', kind: 'byte', ...cdna32(8) },
  { target: 'gfx1100', builtin: 'wmma_f32_16x16x16_f16_w32', kind: 'half', ...rdna3 },
  { target: 'gfx1100', builtin: 'wmma_f32_16x16x16_bf16_w32', kind: 'bfloat', ...rdna3 },
  { target: 'gfx1100', builtin: 'wmma_i32_16x16x16_iu8_w32', kind: 'byte', ...rdna3 },
  { target: 'gfx1201', builtin: 'wmma_f32_16x16x16_f16_w32_gfx12', kind: 'half', ...rdna4(4) },
  { target: 'gfx1201', builtin: 'wmma_f32_16x16x16_bf16_w32_gfx12', kind: 'bfloat', ...rdna4(4) },
  { target: 'gfx1201', builtin: 'wmma_i32_16x16x16_iu8_w32_gfx12', kind: 'byte', ...rdna4(8) },
];

/** A kernel that takes each lane's operands as whole elements from `in` and gives D's registers as ints. */
function body(x: Instruction, divergent = false): string {
  const registers = (x.size * x.size) / waveOf(x.target);
  const integer = x.kind === 'byte';
  const element = { half: '_Float16', bfloat: 'short', byte: 'signed char' }[x.kind];
  const convert = {
    half: '(_Float16)v',
    bfloat: '(short)(__builtin_bit_cast(unsigned, (float)v) >> 16)',
    byte: '(signed char)v',
  }[x.kind];
  const words = x.held / 4;
  const operand =
    x.kind !== 'byte'
      ? `${element} __attribute__((ext_vector_type(${x.held})))`
      : x.builtin.startsWith('mfma')
        ? words === 1 ? 'int' : 'long' // biome-ignore format: a row of alternatives
        : `int __attribute__((ext_vector_type(${words})))`;
  const call = x.builtin.startsWith('mfma')
    ? `__builtin_amdgcn_${x.builtin}(a, b, c, 0, 0, 0)`
    : integer
      ? `__builtin_amdgcn_${x.builtin}(true, a, true, b, c, false)`
      : `__builtin_amdgcn_${x.builtin}(a, b, c)`;
  return `  typedef ${operand} operand;
  typedef ${integer ? 'int' : 'float'} sum __attribute__((ext_vector_type(${registers})));
  union side { operand v; ${element} e[${x.held}]; } left, right;
  for (int i = 0; i < ${x.held}; i++) {
    int v = in[${x.held} * lane + i];
    left.e[i] = ${convert};
    v = in[${x.held} * (${waveOf(x.target)} + lane) + i];
    right.e[i] = ${convert};
  }
  const operand a = left.v, b = right.v;
  sum c;
  for (int r = 0; r < ${registers}; r++) c[r] = 1000 * r;
  ${divergent ? 'if (lane < 16) ' : ''}c = ${call};
  for (int r = 0; r < ${registers}; r++) out[${registers} * lane + r] = (int)c[r];`;
}

/** Small integers, exact in every type; no pattern that a permutation would keep. */
const entry = (i: number, k: number, salt: number) => ((i * 37 + k * 101 + salt * 17 + i * k * 5) % 15) - 7;

function operands(x: Instruction): number[] {
  const wave = waveOf(x.target);
  const input = new Array<number>(2 * wave * x.held).fill(0);
  for (let i = 0; i < x.size; i++) {
    for (let k = 0; k < x.depth; k++) {
      for (const [lane, element] of x.place(i, k)) {
        input[x.held * lane + element] = entry(i, k, 0);
        input[x.held * (wave + lane) + element] = entry(i, k, 1);
      }
    }
  }
  return input;
}

const targets = [...new Set(INSTRUCTIONS.map(({ target }) => target))];

describe.skipIf(!hasClang)('emulated matrix instructions', () => {
  it.each(targets)('of %s hold rows, columns and sums in the lanes that AMD documents', async (target) => {
    const own = INSTRUCTIONS.filter((x) => x.target === target);
    const module = await hipModule(target, Object.fromEntries(own.map((x) => [x.builtin, body(x)])));
    const wave = waveOf(target);
    for (const x of own) {
      const registers = (x.size * x.size) / wave;
      const { out, findings } = await runInts(module, x.builtin, operands(x), wave * registers, wave);
      const expected = range(wave * registers).map((n) => {
        const [lane, r] = [Math.floor(n / registers), n % registers];
        const [i, j] = [x.row(lane, r), lane % x.size];
        return range(x.depth).reduce((sum, k) => sum + entry(i, k, 0) * entry(j, k, 1), 1000 * r);
      });
      expect({ builtin: x.builtin, findings, out }).toEqual({ builtin: x.builtin, findings: [], out: expected });
    }
  });

  it('report lanes that differ where RDNA 3 wants them repeated, and matrices in divergent code', async () => {
    const half = INSTRUCTIONS.find(({ builtin }) => builtin === 'wmma_f32_16x16x16_f16_w32')!;
    const module = await hipModule('gfx1100', { k: body(half), divergent: body(half, true) });
    const input = operands(half);
    input[16 * 20 + 3] = 9;
    const { findings } = await runInts(module, 'k', input, 256, 32);
    expect(findings.map(({ rule }) => rule)).toEqual(['matrix-operand']);
    const divergent = await runInts(module, 'divergent', operands(half), 256, 32);
    expect(divergent.findings.map(({ rule }) => rule)).toContain('divergent-collective');
  });
});
