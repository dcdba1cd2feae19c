import { MAX_INT } from '../../kernels/metal/declare.ts';
import { MatmulVariant } from '../args.ts';
import type { Candidate } from '../catalogue.ts';
import { HOST_REFERENCE } from '../host-reference.ts';
import type { MatmulProblem } from '../problem.ts';
import {
  candidate,
  never,
  type Rule,
  reference,
  refusePlain,
  refuseQuantized,
  rows,
  several,
  single,
} from '../rules.ts';
import { streamedRows } from './cross-over.ts';
import { fittingTiles } from './shapes.ts';

const FLOATS: readonly (string | null)[] = ['f32', 'f16', 'bf16', null];

/** What no shader takes. */
const refuseSizes: Rule = ({ residualDType, biasDType, m, n, k }) => {
  if (!FLOATS.includes(residualDType) || !FLOATS.includes(biasDType)) return 'shaders add bias and residual as floats';
  return Math.max(m, n, k) > MAX_INT ? 'shaders count m, n and k in 32 bits' : null;
};
/** What is metal_gemv_affine's alone. */
const affineReason = ({ aDType, bDType, affine, gateAffine }: MatmulProblem): string | null => {
  if (affine !== null || gateAffine !== null) return 'the weights are affine';
  if (!FLOATS.includes(aDType)) return `a is ${aDType}`;
  return FLOATS.includes(bDType) ? null : `b is ${bDType}`;
};
const refuseOperands: Rule = (problem, capabilities) => {
  const reason = affineReason(problem);
  return reason === null ? refuseSizes(problem, capabilities) : `${reason}, which metal_gemv_affine reads`;
};
const refuseFloats: Rule = (problem) =>
  affineReason(problem) === null ? 'neither operand is of integers: other kernels serve' : null;

/** Weights of which neighbours in memory belong to neighbouring columns: a [k, n] matrix as it stands. */
export const alongRows = ({ b }: MatmulProblem): boolean => b.strides[0] === 1 && b.strides[1] !== 1;
const refuseAlongRows: Rule = (problem) => (alongRows(problem) ? 'b lies along n, which metal_gemv_t streams' : null);
const refuseAlongK: Rule = (problem) => (alongRows(problem) ? null : 'b does not lie along n; metal_gemv streams it');

const needsMatrix: Rule = (_, { simdgroupMatrix }) =>
  simdgroupMatrix === true ? null : 'the device has no simdgroup_matrix';
const needsTiles =
  (matrix: boolean): Rule =>
  (problem, capabilities) =>
    fittingTiles(problem, matrix, capabilities).length > 0
      ? null
      : `no tile fits the device's ${capabilities.maxThreadgroupBytes} bytes and ` +
        `${capabilities.maxThreadgroupThreads} threads of a threadgroup`;
const beside: Candidate['yields'] = (_, __, { simdgroupMatrix }) =>
  simdgroupMatrix === true ? 'metal_gemm has simdgroup_matrix, which multiplies faster' : null;

/** Policy: weights are streamed up to the cross-over. */
const streamed: Candidate['yields'] = (problem, tuning, capabilities) => {
  const { rows: most, entry } = streamedRows(problem, tuning, capabilities);
  return problem.m <= most ? null : `m = ${problem.m} is above ${entry}, where unpacking once pays`;
};
const upTo: Candidate['because'] = (problem, tuning, capabilities) =>
  `${rows(problem.m)} (at most ${streamedRows(problem, tuning, capabilities).entry})`;
const above: Candidate['because'] = (problem, tuning, capabilities) =>
  `${rows(problem.m)} (above ${streamedRows(problem, tuning, capabilities).entry})`;

/** In order of preference. */
export const CANDIDATES: readonly Candidate[] = [
  candidate(MatmulVariant.QuantGemv, 'metal_gemv', [refuseOperands, refusePlain, single], {
    yields: never,
    because: ({ format }) => `one row: ${format!.name} weights are streamed once, f32 sums`,
  }),
  candidate(MatmulVariant.QuantGemvBatch, 'metal_gemv', [refuseOperands, refusePlain, several], {
    yields: streamed,
    because: (...asked) => `${upTo(...asked)}: weights are streamed once for all`,
  }),
  candidate(MatmulVariant.QuantGemm, 'metal_gemm', [refuseOperands, refusePlain, needsMatrix, needsTiles(true)], {
    yields: never,
    because: (...asked) => `${above(...asked)}: tiles are decoded once and reused`,
  }),
  candidate(MatmulVariant.QuantGemm, 'metal_gemm_threads', [refuseOperands, refusePlain, needsTiles(false)], {
    yields: beside,
    because: (...asked) => `${above(...asked)}, and the device has no simdgroup_matrix`,
  }),
  candidate(MatmulVariant.Gemv, 'metal_gemv', [refuseOperands, refuseQuantized, refuseAlongRows], {
    yields: streamed,
    because: (...asked) => `${upTo(...asked)}: b is streamed once, bound by memory`,
  }),
  candidate(MatmulVariant.Gemv, 'metal_gemv_t', [refuseOperands, refuseQuantized, refuseAlongK], {
    yields: streamed,
    because: (...asked) => `${upTo(...asked)}: b is streamed once as it lies, along n`,
  }),
  candidate(MatmulVariant.GemmTiled, 'metal_gemm', [refuseOperands, refuseQuantized, needsMatrix, needsTiles(true)], {
    yields: never,
    because: (...asked) => `${above(...asked)}: tiled on simdgroup_matrix`,
  }),
  candidate(MatmulVariant.GemmTiled, 'metal_gemm_threads', [refuseOperands, refuseQuantized, needsTiles(false)], {
    yields: beside,
    because: (...asked) => `${above(...asked)}, and the device has no simdgroup_matrix`,
  }),
  candidate(MatmulVariant.Gemv, 'metal_gemv_affine', [refuseSizes, refuseQuantized, refuseFloats], {
    yields: never,
    because: (problem) => `${affineReason(problem)}: elements are decoded one at a time, f32 sums`,
  }),
  reference(HOST_REFERENCE, 'float64 on the JavaScript thread'),
];
