// How much of a GEMV or GEMM each workgroup takes. It only grows as the problem does.
import type { Capabilities } from '../../device/backend.ts';
import { ceilDiv, product } from '../../kernels/hip/declare.ts';
import { MAX_GRID, MAX_SPLITS, type Tile } from '../../kernels/hip/gemm.ts';
import { hipGemvColumns, hipGemvOutputs, hipGemvRows, hipGemvWaves, maxWaves } from '../../kernels/hip/gemv.ts';
import type { MatmulProblem } from '../problem.ts';
import type { TuningEntry } from '../tuning.ts';
import { gateOf } from './params.ts';
import { entry } from './tuning.ts';

export interface GemvShape {
  /** Rows of a and of weights that a wave multiplies: an instance. */
  readonly columns: number;
  readonly rows: number;
  /** 2^splitShift waves share the work of one group of outputs along k; a workgroup has `groups` groups. */
  readonly splitShift: number;
  readonly groups: number;
}

export function gemvShape(problem: MatmulProblem, capabilities: Capabilities, tuning: TuningEntry): GemvShape {
  const { m, n, k, batch, format } = problem;
  const columns = hipGemvColumns(capabilities.architecture, format!.id!, m);
  const gate = gateOf(problem);
  const passes = ceilDiv(m, columns) * product(batch);
  const perUnit = (n * product(batch)) / capabilities.computeUnits;
  const rows = hipGemvRows(capabilities.architecture, columns, gate, perUnit);
  const constants = { b_dtype: format!.id!, columns, rows, gate, wave: capabilities.waveSize! };
  const outputs = ceilDiv(n, hipGemvOutputs(constants)) * passes;
  const most = hipGemvWaves(constants);
  return { columns, rows, ...workgroup(outputs, k, format!.name, columns, capabilities, tuning, most) };
}

/** How the waves of a workgroup, at most `most`, share `outputs` groups of outputs, and k. */
export function workgroup(
  outputs: number,
  k: number,
  format: string,
  columns: number,
  capabilities: Capabilities,
  tuning: TuningEntry,
  most = maxWaves(capabilities.waveSize!),
): Pick<GemvShape, 'splitShift' | 'groups'> {
  const of = (name: 'gemvWaves' | 'wavesPerUnit' | 'splitK') => entry(tuning, name, format, columns);
  const waves = Math.min(most, 2 ** Math.floor(Math.log2(of('gemvWaves'))));
  // Waves that the outputs give by themselves; k is split until every compute unit has enough to hide its loads.
  const wanted = of('wavesPerUnit') * capabilities.computeUnits;
  let splitShift = 0;
  while (
    2 ** (splitShift + 1) <= most &&
    outputs * 2 ** splitShift < wanted &&
    k >= of('splitK') * 2 ** (splitShift + 1)
  ) {
    splitShift++;
  }
  return { splitShift, groups: Math.max(1, waves >> splitShift) };
}

export interface GemmShape extends Tile {
  /** Workgroups that share a tile along k. */
  readonly splits: number;
}

/**
 * The tile of a GEMM, the largest of `tiles` that is not half empty and gives work to every other compute unit, and how
 * many workgroups share one along k: as many as are to run beside each other, while each has its `gemmSplitK` of k.
 */
export function gemmShape(
  { m, n, k, batch, gate, format }: MatmulProblem,
  { computeUnits, kernels }: Capabilities,
  tuning: TuningEntry,
  tiles: readonly Tile[],
): GemmShape {
  const shares = Math.min(MAX_SPLITS, Math.floor(k / entry(tuning, 'gemmSplitK', format!.name)));
  const most = kernels.has('hip_gemm_sum') && m <= MAX_GRID ? Math.max(1, shares) : 1;
  const workgroupsOf = (tile: Tile) =>
    ceilDiv(m, tile.m) * ceilDiv(n, gate === null ? tile.n : tile.n / 2) * product(batch);
  const tile = tiles.findLast((own) => 2 * m > own.m && 2 * most * workgroupsOf(own) >= computeUnits) ?? tiles[0]!;
  const workgroups = Math.max(1, workgroupsOf(tile));
  const room = computeUnits * entry(tuning, 'gemmGroups', format!.name);
  return { ...tile, splits: Math.max(1, Math.min(most, Math.floor(room / workgroups))) };
}
