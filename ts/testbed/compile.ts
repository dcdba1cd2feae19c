import { access, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TilewrightError } from '../errors.ts';
import { diagnostics } from './diagnostics.ts';
import { gfxMajor, hipMacros, rewriteHip } from './rewrite/hip.ts';
import { type Rewritten, rewriteMsl } from './rewrite/msl.ts';
import type { Finding, ModuleSignature } from './rewrite/signature.ts';
import { RewriteError } from './rewrite/tokens.ts';
import { cached, findToolchain, hash, hashTree, runTool, type Toolchain } from './toolchain.ts';

export type Dialect = 'msl' | 'hip';

export interface CompileOptions {
  readonly dialect?: Dialect;
  /** `-I` directories and `-D` macros (`NAME` or `NAME=VALUE`). */
  readonly include?: readonly string[];
  readonly define?: readonly string[];
  /** Only kernels whose name matches are compiled to code. */
  readonly only?: RegExp;
  /** HIP: lanes per wave; 64 unless told. */
  readonly wave?: 32 | 64;
  /** HIP: the GPU that is emulated; gfx90a at wave 64 and gfx1100 at wave 32 unless told. */
  readonly target?: string;
}

/** A kernel file that the preprocessor has seen. */
export interface Preprocessed {
  readonly path: string;
  readonly dialect: Dialect;
  readonly text: string;
}

export interface CompiledModule {
  /** Shared object that the runner loads. */
  readonly path: string;
  readonly signature: ModuleSignature;
  /** Compiled with hooks: the sanitizer and the counters see every access. */
  readonly hooks: boolean;
}

export type CompileMode = 'run' | 'sanitize';

/** The wave size and target of a HIP compilation. RDNA has both wave sizes, GCN and CDNA 64 only. */
export function hipTarget(options: Pick<CompileOptions, 'wave' | 'target'>): { wave: 32 | 64; target: string } {
  const wave = options.wave ?? (options.target !== undefined && gfxMajor(options.target) >= 10 ? 32 : 64);
  const target = options.target ?? (wave === 64 ? 'gfx90a' : 'gfx1100');
  if (wave === 32 && gfxMajor(target) < 10) {
    throw new TilewrightError('ERR_USAGE', `${target} has waves of 64 lanes only.`);
  }
  return { wave, target };
}

/** The version of Metal that the checks pretend to be: 3.2. */
const METAL_VERSION = 320;

const LANGUAGE = [
  ...['-x', 'clcpp', '-cl-std=clc++2021', '-cl-no-stdinc', '-cl-single-precision-constant', '-fdeclspec', '-mf16c'],
  ...['-Wno-everything', '-fno-color-diagnostics', '-fno-caret-diagnostics', '-fno-diagnostics-fixit-info'],
];
const CHECK = [
  '-fsyntax-only',
  '-ferror-limit=100',
  '-Xclang',
  '-cl-ext=-__opencl_c_device_enqueue,-__opencl_c_program_scope_global_variables',
];
// Vectorized code would have other loads than the source; -g1 is for the findings' lines, in the version of DWARF in
// which binutils 2.40, where there is no llvm-symbolizer, finds the files of inlined functions.
// Stack probes make a thread with too many variables meet the guard page of its stack, and not skip it.
// A loop without an end stays one: C++ would let the compiler remove it, and the kernel would run on into nothing.
const CODE = [
  '-fstack-clash-protection',
  '-fno-finite-loops',
  '-O2',
  '-g1',
  '-gdwarf-4',
  '-fPIC',
  '-fno-vectorize',
  '-fno-slp-vectorize',
  '-ffp-contract=off',
  '-mavx2',
  '-mfma',
];
// A plain run goes on after a misaligned vector access, as GPUs do; a sanitized one reports it.
const PLAIN = ['-fmax-type-align=1'];
const HOOKS = [
  ...['-DMSL_SAN', '-fsanitize=thread,alignment,array-bounds,integer-divide-by-zero', '-fsanitize-recover=all'],
  ...['-mllvm', '-tsan-instrument-func-entry-exit=0', '-mllvm', '-tsan-instrument-atomics=0'],
  ...['-mllvm', '-tsan-instrument-read-before-write=1'],
];
const HIP_LANGUAGE = [
  ...[
    '-x',
    'c++',
    '-std=c++17',
    '-Xclang',
    '-ffloat16-excess-precision=none',
    '-ffp-contract=off',
    '-mf16c',
    '-fdeclspec',
  ],
  ...['-Wno-everything', '-fno-color-diagnostics', '-fno-caret-diagnostics', '-fno-exceptions', '-fno-rtti'],
];

