// Compiles the GPU kernels to build/hip: `npm run build:hip -- [--targets gfx906,sm_80 | --gate] [--bundle]
// [--units REGEX] [--tables]`. All targets and units unless told; the manifest lists what is there. With --bundle the files are compressed for the
// package as well; with --tables the tables of hip/resources are written.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { brotliCompressSync, constants } from 'node:zlib';
import { type Compiled, compileAll, FOLDER } from './compile.ts';
import { writeTables } from './tables.ts';
import { GATE_TARGETS, TARGETS } from './targets.ts';
import { units } from './units.ts';

const { values } = parseArgs({
  options: {
    targets: { type: 'string' },
    gate: { type: 'boolean' },
    bundle: { type: 'boolean' },
    tables: { type: 'boolean' },
    units: { type: 'string' },
  },
});
const targets = values.targets?.split(',') ?? (values.gate ? GATE_TARGETS : TARGETS);
const unknown = targets.filter((target) => !TARGETS.includes(target));
if (unknown.length > 0) {
  console.error(`There is no target ${unknown.join(', ')}: they are ${TARGETS.join(', ')}.`);
  process.exit(2);
}

const pattern = new RegExp(values.units ?? '');
const chosen = units().filter(({ name }) => pattern.test(name));

const begin = performance.now();
try {
  const report = await compileAll(chosen, targets, (done, all) => {
    if (process.stderr.isTTY) process.stderr.write(`\r${done} of ${all}`);
  });
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  const manifest = writeManifest(report.compiled);
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  console.log(
    `${report.compiled.length} files for ${targets.length} targets, ${report.fresh} compiled in ${seconds} s`,
  );
  if (values.bundle) bundle(manifest);
  if (values.tables) writeTables(report.compiled, values.units === undefined);
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}

/** Entries that were not compiled now stay, as long as their files do. */
function writeManifest(compiled: readonly Compiled[]): readonly Compiled[] {
  const path = join(FOLDER, 'manifest.json');
  const old = existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Compiled[]) : [];
  const now = new Set(compiled.map(({ file }) => file));
  const kept = old.filter(({ file }) => !now.has(file) && existsSync(join(FOLDER, file)));
  const all = [...kept, ...compiled].sort((x, y) => (x.file < y.file ? -1 : 1));
  writeFileSync(`${path}.${process.pid}`, JSON.stringify(all, null, 1));
  renameSync(`${path}.${process.pid}`, path);
  return all;
}

/**
 * build/hip/bundle, the part of the package: one compressed file per target and unit, and their manifest. Brotli comes
 * with Node, and a file is unpacked when a kernel in it is first asked for.
 */
function bundle(manifest: readonly Compiled[]): void {
  const folder = join(FOLDER, 'bundle');
  rmSync(folder, { recursive: true, force: true });
  let before = 0;
  let after = 0;
  const entries = manifest.map((entry) => {
    const bytes = readFileSync(join(FOLDER, entry.file));
    const packed = brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_LGWIN]: 22 } });
    mkdirSync(join(folder, entry.target), { recursive: true });
    writeFileSync(join(folder, `${entry.file}.br`), packed);
    before += bytes.byteLength;
    after += packed.byteLength;
    return { ...entry, file: `${entry.file}.br` };
  });
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify(entries));
  const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(2)} MiB`;
  console.log(`bundle: ${entries.length} files, ${mib(before)} compressed to ${mib(after)}`);
}
