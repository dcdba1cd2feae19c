import { MAX_INT } from '../../kernels/hip/declare.ts';
import { HIP_GEMV_SHAPES, hipBlockAlignment } from '../../kernels/hip/gemv.ts';
import { MatmulVariant } from '../args.ts';
import type { Candidate } from '../catalogue.ts';
import { HOST_REFERENCE } from '../host-reference.ts';
import type { MatmulProblem } from '../problem.ts';
import { candidate, never, type Rule, reference, refusePlain, rows, several, single } from '../rules.ts';
import type { TuningEntry } from '../tuning.ts';
import { entry } from './tuning.ts';

const FLOATS: readonly (string | null)[] = ['f32', 'f16', 'bf16', null];
/** Workgroups along y and z that every driver takes: rows of a, and batches. */
const MAX_GRID = 65535;

/** What no kernel reads. */
const refuseOperands: Rule = ({ aDType, bDType, affine, gateAffine, residualDType, biasDType, m, n, k, batch }) => {
  if (affine !== null || gateAffine !== null) return 'affine integer weights are not read by the GPU kernels';
  if (!FLOATS.includes(aDType)) return `a is ${aDType}; the kernels read f32, f16 and bf16`;
  if (!FLOATS.includes(bDType)) return `b is ${bDType}; the kernels read f32, f16, bf16 and block formats`;
  if (!FLOATS.includes(residualDType) || !FLOATS.includes(biasDType)) return 'bias and residual are floats';
  if (Math.max(n, k) > MAX_INT) return 'n and k are counted in 31 bits';
  if (m > MAX_GRID || batch.reduce((x, y) => x * y, 1) > MAX_GRID) return `more than ${MAX_GRID} rows or batches`;
  return null;
};

const refuseExact: Rule = ({ precision }) =>
  precision === 'exact' ? 'it rounds activations to 8 bits, and precision is exact' : null;

/** Rows of blocks where the loads of their format want them. */
const refuseRows: Rule = ({ format, b, gate }) => {
  const unit = hipBlockAlignment(format!.id!);
  const strides = [b.strides[0], ...b.batch, ...(gate === null ? [] : [gate.strides[0], ...gate.batch])];
  if (strides.every((stride) => stride % unit === 0)) return null;
  return `rows of ${format!.name} start at multiples of ${unit} bytes`;
};

const quantLimit = ({ format }: MatmulProblem, tuning: TuningEntry) =>
  format === null ? tuning.quantGemvRows : entry(tuning, 'quantGemvRows', format.name);
const onePass = Math.max(...HIP_GEMV_SHAPES.map(([columns]) => columns));

const quantized = [refuseOperands, refusePlain, refuseExact, refuseRows] as const;

/** In order of preference. */
export const CANDIDATES: readonly Candidate[] = [
  candidate(MatmulVariant.QuantGemv, 'hip_gemv', [...quantized, single], {
    yields: never,
    because: ({ format }) => `one row: ${format!.name} weights are streamed once, integer dot products`,
  }),
  candidate(MatmulVariant.QuantGemvBatch, 'hip_gemv', [...quantized, several], {
    yields: (problem, tuning) => {
      const limit = quantLimit(problem, tuning);
      if (problem.m <= limit) return null;
      return `m = ${problem.m} is above quantGemvRows = ${limit}, where unpacking once pays`;
    },
    because: (problem, tuning) =>
      `${rows(problem.m)} (at most quantGemvRows = ${quantLimit(problem, tuning)}): weights are streamed once for ` +
      `${problem.m <= onePass ? 'all' : `every ${onePass}`}`,
  }),
  reference(HOST_REFERENCE, 'float64 on the JavaScript thread'),
];
