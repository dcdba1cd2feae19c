// Compiles the native code from the sources in the package: `npx tilewright build`, and the set-up of a checkout.
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { nativeCacheFolder, nativeTarget } from './native-target.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const require = createRequire(import.meta.url);

/** The first compilers that know -mavxvnni. */
const OLDEST = { gcc: 11, clang: 12 };

const INSTALL = {
  darwin: 'Install them with `xcode-select --install`.',
  linux:
    'Install them with `apt-get install g++ make` (Debian, Ubuntu), `dnf install gcc-c++ make` (Fedora, RHEL) or ' +
    '`apk add g++ make` (Alpine).',
}[process.platform];

/** First line of what a command prints, or null if it does not run. A shell, as CXX may be `ccache g++`. */
function firstLine(command) {
  const { status, stdout } = spawnSync(command, { shell: true, encoding: 'utf8' });
  return status === 0 ? stdout.split('\n')[0] : null;
}

/**
 * Finds make and a compiler that is new enough: `{ cxx, name }`, or `{ problem }`, which says what to install.
 * CXX in the environment is taken at its word.
 */
export function findToolchain(cxx = process.env.CXX) {
  if (INSTALL === undefined) {
    return { problem: `tilewright's native code does not build on ${process.platform} yet: use Linux or macOS.` };
  }
  // Without the developer tools, macOS has a g++ that only opens a dialogue.
  const usable = process.platform !== 'darwin' || firstLine('xcode-select -p') !== null;
  const compiler = usable && (cxx ? [cxx] : ['g++', 'clang++']).find((name) => firstLine(`${name} --version`) !== null);
  const missing = [
    ...(compiler ? [] : [cxx ? `the C++ compiler of CXX (${cxx})` : 'a C++17 compiler']),
    ...(usable && firstLine('make --version') !== null ? [] : ['make']),
  ];
  if (missing.length > 0) return { problem: `Not found: ${missing.join(' and ')}. ${INSTALL}` };
  const version = firstLine(`${compiler} --version`);
  const clang = /clang version (\d+)/.exec(version);
  const number = Number((clang ?? /\s(\d+)\.\d+/.exec(version.replace(/\(.*\)/, '')))?.[1] ?? Number.POSITIVE_INFINITY);
  const oldest = clang ? OLDEST.clang : OLDEST.gcc;
  if (number < oldest) {
    return { problem: `${compiler} is version ${number}: GCC ${OLDEST.gcc} or Clang ${OLDEST.clang} is needed.` };
  }
  return { cxx: compiler, name: `${clang ? 'clang' : 'gcc'} ${number}` };
}

/** Whether files can be made in a folder. */
export function writable(folder) {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Runs make and resolves with the folder of its results, below build/ in the package. The addon of a package that
 * cannot be written goes to the user's cache folder, where the loader looks too.
 *
 * @param {object} [options]
 * @param {string} [options.target] of the Makefile, or several
 * @param {string} [options.out] folder of the results, relative to the package
 * @param {string} [options.cxx] compiler, CXX of the environment by default
 * @param {readonly string[]} [options.variables] more of the Makefile's variables, as `NAME=value`
 * @param {(line: string) => void} [options.log] takes what is about to be compiled
 * @param {boolean} [options.quiet] leaves make's own output out, but for errors and warnings
 */
export async function buildNative({ target = 'addon', out, cxx, variables = [], log, quiet = log !== undefined } = {}) {
  const tools = findToolchain(cxx);
  if (tools.problem) throw new Error(tools.problem);
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const elsewhere = out === undefined && !writable(existsSync(join(root, 'build')) ? join(root, 'build') : root);
  // make cannot have spaces in the names of its files: the package's own folder is named relative to itself.
  const results = elsewhere ? mkdtempSync(join(tmpdir(), 'tilewright-')) : (out ?? `build/${nativeTarget()}`);
  const includes = [dirname(require.resolve('node-addon-api')), require('node-api-headers').include_dir];
  const args = [
    ...target.split(' '),
    `-j${availableParallelism()}`,
    `CXX=${tools.cxx}`,
    `OUT=${results}`,
    `VERSION=${version}`,
    `NODE_INCLUDES=${includes.map((folder) => `-isystem "${folder}"`).join(' ')}`,
    ...variables,
  ];
  try {
    if (log) {
      const plan = spawnSync('make', [...args, '--dry-run'], { cwd: root, encoding: 'utf8' }).stdout ?? '';
      const files = plan.split('\n').filter((line) => line.includes(' -c ')).length;
      if (files > 0) log(`compiling ${files} files with ${tools.name} on ${availableParallelism()} cores`);
    }
    const make = spawn('make', [...args, ...(quiet ? ['--silent'] : [])], {
      cwd: root,
      stdio: ['ignore', quiet ? 'ignore' : 'inherit', 'inherit'],
    });
    const code = await new Promise((resolve, reject) => {
      make.on('error', reject);
      make.on('exit', (status, signal) => resolve(status ?? signal));
    });
    if (code !== 0) throw new Error(`make ${target} ended with ${code}; the compiler's messages are above.`);
    if (!elsewhere) return join(root, results);
    const cache = nativeCacheFolder(version);
    if (cache === null) throw new Error(`${root} cannot be written, and there is no home folder to build in instead.`);
    mkdirSync(cache, { recursive: true });
    const part = join(cache, `tilewright.node.${process.pid}`);
    await copyFile(join(results, 'tilewright.node'), part);
    renameSync(part, join(cache, 'tilewright.node'));
    return cache;
  } finally {
    if (elsewhere) rmSync(results, { recursive: true, force: true });
  }
}
