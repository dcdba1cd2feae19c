import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { compileKernels } from '../../ts/testbed/check.ts';
import { buildRuntime, findToolchain, packageRoot } from '../../ts/testbed/toolchain.ts';
import { hasClang } from './support.ts';

const path = (name: string) => fileURLToPath(new URL(`executor/${name}`, import.meta.url));

describe.skipIf(!hasClang)('the executor in a process of its user', () => {
  it('runs kernels from several threads, and stops those that fault or do not end', async () => {
    const { clangxx } = await findToolchain();
    const runtime = await buildRuntime();
    const plain = await compileKernels(path('kernels.metal'), 'run');
    const hooked = await compileKernels(path('kernels.metal'), 'sanitize');
    const directory = mkdtempSync(join(tmpdir(), 'tilewright-executor-'));
    try {
      const program = join(directory, 'program');
      // Fortified, as distributions compile: the jump out of a kernel must not be taken for an attack.
      const flags = ['-std=c++17', '-O2', '-Wall', '-Wextra', '-Werror', '-D_FORTIFY_SOURCE=2', '-pthread'];
      const include = join(packageRoot(), 'Sources', 'Simt', 'include');
      execFileSync(clangxx, [
        ...[...flags, `-I${include}`, path('main.cpp'), '-o', program],
        ...[`-L${runtime}`, '-lsimt', `-Wl,-rpath,${runtime}`],
      ]);
      const { status, stdout, signal } = spawnSync(program, [plain.path, hooked.path], { encoding: 'utf8' });
      expect({ status, stdout, signal }).toEqual({ status: 0, stdout: '', signal: null });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
