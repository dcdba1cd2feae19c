import type { Capabilities } from '../../device/backend.ts';
import { ceilDiv, product } from '../../kernels/metal/declare.ts';
import { GEMM_TILES } from '../../kernels/metal/matmul.ts';
import type { MatmulProblem } from '../problem.ts';
import { weightsOf } from '../rules.ts';
import { type CrossOver, entryName, originOf, showEntry, type TuningEntry } from '../tuning.ts';
import { coresOf } from './tuning.ts';

/** Rows of `a` up to which weights are streamed by a GEMV, and the entry of the tuning that says so. */
export interface StreamedRows {
  readonly rows: number;
  readonly entry: string;
}

/** The tile that takes over has 64 columns. */
const TILE_COLUMNS = GEMM_TILES[0]!.n;
/** Threadgroups per core from which tiles keep a chip busy. */
const BUSY_GROUPS = 3;

/**
 * The cross-over of a problem. One that was measured or given counts as it is. By default it follows the tiles that would
 * take over (docs/cost-model.md): where they would leave half of the cores without a threadgroup, weights are streamed for
 * more rows; where block-quantized ones keep every core busy, for fewer.
 */
export function streamedRows(problem: MatmulProblem, tuning: TuningEntry, capabilities: Capabilities): StreamedRows {
  const { n, batch, format, precision } = problem;
  const name: CrossOver = format === null ? 'gemvRows' : precision === 'fast' ? 'quantGemvRows' : 'exactGemvRows';
  const entry = entryName(tuning, name, weightsOf(problem));
  const own = { rows: tuning[entry]!, entry: showEntry(tuning, entry) };
  if (originOf(tuning, entry) !== 'default' || capabilities.simdgroupMatrix !== true) return own;
  const groups = ceilDiv(n, TILE_COLUMNS) * product(batch);
  const cores = coresOf(capabilities);
  const other = (special: string) => ({ rows: tuning[special]!, entry: showEntry(tuning, special) });
  const idle = other('idleGemvRows');
  if (2 * groups <= cores) return idle.rows > own.rows ? idle : own;
  const busy = other('busyGemvRows');
  return format !== null && groups >= BUSY_GROUPS * cores && busy.rows < own.rows ? busy : own;
}
