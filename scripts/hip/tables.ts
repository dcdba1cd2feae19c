// Resource tables from compiled kernels: rows per target, and hip/resources written from all of them with `npm run
// build:hip -- --tables`.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { KernelResources } from '../../ts/hip/code-object.ts';
import { countLoop } from '../../ts/hip/loop-count.ts';
import { formatTable, gemvColumns, parseTable, type ResourceRow, resourceRow } from '../../ts/hip/resources.ts';
import { assemblyOf, type Compiled } from './compile.ts';
import { isAmd, root } from './targets.ts';

/** Rows of the AMD targets, by target, in the order of the kernels' names. */
export function resourceRows(compiled: readonly Compiled[]): ReadonlyMap<string, readonly ResourceRow[]> {
  const rows = new Map<string, ResourceRow[]>();
  for (const { file, target, kernels } of compiled) {
    if (!isAmd(target)) continue;
    const assembly = readFileSync(assemblyOf(file), 'utf8');
    const own = rows.get(target) ?? [];
    rows.set(target, own);
    for (const kernel of kernels as readonly KernelResources[]) {
      const loop = gemvColumns(kernel.name) === null ? null : countLoop(assembly, kernel.name);
      own.push(resourceRow(target, kernel, loop));
    }
  }
  for (const own of rows.values()) own.sort((x, y) => (x.kernel < y.kernel ? -1 : 1));
  return rows;
}

export const tablePath = (target: string): string => join(root, 'hip/resources', `${target}.tsv`);

/** Rows of kernels that were not compiled now stay as they are, unless no kernel has that name any more. */
export function writeTables(compiled: readonly Compiled[], all: boolean): void {
  mkdirSync(join(root, 'hip/resources'), { recursive: true });
  for (const [target, rows] of resourceRows(compiled)) {
    const path = tablePath(target);
    const now = new Set(rows.map(({ kernel }) => kernel));
    const old = all || !existsSync(path) ? [] : parseTable(readFileSync(path, 'utf8'));
    const merged = [...rows, ...old.filter(({ kernel }) => !now.has(kernel))];
    writeFileSync(path, formatTable(merged.sort((x, y) => (x.kernel < y.kernel ? -1 : 1))));
  }
}
