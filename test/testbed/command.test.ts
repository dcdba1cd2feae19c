import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import yargs from 'yargs';
import { type CheckReport, checkCommand, runCheckCommand } from '../../ts/testbed/command.ts';
import { hasClang, KERNELS } from './support.ts';

const directory = mkdtempSync(join(tmpdir(), 'tilewright-command-'));
afterAll(() => rmSync(directory, { recursive: true }));

async function command(args: Partial<Parameters<typeof runCheckCommand>[0]> & { file: string }) {
  let out = '';
  let errors = '';
  const code = await runCheckCommand(
    { json: false, ...args },
    { write: (text) => (out += text) },
    { write: (text) => (errors += text) },
  );
  return { code, out, errors };
}

const SPEC = {
  runs: [
    {
      kernel: 'in_place',
      grid: { threads: 100 },
      group: 32,
      buffers: { src: { type: 'float', count: 100, value: 3 }, dst: { type: 'float', sameAs: 'src' } },
    },
  ],
};
const spec = join(directory, 'spec.json');
writeFileSync(spec, JSON.stringify(SPEC));
const clean = join(KERNELS, 'valid', 'in-place.metal');

describe.skipIf(!hasClang)('tilewright check', () => {
  it('exits with 0 for a clean file and names its kernels', async () => {
    const { code, out } = await command({ file: clean });
    expect(code).toBe(0);
    expect(out).toMatch(/1 kernel: clean\n$/);
  });

  it('exits with 1 and prints file, line and rule of each finding', async () => {
    const file = join(KERNELS, 'reject', 'double.metal');
    const { code, out } = await command({ file });
    expect(code).toBe(1);
    expect(out).toMatch(/double\.metal:4: no-double: there is no double/);
  });

  it('prints the same as JSON', async () => {
    const { code, out } = await command({ file: join(KERNELS, 'reject', 'double.metal'), json: true });
    expect(code).toBe(1);
    const report = JSON.parse(out) as CheckReport;
    expect(report.findings).toEqual([expect.objectContaining({ rule: 'no-double', line: 4 })]);
  });

  it('runs a spec and prints the traffic', async () => {
    const { code, out } = await command({ file: clean, run: spec });
    expect(code).toBe(0);
    expect(out).toContain('in_place: device 400 B read, 400 B written; 1.00 lines and 3.25 sectors per simdgroup load');
  });

  it('names the thread and both places of a race', async () => {
    const file = join(KERNELS, 'bugs', 'race-in-place.metal');
    const run = JSON.parse(/\/\/ run: (.*)/.exec(readFileSync(file, 'utf8'))![1]!) as object;
    const racy = join(directory, 'racy.json');
    writeFileSync(racy, JSON.stringify({ runs: [run] }));
    const { code, out } = await command({ file, run: racy });
    expect(code).toBe(1);
    expect(out).toMatch(/race-in-place\.metal:5: race: .* \[k\]\n {4}thread \[\d+, 0, 0\] of threadgroup \[0, 0, 0\]/);
    expect(out).toMatch(/the other place: .*race-in-place\.metal:5/);
  });

  it('saves a baseline, passes against it and fails when the traffic changes', async () => {
    const baseline = join(directory, 'baseline.json');
    expect((await command({ file: clean, run: spec, saveBaseline: baseline })).code).toBe(0);
    expect((await command({ file: clean, run: spec, baseline })).code).toBe(0);
    const changed = JSON.parse(readFileSync(baseline, 'utf8')) as {
      in_place: { spaces: { device: { readLines: number } } };
    };
    changed.in_place.spaces.device.readLines++;
    writeFileSync(baseline, JSON.stringify(changed));
    const { code, out } = await command({ file: clean, run: spec, baseline });
    expect(code).toBe(1);
    expect(out).toContain('traffic: in_place changed: spaces.device.readLines 5 → 4');
  });

  it.each([
    ['a missing file', { file: join(directory, 'none.metal') }],
    ['a missing spec', { file: clean, run: join(directory, 'none.json') }],
    ['a spec for a kernel that is not there', { file: join(KERNELS, 'valid', 'atomics.metal'), run: spec }],
    ['a missing baseline', { file: clean, run: spec, baseline: join(directory, 'none.json') }],
    ['a bad regular expression', { file: clean, only: '(' }],
  ])('exits with 2 for %s', async (_, args) => {
    const { code, errors, out } = await command(args);
    expect(code).toBe(2);
    expect(out).toBe('');
    expect(errors).not.toBe('');
  });

  it('parses its arguments with yargs', async () => {
    const parsed = await yargs(['check', 'a.metal', '-I', 'x', '-D', 'N=3', '--save-baseline', 'b.json', '--json'])
      .command({ ...checkCommand, handler: () => {} })
      .parseAsync();
    expect(parsed).toMatchObject({
      file: 'a.metal',
      include: ['x'],
      define: ['N=3'],
      saveBaseline: 'b.json',
      json: true,
    });
  });
});
