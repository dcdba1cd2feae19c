import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type CheckReport, check } from '../../ts/testbed/command.ts';
import { findToolchain } from '../../ts/testbed/toolchain.ts';

export const KERNELS = fileURLToPath(new URL('kernels', import.meta.url));

/** The test bed's tests need clang 19; where it is missing they are skipped, and say so. */
export const hasClang = await findToolchain().then(
  () => true,
  () => false,
);

export const kernelFiles = (folder: string): string[] =>
  readdirSync(join(KERNELS, folder))
    .filter((name) => /\.(metal|hip)$/.test(name))
    .sort();

/** The findings that the file's comments announce: `// !rule` on the line where it is reported. */
export function announced(path: string): string[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .flatMap((line, i) => {
      const comment = line.indexOf('// !');
      if (comment === -1) return [];
      return [...line.slice(comment).matchAll(/!([a-z-]+)/g)].map((match) => `${i + 1}: ${match[1]}`);
    })
    .sort();
}

export const found = (report: Pick<CheckReport, 'findings'>): string[] =>
  [...new Set(report.findings.map(({ line, rule }) => `${line}: ${rule}`))].sort();

/** Check a file and run what its `// run: {...}` lines say. */
export async function checkAndRun(path: string, options: { wave?: 32 | 64 } = {}): Promise<CheckReport> {
  const runs = [...readFileSync(path, 'utf8').matchAll(/^\/\/ run: (.*)$/gm)].map((match) => match[1]);
  const directory = mkdtempSync(join(tmpdir(), 'tilewright-testbed-'));
  try {
    const spec = join(directory, 'spec.json');
    writeFileSync(spec, `{"runs": [${runs.join(', ')}]}`);
    return await check(path, { run: spec, ...options });
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Work through a list with a few at a time: each is a compiler or a runner of its own. */
export async function inParallel<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = new Array(items.length);
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const i = next++;
      results[i] = await work(items[i]!);
    }
  };
  await Promise.all(Array.from({ length: 2 }, worker));
  return results;
}
