// The committed tables of hip/resources: what every kernel takes on every AMD target, and what its hot loop costs.
import type { KernelResources } from './code-object.ts';
import type { LoopCount } from './loop-count.ts';
import { type Occupancy, occupancy } from './occupancy.ts';

export interface ResourceRow {
  readonly kernel: string;
  readonly vgpr: number;
  readonly agpr: number;
  readonly sgpr: number;
  /** Bytes of LDS, of scratch memory per lane, and registers that went to memory. */
  readonly lds: number;
  readonly scratch: number;
  readonly spills: number;
  readonly waves: number;
  readonly limit: Occupancy['limit'];
  /** GEMV only: vector instructions and bytes asked of the first cache per 256 weights, and load rounds per trip. */
  readonly valu?: number;
  readonly bytes?: number;
  readonly rounds?: number;
}

const COLUMNS = ['kernel', 'vgpr', 'agpr', 'sgpr', 'lds', 'scratch', 'spills', 'waves', 'limit'] as const;
const LOOP_COLUMNS = ['valu', 'bytes', 'rounds'] as const;

/** Rows of activations that a GEMV kernel multiplies, or null for other kernels. */
export function gemvColumns(kernel: string): number | null {
  const columns = /^(?:moe_)?gemv_\w+?_c(\d+)_r\d+(?:_gate)?$/.exec(kernel)?.[1];
  return columns === undefined ? null : Number(columns);
}

export function resourceRow(target: string, kernel: KernelResources, loop: LoopCount | null): ResourceRow {
  const { name, vgpr, agpr, sgpr, lds, scratch, spills } = kernel;
  const { waves, limit } = occupancy(target, { vgpr, sgpr, lds, threads: kernel.maxThreads });
  const columns = gemvColumns(name);
  const row = { kernel: name, vgpr, agpr, sgpr, lds, scratch, spills, waves, limit };
  if (columns === null || loop === null) return row;
  // Four weights by one column take one dot product.
  const weights = (4 * loop.dots) / columns;
  const per256 = 256 / (weights * kernel.waveSize);
  return { ...row, valu: loop.valu * per256, bytes: (loop.laneBytes * 256) / weights, rounds: loop.rounds };
}

/** One line per kernel, fields apart by tabs. */
export function formatTable(rows: readonly ResourceRow[]): string {
  const lines = rows.map((row) =>
    [...COLUMNS, ...LOOP_COLUMNS]
      .map((column) => row[column] ?? '')
      .join('\t')
      .trimEnd(),
  );
  return `${[[...COLUMNS, ...LOOP_COLUMNS].join('\t'), ...lines].join('\n')}\n`;
}

export function parseTable(text: string): readonly ResourceRow[] {
  const [head = '', ...lines] = text.trimEnd().split('\n');
  const names = head.split('\t');
  return lines.map((line) => {
    const fields = line.split('\t');
    const entries = names.flatMap((name, i) => {
      const field = fields[i] ?? '';
      return field === '' ? [] : [[name, name === 'kernel' || name === 'limit' ? field : Number(field)] as const];
    });
    return Object.fromEntries(entries) as unknown as ResourceRow;
  });
}

/** LDS of a workgroup on every AMD GPU. */
export const LDS_BYTES = 65536;

/** What must not be, whatever the table says; and what got worse than the table. */
export function complaints(row: ResourceRow, committed: ResourceRow | undefined): readonly string[] {
  const found: string[] = [];
  if (row.scratch > 0 || row.spills > 0) found.push(`${row.spills} spills, ${row.scratch} bytes of scratch`);
  if (row.lds > LDS_BYTES) found.push(`${row.lds} bytes of LDS`);
  if (committed === undefined) return [...found, 'is not in the table'];
  for (const column of ['vgpr', 'agpr', 'sgpr', 'lds', ...LOOP_COLUMNS] as const) {
    const [now, before] = [row[column] ?? 0, committed[column] ?? 0];
    if (now > before) found.push(`${column} ${now}, was ${before}`);
  }
  return found;
}
