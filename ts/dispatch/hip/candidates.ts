import { MAX_INT, product } from '../../kernels/hip/declare.ts';
import { hipGemmDense, hipGemvDense } from '../../kernels/hip/dense.ts';
import { hipGemvExact } from '../../kernels/hip/exact.ts';
import { HIP_GEMM_BF16_TILES, HIP_GEMM_TILE, hipGemm, hipGemmBF16 } from '../../kernels/hip/gemm.ts';
import { HIP_GEMV_SHAPES, hipGemv, hipGemvColumns, hipGemvRows } from '../../kernels/hip/gemv.ts';
import { DTYPES, type DType } from '../../tensor/dtype.ts';
import { MatmulVariant } from '../args.ts';
import type { Candidate } from '../catalogue.ts';
import { HOST_REFERENCE } from '../host-reference.ts';
import type { MatmulProblem } from '../problem.ts';
import {
  atMost,
  candidate,
  crossOver,
  never,
  type Rule,
  reference,
  refusePlain,
  refuseQuantized,
  rows,
  several,
  single,
} from '../rules.ts';
import type { TuningEntry } from '../tuning.ts';
import { decodedMatrices, isAffine, MAX_MATRICES, panelRows, plain } from './decode.ts';
import { isDirect, keepActivations } from './keep.ts';
import { denseParams, gateOf, hipParams } from './params.ts';
import { type GemmShape, gemmShape } from './shapes.ts';

const isFloat = (dtype: DType | null): boolean => dtype === null || DTYPES[dtype].float;
/** Workgroups along y and z that every driver takes. */
const MAX_GRID = 65535;
/** Rows of a that are rounded to 8 bits: a workgroup each, whole groups of up to 8. */
const MAX_Q8_ROWS = MAX_GRID - 7;

/** What no kernel reads. */
const refuseOperands: Rule = ({ residualDType, biasDType, n, k, batch }) => {
  if (!isFloat(residualDType) || !isFloat(biasDType)) return 'bias and residual are floats';
  if (Math.max(n, k) > MAX_INT) return 'n and k are counted in 31 bits';
  return product(batch) > MAX_GRID ? `more than ${MAX_GRID} batches` : null;
};

const refuseExact: Rule = ({ precision }) =>
  precision === 'exact' ? 'it rounds activations, and precision is exact' : null;

/** Of activations that are rounded to 8 bits. */
const refuseRows: Rule = ({ m, aDType }) => {
  if (!isFloat(aDType)) return `a is ${aDType}; floats are rounded to 8 bits`;
  return m > MAX_Q8_ROWS ? `m = ${m}; at most ${MAX_Q8_ROWS} rows are rounded to 8 bits` : null;
};

/** What the kernel itself says of the form of a problem. */
const refuseGemv: Rule = (problem, { waveSize, architecture }) => {
  const columns = hipGemvColumns(architecture, problem.format!.id!, problem.m);
  const gate = gateOf(problem);
  const params = hipParams(problem);
  const rows = hipGemvRows(architecture, columns, gate, 0);
  return hipGemv.refuse(params, { b_dtype: params.b_dtype, columns, rows, gate, wave: waveSize! });
};
const refuseGemvExact: Rule = (problem, { waveSize }) => {
  const own = hipParams(problem);
  const params = isDirect(problem) ? own : { ...own, ...keepActivations(problem, 'f32').params };
  return hipGemvExact.refuse(params, { b_dtype: own.b_dtype, columns: 1, gate: gateOf(problem), wave: waveSize! });
};
const refuseGemm: Rule = (problem) => {
  const params = hipParams(problem);
  return hipGemm.refuse(params, { b_dtype: params.b_dtype, gate: gateOf(problem) });
};
const refuseGemmBF16: Rule = (problem) => {
  const params = { ...hipParams(problem), ...keepActivations(problem, 'bf16').params };
  const rows = HIP_GEMM_BF16_TILES[0].m;
  return hipGemmBF16.refuse(params, { b_dtype: params.b_dtype, rows, gate: gateOf(problem) });
};
const refuseGemvDense: Rule = (problem, { waveSize }) =>
  hipGemvDense.refuse(denseParams(problem), { order: 0, columns: 1, gate: gateOf(problem), wave: waveSize! });
const refuseTiles: Rule = (problem) => hipGemmDense.refuse(denseParams(problem), { product: 0, gate: gateOf(problem) });

