import type { BackendName } from '../device/backend.ts';
import { TilewrightError } from '../errors.ts';
import type { MatmulCatalogue } from './catalogue.ts';
import { cpuMatmul } from './cpu/matmul.ts';
import { hipMatmul } from './hip/matmul.ts';
import { metalMatmul } from './metal/matmul.ts';

/** By back end, each with a folder of its own here. */
const CATALOGUES: Readonly<Partial<Record<BackendName, MatmulCatalogue>>> = {
  cpu: cpuMatmul,
  metal: metalMatmul,
  hip: hipMatmul,
};

export function matmulCatalogue(backend: BackendName): MatmulCatalogue {
  const catalogue = CATALOGUES[backend];
  if (catalogue !== undefined) return catalogue;
  throw new TilewrightError('ERR_BACKEND_UNAVAILABLE', `The ${backend} back end has no matmul kernels.`);
}
