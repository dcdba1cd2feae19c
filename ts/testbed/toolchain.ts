import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TilewrightError } from '../errors.ts';

/** The compiler's major version: other versions accept another language (checked with 19.1.7 only). */
const CLANG_MAJOR = 19;
const HOW_TO_GET =
  'Install it with `apt-get install clang-19` (Debian 12, Ubuntu 24.10 and later) or from the LLVM project, ' +
  'or name the program in TILEWRIGHT_CLANG.';

export interface ToolResult {
  readonly code: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** Largest output of a tool that is kept; more is a failure of that tool. */
const MAX_TOOL_OUTPUT = 512 * 1024 * 1024;

/** Run a program to its end. A program that cannot be started gives code -1. */
export function runTool(
  program: string,
  args: readonly string[],
  options: { input?: readonly Uint8Array[]; timeoutMs?: number } = {},
): Promise<ToolResult> {
  return new Promise((resolve) => {
    const child = execFile(
      program,
      args,
      { encoding: 'buffer', maxBuffer: MAX_TOOL_OUTPUT, timeout: options.timeoutMs ?? 0, killSignal: 'SIGKILL' },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
        const reason = error !== null && code === -1 ? `${error.message}\n` : '';
        resolve({ code, stdout, stderr: reason + stderr.toString('utf8') });
      },
    );
    // A child that dies early closes the pipe; its exit code says so already.
    child.stdin?.on('error', () => {});
    for (const chunk of options.input ?? []) child.stdin?.write(chunk);
    child.stdin?.end();
  });
}

/** Root of the package: where `Sources/Simt` is, from the sources or from `dist`. */
export function packageRoot(): string {
  let at = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    if (existsSync(join(at, 'Sources', 'Simt', 'include', 'simt.h'))) return at;
    const up = dirname(at);
    if (up === at) {
      throw new TilewrightError('ERR_FILE', 'Sources/Simt is missing from the installed package: install it again.');
    }
    at = up;
  }
}

/** Total size of the cache; the least recently used entries go first. */
const MAX_CACHE_BYTES = 512 * 1024 * 1024;

export function cacheDirectory(): string {
  const named = process.env.TILEWRIGHT_CACHE;
  if (named !== undefined && named !== '') return join(named, 'testbed');
  return join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'tilewright', 'testbed');
}

