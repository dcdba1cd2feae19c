// Compiles the native addon from the sources in the package: `npx tilewright build`, and the set-up of a checkout.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const require = createRequire(import.meta.url);

/** Folder of this machine's binaries below build/; the loader (ts/backends/native.ts) looks for the same name. */
export function nativeTarget() {
  const musl = process.platform === 'linux' && process.report.getReport().header.glibcVersionRuntime === undefined;
  return `${process.platform}-${process.arch}${musl ? '-musl' : ''}`;
}

/** Runs make; resolves with the folder of the addon, rejects with a message that says what to install. */
export async function buildNative({ target = 'addon', quiet = false } = {}) {
  const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  const includes = [dirname(require.resolve('node-addon-api')), require('node-api-headers').include_dir];
  const out = `build/${nativeTarget()}`;
  const make = spawn(
    'make',
    [
      target,
      `-j${availableParallelism()}`,
      `OUT=${out}`,
      `VERSION=${version}`,
      `NODE_INCLUDES=${includes.map((folder) => `-isystem "${folder}"`).join(' ')}`,
      ...(quiet ? ['--silent'] : []),
    ],
    { cwd: root, stdio: ['ignore', quiet ? 'ignore' : 'inherit', 'inherit'] },
  );
  const code = await new Promise((resolve, reject) => {
    make.on('error', (error) =>
      reject(error.code === 'ENOENT' ? new Error('make was not found: install make and a C++17 compiler.') : error),
    );
    make.on('exit', resolve);
  });
  if (code !== 0) throw new Error(`make ended with code ${code}; the compiler's messages are above.`);
  return out;
}
