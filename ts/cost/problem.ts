import type { Capabilities } from '../device/backend.ts';
import type { Precision } from '../dispatch/args.ts';
import type { MatmulProblem } from '../dispatch/problem.ts';
import { TilewrightError } from '../errors.ts';
import { METAL_KERNELS } from '../kernels/metal/catalogue.ts';
import { SIMD } from '../kernels/metal/declare.ts';
import { DTYPES, type DType } from '../tensor/dtype.ts';
import { QuantFormat } from '../tensor/quant-format.ts';
import type { Chip } from './chips.ts';

export interface PlainMatmul {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** A dtype, or a block format. */
  readonly weights: string;
  /** Defaults to f32. */
  readonly aDType?: DType;
  /** Defaults to `fast`, as inference runs. */
  readonly precision?: Precision;
  /** With a second weight of the same shape: the fused GLU forms. */
  readonly gate?: boolean;
}

/** A row-major a times row-major weights [n, k], without a device or tensors. */
export function plainProblem({
  m,
  n,
  k,
  weights,
  aDType = 'f32',
  precision = 'fast',
  gate,
}: PlainMatmul): MatmulProblem {
  const format = Object.hasOwn(DTYPES, weights) ? null : QuantFormat.get(weights);
  if (format !== null && k % format.blockSize !== 0) {
    throw new TilewrightError(
      'ERR_SHAPE_MISMATCH',
      `Rows of ${k} weights are not a whole number of ${format.name} blocks of ${format.blockSize}.`,
    );
  }
  const row = format === null ? k : (k / format.blockSize) * format.blockBytes;
  const b = { strides: [row, 1] as const, batch: [] };
  return {
    ...{ m, n, k, batch: [], outShape: [m, n], aDType, outDType: 'f32', residualDType: null, biasDType: null },
    bDType: format === null ? (weights as DType) : null,
    format,
    a: { strides: [k, 1], batch: [] },
    b,
    gate: gate === true ? b : null,
    out: { strides: [n, 1], batch: [] },
    ...{ residual: null, biasStride: 0, gateBiasStride: 0, hasBias: false, hasGateBias: false },
    ...{ affine: null, gateAffine: null, alpha: 1, beta: 0, activation: 'none', precision },
  };
}

const kernels = new Set([...METAL_KERNELS.map(({ name }) => name), 'host_reference']);

/** What a device of that chip would say of itself. */
export function chipCapabilities({ deviceName, architecture, cores }: Chip): Capabilities {
  return {
    ...{ backend: 'metal', deviceName, architecture, computeUnits: cores, memoryBytes: 0, int8Dot: false, kernels },
    ...{ waveSize: SIMD, maxThreadgroupBytes: 32768, maxThreadgroupThreads: 1024, simdgroupMatrix: true },
    ...{ bfloat: true, unifiedMemory: true },
  };
}