/** Run the preprocessor. Findings instead of text when it fails. */
export async function preprocess(path: string, options: CompileOptions): Promise<Preprocessed | readonly Finding[]> {
  const tools = await findToolchain();
  await access(path).catch((cause: NodeJS.ErrnoException) => {
    throw new TilewrightError('ERR_FILE', `The kernel file ${path} cannot be read: ${cause.code}.`, { cause });
  });
  const dialect = options.dialect ?? (path.endsWith('.hip') ? 'hip' : 'msl');
  const hip = hipTarget(options);
  const user = [
    ...(options.include ?? []).map((directory) => `-I${directory}`),
    ...(options.define ?? []).map((macro) => `-D${macro}`),
  ];
  const language =
    dialect === 'msl'
      ? [
          '-nostdinc',
          '-undef',
          `-I${join(tools.shim, 'pp')}`,
          '-D__METAL__=1',
          `-D__METAL_VERSION__=${METAL_VERSION}`,
          '-D__METAL_MACOS__=1',
          '-D__HAVE_BFLOAT__=1',
        ]
      : [
          '-nostdinc',
          '-undef',
          `-I${join(tools.shim, 'hip', 'pp')}`,
          '-D__HIP__=1',
          '-D__HIPCC__=1',
          '-D__HIP_DEVICE_COMPILE__=1',
          '-D__HIP_PLATFORM_AMD__=1',
          ...hipMacros(hip.target, hip.wave).map((macro) => `-D${macro}`),
        ];
  const result = await runTool(tools.clangxx, [
    '-E',
    '-x',
    'c++',
    '-std=c++17',
    '-fno-caret-diagnostics',
    '-fno-color-diagnostics',
    ...language,
    ...user,
    resolve(path),
  ]);
  if (result.code === -1) throw new TilewrightError('ERR_BACKEND_UNAVAILABLE', result.stderr);
  if (result.code !== 0) return diagnostics(result.stderr, tools.shim, 'preprocess');
  return { path, dialect, text: result.stdout.toString('utf8') };
}

/** Rewrite, or say why that cannot be done. */
export function rewrite(source: Preprocessed, options: CompileOptions & { check: boolean }): Rewritten | Finding {
  try {
    return source.dialect === 'msl'
      ? rewriteMsl(source.text, options)
      : rewriteHip(source.text, { ...options, ...hipTarget(options) });
  } catch (error) {
    if (!(error instanceof RewriteError)) throw error;
    return { rule: 'rewrite', message: `not understood: ${error.message}`, ...error.place };
  }
}

/** The strict type check of a rewritten file. */
export async function typeCheck(source: Preprocessed, rewritten: Rewritten): Promise<readonly Finding[]> {
  const tools = await findToolchain();
  const language = source.dialect === 'msl' ? [...LANGUAGE, ...CHECK] : [...HIP_LANGUAGE, '-fsyntax-only'];
  const result = await runTool(tools.clang, [...language, `-I${tools.shim}`, '-'], {
    input: [Buffer.from(rewritten.code)],
  });
  if (result.code === -1) throw new TilewrightError('ERR_BACKEND_UNAVAILABLE', result.stderr);
  return result.code === 0 ? [] : diagnostics(result.stderr, tools.shim, 'type');
}

/** Compile a kernel file to a module that runs here; findings when it does not compile. */
export async function compile(
  source: Preprocessed,
  mode: CompileMode,
  options: CompileOptions = {},
): Promise<CompiledModule | readonly Finding[]> {
  const tools = await findToolchain();
  const language = source.dialect === 'msl' ? [...LANGUAGE, '-DMSL_THREAD_GENERIC'] : HIP_LANGUAGE;
  const flags = [...language, ...CODE, ...(mode === 'sanitize' ? HOOKS : PLAIN)];
  const key = hash(
    tools.version,
    tools.shimHash,
    ...flags,
    source.text,
    `${options.only}`,
    `${options.wave}`,
    `${options.target}`,
    rewriterHash(),
  );
  let failure: readonly Finding[] | undefined;
  try {
    const directory = await cached(`module-${key}`, async (target) => {
      const rewritten = rewrite(source, { ...options, check: false });
      if ('rule' in rewritten) {
        failure = [rewritten];
        throw new Rejected();
      }
      failure = await build(tools, rewritten, flags, target);
      if (failure.length > 0) throw new Rejected();
      await writeFile(join(target, 'signature.json'), JSON.stringify(rewritten.signature));
    });
    const signature = JSON.parse(await readFile(join(directory, 'signature.json'), 'utf8')) as ModuleSignature;
    return { path: join(directory, 'module.so'), signature, hooks: mode === 'sanitize' };
  } catch (error) {
    if (error instanceof Rejected && failure !== undefined) return failure;
    throw error;
  }
}

/** Part of the cache's key: the rewriter's own sources decide the code as well. */
let rewriterSources: string | undefined;
function rewriterHash(): string {
  rewriterSources ??= hashTree(join(dirname(fileURLToPath(import.meta.url)), 'rewrite'));
  return rewriterSources;
}

class Rejected extends Error {}

async function build(
  tools: Toolchain,
  rewritten: Rewritten,
  flags: readonly string[],
  target: string,
): Promise<readonly Finding[]> {
  const code = join(target, 'kernel.cpp');
  const object = join(target, 'kernel.o');
  await writeFile(code, rewritten.code);
  const compiled = await runTool(tools.clang, [...flags, `-I${tools.shim}`, '-c', code, '-o', object]);
  if (compiled.code === -1) throw new TilewrightError('ERR_BACKEND_UNAVAILABLE', compiled.stderr);
  if (compiled.code !== 0) return diagnostics(compiled.stderr, tools.shim, 'type');
  // Linked without the sanitizers' runtimes: the executor defines their hooks.
  const linked = await runTool(tools.clang, ['-shared', object, '-o', join(target, 'module.so'), '-lm']);
  if (linked.code !== 0) {
    throw new TilewrightError('ERR_NATIVE_FAILURE', `Linking a kernel module failed: ${linked.stderr}`);
  }
  // The larger half of what the cache would hold.
  await rm(object);
  return [];
}
