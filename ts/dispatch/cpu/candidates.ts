import { MatmulVariant } from '../args.ts';
import type { Candidate } from '../catalogue.ts';
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

const refuseExact: Rule = ({ precision }) =>
  precision === 'exact' ? 'it rounds activations to 8 bits, and precision is exact' : null;
const refuseFast: Rule = ({ precision }) =>
  precision === 'fast' ? 'it keeps f32 activations; precision is fast, so the integer kernels serve' : null;

/** In order of preference. */
export const CANDIDATES: readonly Candidate[] = [
  candidate(MatmulVariant.QuantGemv, 'quant_gemv', [refusePlain, refuseExact, single], {
    yields: never,
    because: ({ format }) => `one row: ${format!.name} weights are streamed once, integer dot products`,
  }),
  candidate(MatmulVariant.QuantGemvBatch, 'quant_gemv', [refusePlain, refuseExact, several], {
    yields: atMost('quantGemvRows'),
    because: (problem, t) =>
      `${rows(problem.m)} (at most ${crossOver(problem, t, 'quantGemvRows')}): weights are streamed once for all`,
  }),
  candidate(MatmulVariant.QuantGemm, 'quant_gemm', [refusePlain, refuseExact], {
    yields: never,
    because: (problem, t) =>
      `${rows(problem.m)} (above ${crossOver(problem, t, 'quantGemvRows')}): panels are unpacked once and reused`,
  }),
  candidate(MatmulVariant.QuantGemv, 'gemv', [refusePlain, refuseFast, single], {
    yields: never,
    because: ({ format }) => `one row, exact: ${format!.name} rows are decoded to f32 as they stream`,
  }),
  candidate(MatmulVariant.QuantGemvBatch, 'gemv', [refusePlain, refuseFast, several], {
    yields: atMost('exactGemvRows'),
    because: (problem, t) =>
      `${rows(problem.m)} (at most ${crossOver(problem, t, 'exactGemvRows')}), exact: each weight is decoded once`,
  }),
  candidate(MatmulVariant.QuantGemm, 'gemm', [refusePlain, refuseFast], {
    yields: never,
    because: (problem, t) =>
      `${rows(problem.m)} (above ${crossOver(problem, t, 'exactGemvRows')}), exact: panels are decoded to f32`,
  }),
  candidate(MatmulVariant.Gemv, 'gemv', [refuseQuantized], {
    yields: atMost('gemvRows'),
    because: (problem, t) =>
      `${rows(problem.m)} (at most ${crossOver(problem, t, 'gemvRows')}): b is streamed once, bound by memory`,
  }),
  candidate(MatmulVariant.GemmTiled, 'gemm', [refuseQuantized], {
    yields: never,
    because: (problem, t) =>
      `${rows(problem.m)} (above ${crossOver(problem, t, 'gemvRows')}): blocked for the caches, bound by arithmetic`,
  }),
  reference('matmul_reference', 'float64, one output at a time'),
];
