// Compiles units for targets, several at a time; what has not changed is not compiled again. Two processes may do so at
// once: every file is written under another name first.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type KernelResources, readCodeObject } from '../../ts/hip/code-object.ts';
import { assembleFlags, compileFlags, isAmd, root } from './targets.ts';
import type { Unit } from './units.ts';

const run = promisify(execFile);
const CLANG = process.env.TILEWRIGHT_CLANGXX ?? 'clang++-19';
export const FOLDER = join(root, 'build/hip');

/** One compiled file, as the manifest has it. */
export interface Compiled {
  /** `gfx906/gemv.q4_k.hsaco`, relative to the folder. */
  readonly file: string;
  readonly target: string;
  readonly kernels: readonly (Partial<KernelResources> & { readonly name: string })[];
}

export interface CompileReport {
  readonly compiled: readonly Compiled[];
  /** How many were not there yet. */
  readonly fresh: number;
}

/** @throws Error with the compiler's words */
export async function compileAll(
  units: readonly Unit[],
  targets: readonly string[],
  progress: (done: number, all: number) => void = () => {},
): Promise<CompileReport> {
  const version = (await run(CLANG, ['--version'])).stdout;
  const jobs = targets.flatMap((target) =>
    units.filter(({ runsOn }) => runsOn(target)).map((unit) => ({ target, unit })),
  );
  const results: Compiled[] = new Array(jobs.length);
  let next = 0;
  let done = 0;
  let fresh = 0;
  const worker = async () => {
    for (let i = next++; i < jobs.length; i = next++) {
      const { target, unit } = jobs[i]!;
      const key = createHash('sha256').update(
        [version, unit.hash, ...unit.defines, ...compileFlags(target)].join('\0'),
      );
      if (await compileOne(unit, target, key.digest('hex'))) fresh++;
      results[i] = describe(unit, target);
      progress(++done, jobs.length);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return { compiled: results, fresh };
}

const output = (unit: Unit, target: string, suffix: string) => join(FOLDER, target, unit.name + suffix);
/** The assembly that a unit's code object was made of. */
export const assemblyOf = (file: string): string => join(FOLDER, file.replace(/\.hsaco$/, '.s'));

async function compileOne(unit: Unit, target: string, key: string): Promise<boolean> {
  const [object, assembly] = isAmd(target) ? ['.hsaco', '.s'] : ['.ptx', '.ptx'];
  const keyFile = output(unit, target, '.key');
  const wanted = [output(unit, target, object), output(unit, target, assembly)];
  if (existsSync(keyFile) && readFileSync(keyFile, 'utf8') === key && wanted.every((path) => existsSync(path)))
    return false;
  mkdirSync(join(FOLDER, target), { recursive: true });
  const mark = `.${process.pid}`;
  const text = output(unit, target, assembly + mark);
  const binary = output(unit, target, object + mark);
  try {
    await run(CLANG, [...compileFlags(target), ...unit.defines, unit.path, '-o', text]);
    if (isAmd(target)) {
      await run(CLANG, [...assembleFlags(target), text, '-o', binary]);
      renameSync(binary, output(unit, target, object));
    }
    renameSync(text, output(unit, target, assembly));
    writeFileSync(keyFile + mark, key);
    renameSync(keyFile + mark, keyFile);
  } catch (error) {
    for (const path of [text, binary]) rmSync(path, { force: true });
    const { stderr } = error as { stderr?: string };
    throw new Error(`${unit.name} for ${target}: ${stderr || (error as Error).message}`);
  }
  return true;
}

function describe(unit: Unit, target: string): Compiled {
  if (isAmd(target)) {
    const file = `${target}/${unit.name}.hsaco`;
    return { file, target, kernels: readCodeObject(readFileSync(join(FOLDER, file))) };
  }
  const file = `${target}/${unit.name}.ptx`;
  const entries = readFileSync(join(FOLDER, file), 'utf8').matchAll(/\.entry\s+(\w+)[^{]*?\.maxntid\s+(\d+)/g);
  return {
    file,
    target,
    kernels: [...entries].map(([, name, threads]) => ({ name: name!, waveSize: 32, maxThreads: Number(threads) })),
  };
}