/** A directory of the cache, made by `build` in a temporary place when it is not there yet. */
export async function cached(key: string, build: (directory: string) => Promise<void>): Promise<string> {
  const cache = cacheDirectory();
  const directory = join(cache, key);
  if (existsSync(directory)) {
    const now = new Date();
    await utimes(directory, now, now).catch(() => {}); // a cache that cannot be written is still read
    return directory;
  }
  await mkdir(cache, { recursive: true });
  const temporary = await mkdtemp(join(cache, '.new-'));
  try {
    await build(temporary);
    await rename(temporary, directory).catch((error: NodeJS.ErrnoException) => {
      // Another process was faster; its result is the same.
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  await prune(cache, key);
  return directory;
}

async function prune(cache: string, keep: string): Promise<void> {
  const entries = await Promise.all(
    (await readdir(cache))
      .filter((name) => !name.startsWith('.') && name !== keep)
      .map(async (name) => {
        const directory = join(cache, name);
        const files = await readdir(directory).catch(() => []);
        const sizes = await Promise.all(files.map((file) => stat(join(directory, file)).catch(() => undefined)));
        const used = await stat(directory).catch(() => undefined);
        return {
          directory,
          used: used?.mtimeMs ?? 0,
          bytes: sizes.reduce((sum, file) => sum + (file?.size ?? 0), 0),
        };
      }),
  );
  let total = entries.reduce((sum, entry) => sum + entry.bytes, 0);
  entries.sort((a, b) => a.used - b.used);
  for (const entry of entries) {
    if (total <= MAX_CACHE_BYTES) break;
    await rm(entry.directory, { recursive: true, force: true });
    total -= entry.bytes;
  }
}

export interface Toolchain {
  readonly clang: string;
  readonly clangxx: string;
  readonly version: string;
  /** Directory of our headers, and hash of everything in it. */
  readonly shim: string;
  readonly shimHash: string;
  readonly symbolizer: string | undefined;
}

let toolchain: Promise<Toolchain> | undefined;

/** The compiler, found once. Throws a TilewrightError that says how to get it. */
export function findToolchain(): Promise<Toolchain> {
  toolchain ??= locate();
  toolchain.catch(() => {
    toolchain = undefined;
  });
  return toolchain;
}

async function locate(): Promise<Toolchain> {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new TilewrightError(
      'ERR_BACKEND_UNAVAILABLE',
      `The test bed runs on Linux on x64 only; this is ${process.platform} on ${process.arch}.`,
    );
  }
  const named = process.env.TILEWRIGHT_CLANG;
  const candidates = named !== undefined && named !== '' ? [named] : [`clang-${CLANG_MAJOR}`, 'clang'];
  const tried: string[] = [];
  for (const clang of candidates) {
    const result = await runTool(clang, ['--version']);
    const version = /clang version (\d+)[.\w]*/.exec(result.stdout.toString('utf8'));
    if (result.code !== 0 || version === null) {
      tried.push(`${clang}: not found`);
    } else if (Number(version[1]) !== CLANG_MAJOR) {
      tried.push(`${clang}: ${version[0]}`);
    } else {
      const shim = join(packageRoot(), 'Sources', 'Simt', 'shim');
      const symbolizer = await firstThatRuns([`llvm-symbolizer-${CLANG_MAJOR}`, 'llvm-symbolizer']);
      return {
        clang,
        clangxx: clang.replace(/clang(?=(-\d+)?$)/, 'clang++'),
        version: version[0],
        shim,
        shimHash: hashTree(shim),
        symbolizer,
      };
    }
  }
  throw new TilewrightError(
    'ERR_BACKEND_UNAVAILABLE',
    `The test bed needs clang ${CLANG_MAJOR} (${tried.join('; ')}). ${HOW_TO_GET}`,
    { details: { tried } },
  );
}

async function firstThatRuns(programs: readonly string[]): Promise<string | undefined> {
  for (const program of programs) {
    if ((await runTool(program, ['--version'])).code === 0) return program;
  }
  return undefined;
}

export function hash(...parts: readonly (string | Uint8Array)[]): string {
  const digest = createHash('sha256');
  for (const part of parts) {
    digest.update(String(part.length));
    digest.update(part);
  }
  return digest.digest('hex').slice(0, 32);
}

/** Hash of every file below a directory, with its name. */
export function hashTree(directory: string): string {
  const parts: (string | Uint8Array)[] = [];
  const visit = (at: string) => {
    for (const entry of readdirSync(at, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = join(at, entry.name);
      if (entry.isDirectory()) visit(path);
      else parts.push(path.slice(directory.length), readFileSync(path));
    }
  };
  visit(directory);
  return hash(...parts);
}

const RUNTIME_FLAGS = ['-std=c++17', '-O2', '-fPIC', '-fvisibility=default', '-Wall', '-Wextra'];

/** Directory with `libsimt.so` and `simt-runner`, built when it is not in the cache. */
export async function buildRuntime(): Promise<string> {
  const tools = await findToolchain();
  const simt = join(packageRoot(), 'Sources', 'Simt');
  const rt = join(simt, 'rt');
  const key = hash(
    tools.version,
    hashTree(rt),
    hashTree(join(simt, 'include')),
    hashTree(join(simt, 'runner')),
    ...RUNTIME_FLAGS,
    readFileSync(join(simt, 'shim', 'simt_calls.h')),
  );
  return cached(`runtime-${key}`, async (directory) => {
    const sources = readdirSync(rt).filter((name) => name.endsWith('.cpp'));
    const library = [...RUNTIME_FLAGS, '-shared', ...sources.map((name) => join(rt, name)), '-ldl'];
    const runner = [
      ...RUNTIME_FLAGS,
      join(simt, 'runner', 'main.cpp'),
      `-L${directory}`,
      '-lsimt',
      '-Wl,-rpath,$ORIGIN',
    ];
    for (const [output, args] of [
      ['libsimt.so', library],
      ['simt-runner', runner],
    ] as const) {
      const result = await runTool(tools.clangxx, [...args, '-o', join(directory, output)]);
      if (result.code !== 0) {
        throw new TilewrightError('ERR_NATIVE_FAILURE', `The test bed's runtime does not compile: ${result.stderr}`);
      }
    }
  });
}