const refuseMatrices: Rule = (problem) =>
  plain(problem) !== problem && decodedMatrices(problem) > MAX_MATRICES
    ? `more than ${MAX_MATRICES} matrices of weights to decode`
    : null;
/** How weights that are decoded first come to the kernel, at the end of a reason. */
const decoded = (problem: MatmulProblem, tuning: TuningEntry): string =>
  `decoded to f32 in working space, ${panelRows(problem, tuning)} rows at a time`;

const shared = ({ splits }: GemmShape): string =>
  splits === 1 ? '' : `; ${splits} workgroups share each along k, as there are few`;
const onePass = Math.max(...HIP_GEMV_SHAPES.map(([columns]) => columns));

const fast = [refuseOperands, refusePlain, refuseExact] as const;
const exact = [refuseOperands, refusePlain] as const;

/** In order of preference: those that keep f32 activations serve `fast`, too, where all that round refuse. */
export const CANDIDATES: readonly Candidate[] = [
  candidate(MatmulVariant.QuantGemv, 'hip_gemv', [...fast, refuseRows, refuseGemv, single], {
    yields: never,
    because: ({ format }) => `one row: ${format!.name} weights are streamed once, integer dot products`,
  }),
  candidate(MatmulVariant.QuantGemvBatch, 'hip_gemv', [...fast, refuseRows, refuseGemv, several], {
    yields: atMost('quantGemvRows'),
    because: (problem, tuning) =>
      `${rows(problem.m)} (at most ${crossOver(problem, tuning, 'quantGemvRows')}): weights are streamed once for ` +
      `${problem.m <= onePass ? 'all' : `every ${onePass}`}`,
  }),
  candidate(MatmulVariant.QuantGemm, 'hip_gemm_bf16', [...fast, refuseGemmBF16], {
    yields: never,
    because: (problem, tuning, capabilities) =>
      `${rows(problem.m)} (above ${crossOver(problem, tuning, 'quantGemvRows')}): tiles are decoded once and reused, ` +
      `products of bfloat16${shared(gemmShape(problem, capabilities, tuning, HIP_GEMM_BF16_TILES))}`,
  }),
  candidate(MatmulVariant.QuantGemm, 'hip_gemm', [...fast, refuseRows, refuseGemm], {
    yields: never,
    because: (problem, tuning, capabilities) =>
      `${rows(problem.m)} (above ${crossOver(problem, tuning, 'quantGemvRows')}): tiles are unpacked once and reused` +
      shared(gemmShape(problem, capabilities, tuning, [HIP_GEMM_TILE])),
  }),
  candidate(MatmulVariant.QuantGemv, 'hip_gemv_exact', [...exact, refuseGemvExact, single], {
    yields: never,
    because: ({ format }) => `one row, exact: ${format!.name} weights are decoded to f32 in registers as they stream`,
  }),
  candidate(MatmulVariant.QuantGemvBatch, 'hip_gemv_exact', [...exact, refuseGemvExact, several], {
    yields: atMost('exactGemvRows'),
    because: (problem, t) =>
      `${rows(problem.m)} (at most ${crossOver(problem, t, 'exactGemvRows')}), exact: weights are decoded to f32 as ` +
      'they stream',
  }),
  candidate(MatmulVariant.QuantGemm, 'hip_gemm_dense', [...exact, refuseMatrices, refuseTiles], {
    yields: never,
    because: (problem, t) =>
      `${rows(problem.m)} (above ${crossOver(problem, t, 'exactGemvRows')}), exact: weights are ${decoded(problem, t)}`,
  }),
  candidate(MatmulVariant.Gemv, 'hip_gemv_dense', [refuseOperands, refuseQuantized, refuseMatrices, refuseGemvDense], {
    yields: atMost('gemvRows'),
    because: (problem, t) =>
      `${rows(problem.m)} (at most ${crossOver(problem, t, 'gemvRows')}): b is ` +
      `${isAffine(problem) ? decoded(problem, t) : 'streamed once, bound by memory'}`,
  }),
  candidate(MatmulVariant.GemmTiled, 'hip_gemm_dense', [refuseOperands, refuseQuantized, refuseMatrices, refuseTiles], {
    yields: never,
    because: (problem, t) =>
      `${rows(problem.m)} (above ${crossOver(problem, t, 'gemvRows')}): tiled in LDS` +
      (isAffine(problem) ? `; b is ${decoded(problem, t)}` : ''),
  }),
  reference(HOST_REFERENCE, 'float64 on the JavaScript thread'),
];
