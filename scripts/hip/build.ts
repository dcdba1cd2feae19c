// Compiles the GPU kernels to build/hip: `npm run build:hip -- [--targets gfx906,sm_80 | --gate] [--bundle]
// [--units REGEX] [--tables]`. All targets and units unless told; the manifest lists what is there. With --bundle what was
// asked for is compressed for the package as well; with --tables the tables of hip/resources are written.
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
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
  writeManifest(report.compiled);
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  console.log(
    `${report.compiled.length} files for ${targets.length} targets, ${report.fresh} compiled in ${seconds} s`,
  );
  if (values.bundle) bundle(report.compiled);
  if (values.tables) writeTables(report.compiled, values.units === undefined);
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}

/** Entries that were not compiled now stay, as long as their files do and the target has such kernels. */
function writeManifest(compiled: readonly Compiled[]): void {
  const path = join(FOLDER, 'manifest.json');
  const old = existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Compiled[]) : [];
  const now = new Set(compiled.map(({ file }) => file));
  const names = new Set(units().flatMap(({ name, runsOn }) => TARGETS.filter(runsOn).map((to) => `${to}/${name}`)));
  const kept = old.filter(
    ({ file }) => !now.has(file) && names.has(file.replace(/\.\w+$/, '')) && existsSync(join(FOLDER, file)),
  );
  const all = [...kept, ...compiled].sort((x, y) => (x.file < y.file ? -1 : 1));
  writeFileSync(`${path}.${process.pid}`, JSON.stringify(all, null, 1));
  renameSync(`${path}.${process.pid}`, path);
}

/**
 * build/hip/bundle, the part of the package: one compressed file per target and unit, and their manifest; just what was
 * asked for now. Brotli comes with Node, and a file is unpacked when a kernel in it is first asked for. What was packed
 * before is kept as long as it is newer than its code object.
 */
function bundle(compiled: readonly Compiled[]): void {
  const begin = performance.now();
  const folder = join(FOLDER, 'bundle');
  let before = 0;
  let after = 0;
  let fresh = 0;
  const entries = compiled.map((entry) => {
    const source = join(FOLDER, entry.file);
    const file = `${entry.file}.br`;
    const target = join(folder, file);
    const { size, mtimeMs } = statSync(source);
    const old = statSync(target, { throwIfNoEntry: false });
    if (old === undefined || old.mtimeMs <= mtimeMs) {
      mkdirSync(dirname(target), { recursive: true });
      const packed = brotliCompressSync(readFileSync(source), { params: { [constants.BROTLI_PARAM_LGWIN]: 22 } });
      writeFileSync(`${target}.${process.pid}`, packed);
      renameSync(`${target}.${process.pid}`, target);
      fresh++;
    }
    before += size;
    after += statSync(target).size;
    return { ...entry, file };
  });
  mkdirSync(folder, { recursive: true });
  const kept = new Set(['manifest.json', ...entries.map(({ file }) => file)]);
  for (const file of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(file.parentPath ?? file.path, file.name);
    if (file.isFile() && !kept.has(relative(folder, path).replaceAll('\\', '/'))) rmSync(path);
  }
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify(entries));
  const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(2)} MiB`;
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  console.log(
    `bundle: ${entries.length} files, ${mib(before)} compressed to ${mib(after)}, ${fresh} of them now in ${seconds} s`,
  );
}
