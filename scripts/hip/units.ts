// The compilations that make up the kernels: one per file of hip/ that a declared kernel names, or one per weight format
// for files that use TW_FORMAT; those that ask whether it is defined have kernels without it as well.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { HIP_KERNELS } from '../../ts/kernels/hip/catalogue.ts';
import { formatDefines } from '../../ts/kernels/hip/declare.ts';
import { QuantFormat } from '../../ts/tensor/quant-format.ts';
import { root } from './targets.ts';

export interface Unit {
  /** `gemv.q4_k`: the name of its outputs. */
  readonly name: string;
  /** The file in `hip/`, and the format it is compiled for. */
  readonly source: string;
  readonly format: string | null;
  readonly path: string;
  readonly defines: readonly string[];
  /** Whether a target has its kernels. */
  readonly runsOn: (target: string) => boolean;
  /** Of the file and all that it includes. */
  readonly hash: string;
}

export function units(): readonly Unit[] {
  const formats = QuantFormat.list().flatMap(({ name, id }) => (id === undefined ? [] : [name]));
  return [...new Set(HIP_KERNELS.map(({ source }) => source))].flatMap((source) => {
    const { runsOn } = HIP_KERNELS.find((kernel) => kernel.source === source)!;
    const path = join(root, 'hip', source);
    const stem = source.replace(/\.hip$/, '');
    const hash = hashSources(path);
    const text = readFileSync(path, 'utf8');
    const choices = [
      ...(/\bTW_FORMAT\b/.test(text) ? formats : [null]),
      ...(/^#\s*if.*\bTW_FORMAT\b/m.test(text) ? [null] : []),
    ];
    return choices.map((format) => ({
      name: format === null ? stem : `${stem}.${format}`,
      source,
      format,
      path,
      defines: formatDefines(format).map((macro) => `-D${macro}`),
      hash,
      runsOn,
    }));
  });
}

/** Tests compile kernels in their own way, but only what is compiled for users. */
export function requireUnit(source: string, format: string | null): void {
  all ??= new Set(units().map((unit) => `${unit.source} ${unit.format}`));
  if (!all.has(`${source} ${format}`)) throw new Error(`hip/${source} is not compiled for ${format ?? 'no format'}`);
}
let all: Set<string> | undefined;

const INCLUDES = [join(root, 'hip'), join(root, 'Sources/KernelABI/include')];

function hashSources(path: string): string {
  const hash = createHash('sha256');
  const seen = new Set<string>();
  const visit = (file: string) => {
    if (seen.has(file)) return;
    seen.add(file);
    const text = readFileSync(file, 'utf8');
    hash.update(text);
    for (const [, quote, name] of text.matchAll(/^\s*#\s*include\s*(["<])([^">]+)[">]/gm)) {
      const places = [...(quote === '"' ? [dirname(file)] : []), ...INCLUDES].map((folder) => join(folder, name!));
      const found = places.find((place) => isFile(place));
      if (found !== undefined) visit(found);
    }
  };
  visit(path);
  return hash.digest('hex');
}

function isFile(path: string): boolean {
  try {
    readFileSync(path);
    return true;
  } catch {
    return false;
  }
}
