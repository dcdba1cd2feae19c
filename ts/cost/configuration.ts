import type { MetalPlan } from '../dispatch/metal/plan.ts';
import { GEMM_TILES, THREAD_TILES, type Tile } from '../kernels/metal/matmul.ts';

/** How a Metal kernel divides a matmul: the constants of its launch that cost depends on. */
export interface MetalConfiguration {
  readonly kernel: string;
  /** GEMV: outputs along n and m of a simdgroup, and simdgroups that share k. */
  readonly rows: number;
  readonly columns: number;
  readonly split: number;
  /** GEMV: simdgroups of a threadgroup. */
  readonly simdgroups: number;
  /** GEMM: place in `GEMM_TILES` or `THREAD_TILES`, and bytes of an element of the tile. */
  readonly tile: number;
  readonly tileBytes: 2 | 4;
  /** A tile of `metal_gemm`'s kind that is none of the package's, in place of `tile`. */
  readonly shape?: Tile;
  /** Cycles that decoding a weight takes in a kernel that is none of the package's. */
  readonly decodeCycles?: number;
}

/** The tile of a `metal_gemm`. */
export const tileOf = ({ tile, shape }: MetalConfiguration): Tile => shape ?? GEMM_TILES[tile]!;

/** The configuration of a plan, as the dispatcher makes it. */
export function configurationOf({ kernel, constants: c }: MetalPlan): MetalConfiguration {
  const { rows, columns, split, simdgroups, tile } = c;
  return { kernel, rows, columns, split, simdgroups, tile, tileBytes: c.tile_dtype === 1 ? 2 : 4 };
}

/** `r4 c1 split 2 of 4`, `64x32x32 2x2 f16`. */
export function configurationLabel({ kernel, ...c }: MetalConfiguration): string {
  switch (kernel) {
    case 'metal_gemm': {
      const { m, n, k, wm, wn } = tileOf({ kernel, ...c });
      return `${m}x${n}x${k} ${wm}x${wn} ${c.tileBytes === 2 ? 'f16' : 'f32'}`;
    }
    case 'metal_gemm_threads': {
      const { m, n, k } = THREAD_TILES[c.tile]!;
      return `${m}x${n}x${k}`;
    }
    case 'metal_gemv':
      return `r${c.rows} c${c.columns} ${c.split > 1 ? `split ${c.split} of ${c.simdgroups}` : `x${c.simdgroups}`}`;
    default:
      return `c${c.columns} x${c.simdgroups}`;
  }
}
