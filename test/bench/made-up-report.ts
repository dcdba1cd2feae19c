import type { Baseline } from '../../bench/baseline/file.ts';
import { BASELINE_FORMAT, BASELINE_VERSION } from '../../bench/baseline/schema.ts';
import { limitOf } from '../../bench/limits/roofline.ts';
import type { ReportInput } from '../../bench/report/html/input.ts';
import { buildReport, type Report } from '../../bench/report/html/model.ts';
import type { Sweep } from '../../bench/report/html/sweep-file.ts';
import type { SuiteResult } from '../../bench/suites/suite.ts';
import { result } from './made-up.ts';

/** What nobody should put into a report. */
export const HOSTILE = `"><img src=x onerror=alert(1)>'</script><script>alert(2)</script>\u202e`;

const CEILINGS = { bandwidthGbps: 50, peakGops: 500, peakKind: 'int8', launchMs: 1e-3 } as const;
const FORMATS = ['q4_k', 'q8_0', 'f32'] as const;

/** Results of three formats and three sizes, as `bench matmul --json` has them; one of them with a hostile name. */
export function madeUpResults(slower: readonly number[] = []): readonly SuiteResult[] {
  const key = slower.join();
  const known = made.get(key) ?? makeUp(slower);
  made.set(key, known);
  return known;
}

/** Their intervals take a while. */
const made = new Map<string, readonly SuiteResult[]>();

function makeUp(slower: readonly number[]): SuiteResult[] {
  let seed = 0;
  return FORMATS.flatMap((format, f) =>
    [1, 8, 512].map((m, i): SuiteResult => {
      const ms = (0.4 + 0.1 * m * (f + 1)) * (slower[3 * f + i] ?? 1);
      const work = { bytes: 2e7 * (f + 1) + 1e4 * m, operations: 3.3e7 * m, launches: 2 };
      const own = result(++seed, { ms });
      const name = f === 2 && i === 2 ? HOSTILE : `${format} m=${m} n=4096 k=4096 fast`;
      return {
        ...own,
        case: name,
        gflops: work.operations / own.ms.p50 / 1e6,
        gbps: work.bytes / own.ms.p50 / 1e6,
        limit: limitOf(work, CEILINGS, own.ms.p50),
        ...{
          format,
          variant: 'QuantGemv',
          kernel: 'quant_gemv',
          reason: 'few rows',
          candidates: [
            { variant: 'QuantGemv', kernel: 'quant_gemv', verdict: 'chosen', reason: 'few rows' },
            { variant: 'QuantGemm', kernel: 'quant_gemm', verdict: 'passed over', reason: HOSTILE },
            { variant: 'GemmTiled', kernel: 'gemm_tiled', verdict: 'refused', reason: 'weights are quantized' },
          ],
        },
      };
    }),
  );
}

export function madeUpSweep(): Sweep {
  const shapes = [
    { format: 'q4_k', m: 512, n: 4096, k: 4096 },
    { format: 'f16', m: 64, n: 4096, k: 1024 },
  ];
  const results = shapes.flatMap((shape) =>
    [16, 32, 64, 128].flatMap((tileM) =>
      [32, 64, 128].flatMap((tileN) =>
        [2, 4].map((simdgroups) => {
          const configuration = { tileM, tileN, simdgroups };
          const far = Math.abs(Math.log2(tileM / 64)) + Math.abs(Math.log2(tileN / 64));
          const fits = tileM * tileN < 128 * 128;
          return fits
            ? { shape, configuration, ms: (1 + 0.2 * far + 0.05 * (4 - simdgroups)) * shape.m }
            : { shape, configuration, ms: null, note: 'needs 36 KiB of threadgroup memory' };
        }),
      ),
    ),
  );
  return { format: 'tilewright-bench-sweep', version: 1, device: HOSTILE, results };
}

export const inputOf = (more: Partial<ReportInput> = {}): ReportInput => ({
  name: 'now.json',
  results: madeUpResults([1.3]),
  ab: [],
  sweeps: [],
  ...more,
});

export const baselineOf = (slower: readonly number[]): Baseline => ({
  format: BASELINE_FORMAT,
  version: BASELINE_VERSION,
  created: '2026-01-01T00:00:00.000Z',
  results: madeUpResults(slower),
});

/** Everything that a report can have in it. */
export function madeUpReport(): Report {
  const baseline = baselineOf([]);
  return buildReport([inputOf({ sweeps: [madeUpSweep()] })], {
    title: HOSTILE,
    threshold: 0.1,
    baseline: {
      path: `/tmp/${HOSTILE.replaceAll('/', '')}.json`,
      content: { ...baseline, results: baseline.results.slice(0, -1) },
    },
  });
}
