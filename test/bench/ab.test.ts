import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type AbResult, judge, runAb } from '../../bench/ab/run.ts';
import { parseSide, type SideSpec } from '../../bench/ab/side.ts';
import { interleave } from '../../bench/suites/interleave.ts';
import type { Sampler } from '../../bench/suites/measure.ts';
import { runCli } from './spawn.ts';

const quiet = { signal: new AbortController().signal, progress: { update() {} } };
const effort = { timeMs: 1, rounds: 3, quick: true };
const TINY = ['--format', 'q8_0', '--m', '2,3', '--n', '32', '--k', '64', '--threads', '1', '--quick'];

async function ab(a: SideSpec, b: SideSpec, argv: readonly string[] = TINY) {
  const found: AbResult[] = [];
  for await (const result of runAb([a, b], { suite: 'matmul', argv, effort, threshold: 0.1, ...quiet }))
    found.push(result);
  return found;
}

describe('the sides of an A/B run', () => {
  it('are options, a kernel family, a folder, or nothing', () => {
    expect(parseSide('isa=avx2 threads=1').argv).toEqual(['--isa', 'avx2', '--threads', '1']);
    expect(parseSide('QuantGemm')).toMatchObject({ argv: ['--variant', 'QuantGemm'], folder: null });
    expect(parseSide('. isa=avx2')).toMatchObject({ argv: ['--isa', 'avx2'], folder: process.cwd() });
    expect(parseSide('')).toEqual({ label: 'default', argv: [], folder: null });
    expect(() => parseSide('/nowhere/at/all')).toThrow(/not an option=value/);
  });

  it('are measured in turns, case by case', async () => {
    const found = await ab(parseSide('QuantGemvBatch'), parseSide('QuantGemm'));
    expect(found.map(({ a, b }) => [a.case, b.case])).toEqual([
      ['q8_0 m=2 n=32 k=64 fast', 'q8_0 m=2 n=32 k=64 fast'],
      ['q8_0 m=3 n=32 k=64 fast', 'q8_0 m=3 n=32 k=64 fast'],
    ]);
    for (const { a, b, passes, ratio } of found) {
      expect(passes).toBe(3);
      expect(a.ms.samples.length).toBe(3 * a.ms.batch);
      expect(b.environment.computeUnits).toBe(1);
      expect(ratio.low <= ratio.median && ratio.median <= ratio.high).toBe(true);
    }
  });

  it.each<[string, SideSpec, RegExp]>([
    ['an option that does not exist', parseSide('speed=high'), /Side "speed=high": Unknown argument: speed/],
    ['a family that does not take the problem', parseSide('QuantGemv'), /Side "QuantGemv": q8_0 m=2/],
  ])('fail with a sentence for %s', async (_, side, message) => {
    await expect(ab(parseSide(''), side)).rejects.toThrow(message);
  });

  it('need a build in their folder', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tilewright-ab-'));
    await writeFile(join(folder, 'package.json'), '{}');
    await expect(ab(parseSide(folder), parseSide(''))).rejects.toThrow(/build it there/);
    await rm(folder, { recursive: true });
  });

  it('can be given to the command, which prints a table', async () => {
    const argv = ['ab', 'isa=generic', '', 'matmul', ...TINY, '--rounds', '2', '--threshold', '100000%'];
    const { code, stdout, stderr } = await runCli('bench', ...argv);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^q8_0 m=2 n=32 k=64 fast .* 2 .*same$/m);
    expect(stdout).toMatch(/^A: isa=generic: tilewright .*, cpu, generic, 1 /m);
  });
});

describe('turns', () => {
  it('are one round of each per pass, in an order that turns round', async () => {
    const order: string[] = [];
    const sampler = (name: string): Sampler => ({
      batch: 1,
      copies: 1,
      warmUp: async () => ({ rounds: 0, ms: 0, stable: true }),
      probe: async () => ({ bandwidth: 1, clock: null }),
      async round() {
        order.push(name);
        return { samples: [1], wall: [], bandwidth: 1, clock: null };
      },
    });
    await interleave([sampler('a'), sampler('b')], { effort, ...quiet }, 'x');
    expect(order.join('')).toBe('abbaab');
  });

  it('make B slower or faster only beyond the threshold, and with an interval without 1', () => {
    expect(judge({ median: 1.15, low: 1.12, high: 1.2 }, 0.1)).toBe('slower');
    expect(judge({ median: 1.15, low: 0.98, high: 1.3 }, 0.1)).toBe('same');
    expect(judge({ median: 1.05, low: 1.04, high: 1.06 }, 0.1)).toBe('same');
    expect(judge({ median: 0.8, low: 0.7, high: 0.9 }, 0.1)).toBe('faster');
    expect(judge({ median: 0.95, low: 0.94, high: 0.96 }, 0.1)).toBe('same');
  });
});
