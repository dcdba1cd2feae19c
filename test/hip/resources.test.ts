import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Compiled, compileAll } from '../../scripts/hip/compile.ts';
import { resourceRows, tablePath } from '../../scripts/hip/tables.ts';
import { AMD_TARGETS, GATE_TARGETS, isAmd } from '../../scripts/hip/targets.ts';
import { units } from '../../scripts/hip/units.ts';
import { readCodeObject } from '../../ts/hip/code-object.ts';
import { countLoop, kernelNames } from '../../ts/hip/loop-count.ts';
import { occupancy } from '../../ts/hip/occupancy.ts';
import { complaints, formatTable, parseTable, type ResourceRow } from '../../ts/hip/resources.ts';
import { hipMultipliesBF16 } from '../../ts/kernels/hip/gemm.ts';
import { describeWhere } from '../support/where.ts';

/** The compiler and AMD's linker of LLVM 19. */
const hasCompiler = ['clang++-19', 'ld.lld-19'].every((tool) => {
  try {
    execFileSync(tool, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
});
const table = (target: string) => parseTable(readFileSync(tablePath(target), 'utf8'));
const row = (target: string, kernel: string): ResourceRow => {
  const found = table(target).find((entry) => entry.kernel === kernel);
  if (found === undefined) throw new Error(`${target} has no ${kernel}`);
  return found;
};

describeWhere(hasCompiler ? null : 'clang++-19 and ld.lld-19', 'compiled GPU kernels', () => {
  let compiled: readonly Compiled[];
  beforeAll(async () => {
    ({ compiled } = await compileAll(units(), GATE_TARGETS));
  }, 300_000);

  it('take no more than the committed tables say: no spills, no scratch, no more registers or instructions', () => {
    const wrong: string[] = [];
    for (const [target, rows] of resourceRows(compiled)) {
      const committed = new Map(table(target).map((entry) => [entry.kernel, entry]));
      for (const entry of rows) {
        wrong.push(
          ...complaints(entry, committed.get(entry.kernel)).map((what) => `${target} ${entry.kernel}: ${what}`),
        );
        committed.delete(entry.kernel);
      }
      wrong.push(...[...committed.keys()].map((kernel) => `${target} ${kernel}: in the table, but not compiled`));
    }
    expect(wrong, 'if it has to be so: npm run build:hip -- --tables').toEqual([]);
  });

  it('have occupancies like those that the compiler prints', () => {
    for (const { file, target, kernels } of compiled.filter((entry) => /quantize|gemv\.q4_0/.test(entry.file))) {
      if (!isAmd(target)) continue;
      const path = new URL(`../../build/hip/${file.replace(/hsaco$/, 's')}`, import.meta.url);
      const printed = [...readFileSync(path, 'utf8').matchAll(/^; Occupancy: (\d+)$/gm)].map(([, waves]) =>
        Number(waves),
      );
      const own = kernels.map(({ vgpr, sgpr, maxThreads }) => {
        const taken = { vgpr: vgpr!, sgpr: sgpr!, lds: 0, threads: maxThreads! };
        return occupancy(target, taken).waves;
      });
      expect(own.toSorted(), file).toEqual(printed.toSorted());
    }
  });
});

describe('resource tables', () => {
  it('exist for every AMD target and have the same kernels, but for the GEMM that suits it', () => {
    for (const target of AMD_TARGETS) {
      const like = hipMultipliesBF16(target) ? 'gfx1100' : 'gfx906';
      expect(existsSync(tablePath(target)), target).toBe(true);
      expect(table(target).map(({ kernel }) => kernel)).toEqual(table(like).map(({ kernel }) => kernel));
      expect(formatTable(table(target))).toBe(readFileSync(tablePath(target), 'utf8'));
      for (const entry of table(target)) expect(complaints(entry, entry), entry.kernel).toEqual([]);
    }
  });

  it('hold the goals of the loops on gfx906', () => {
    const loops = { q4_k: 9, q5_k: 9, q6_k: 16 };
    for (const [format, valu] of Object.entries(loops)) {
      const one = row('gfx906', `gemv_${format}_c1_r1`);
      const eight = row('gfx906', `gemv_${format}_c8_r1`);
      expect(one.valu).toBeLessThanOrEqual(valu);
      expect(one.rounds).toBe(1);
      expect((eight.valu! - one.valu!) / 7).toBeLessThanOrEqual(3);
      expect(eight.rounds).toBeLessThanOrEqual(2);
    }
  });

  it('count the scalar registers of GPUs whose waves share them', () => {
    const taken = { vgpr: 24, sgpr: 102, lds: 0, threads: 64 };
    expect(occupancy('gfx906', taken)).toEqual({ waves: 7, limit: 'registers' });
    expect(occupancy('gfx90a', taken)).toEqual({ waves: 7, limit: 'registers' });
    expect(occupancy('gfx1100', taken)).toEqual({ waves: 16, limit: 'slots' });
  });

  it('make a complaint of everything that got worse', () => {
    const good = row('gfx906', 'gemv_q4_k_c1_r1');
    expect(complaints({ ...good, vgpr: good.vgpr + 1 }, good)).toEqual([`vgpr ${good.vgpr + 1}, was ${good.vgpr}`]);
    expect(complaints({ ...good, sgpr: good.sgpr + 1 }, good)).toHaveLength(1);
    expect(complaints({ ...good, rounds: 2 }, good)).toHaveLength(1);
    expect(complaints({ ...good, valu: good.valu! + 0.125 }, good)).toHaveLength(1);
    expect(complaints({ ...good, scratch: 4, spills: 1 }, good)).toHaveLength(1);
    expect(complaints({ ...good, lds: 70000 }, good)).toHaveLength(2);
    expect(complaints(good, undefined)).toEqual(['is not in the table']);
    expect(complaints({ ...good, vgpr: good.vgpr - 1 }, good)).toEqual([]);
  });
});

describe('the loop counter', () => {
  const text = (body: string) =>
    `\nk:\n\ts_mov_b32 s0, 0\n.LBB0_1:\n${body}\n\ts_cbranch_scc1 .LBB0_1\n\ts_endpgm\n\t.section x\n`;
  const load = (n: number) => `\tglobal_load_dwordx4 v[0:3], v${n}, s[0:1]`;

  it('counts instructions, dual-issued pairs once, and bytes', () => {
    const body = [load(1), '\tglobal_load_ubyte v9, v1, s[0:1]', '\tv_dot4_i32_i8 v0, v1, v2, v0 ; a comment'];
    body.push('\tv_dual_add_f32 v0, v1, v2 :: v_dual_mul_f32 v3, v4, v5', '\ts_add_u32 s0, s0, s1');
    expect(countLoop(text(body.join('\n')), 'k')).toMatchObject({ valu: 2, dots: 1, loads: 2, laneBytes: 17 });
  });

  it('counts loads that wait for each other, and those that do not', () => {
    const wait = '\ts_waitcnt vmcnt(0)';
    expect(countLoop(text([load(1), load(2), wait].join('\n')), 'k')?.rounds).toBe(1);
    expect(countLoop(text([load(1), wait, load(2), wait].join('\n')), 'k')?.rounds).toBe(2);
    expect(countLoop(text([load(1), load(2), '\ts_waitcnt vmcnt(1)', load(3), wait].join('\n')), 'k')?.rounds).toBe(2);
    expect(countLoop(text([load(1), '\ts_wait_loadcnt 0x0'].join('\n')), 'k')?.rounds).toBe(1);
  });

  it('takes the innermost loop with the dot products', () => {
    const inner = '\ts_nop 0\n.LBB0_2:\n\tv_dot4_i32_i8 v0, v1, v2, v0\n\ts_cbranch_scc0 .LBB0_2\n\tv_mov_b32 v1, v2';
    expect(countLoop(text(inner), 'k')).toMatchObject({ valu: 1, dots: 1 });
    expect(countLoop('\nk:\n\ts_endpgm\n\t.section x\n', 'k')).toBeNull();
    expect(() => countLoop('', 'k')).toThrow(RangeError);
    expect(kernelNames('.amdhsa_kernel a\n  .amdhsa_kernel b\n')).toEqual(['a', 'b']);
  });
});

describe('the code object reader', () => {
  it('refuses what is no code object', () => {
    expect(() => readCodeObject(new Uint8Array(10))).toThrow(RangeError);
    expect(() => readCodeObject(new Uint8Array(100))).toThrow(RangeError);
  });
});
