import type { Tensor } from '../../ts/device/tensor.ts';
import type { MatmulArgs, MatmulVariant, Precision } from '../../ts/dispatch/args.ts';
import { MatmulDispatcher } from '../../ts/dispatch/dispatcher.ts';
import { TilewrightError } from '../../ts/errors.ts';
import { QuantFormat } from '../../ts/tensor/quant-format.ts';
import type { PeakKind } from '../limits/peak.ts';
import { limitOf } from '../limits/roofline.ts';
import { bound, fixed, milliseconds, share, spread } from '../report/format.ts';
import { normals } from '../stats/random.ts';
import { summarize } from '../stats/summary.ts';
import { measure } from './measure.ts';
import { environmentOf, type Session } from './session.ts';
import type { Suite, SuiteResult } from './suite.ts';
import { WeightCopies, weightBytes } from './weights.ts';

export interface MatmulSuiteOptions {
  readonly formats: readonly string[];
  readonly m: readonly number[];
  readonly n: readonly number[];
  readonly k: readonly number[];
  /** Of block-quantized weights. */
  readonly precision: Precision;
  readonly variant: MatmulVariant | undefined;
  /** Told of combinations that no kernel takes. */
  readonly skipped: (what: string, why: string) => void;
}

export interface MatmulResult extends SuiteResult {
  readonly suite: 'matmul';
  readonly format: string;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly variant: MatmulVariant;
  readonly kernel: string;
  readonly reason: string;
  readonly precision: Precision;
  readonly threads: number;
  readonly isa: string;
  /** Billion operations a second at the median; 2 * m * n * k operations. */
  readonly gflops: number;
  /** Weights, activations and result, each counted once. */
  readonly bytes: number;
}

/** Kernels that multiply in integers; all others work in f32. */
const INTEGER_KERNELS: ReadonlySet<string> = new Set(['quant_gemv', 'quant_gemm']);

async function* run(session: Session, options: MatmulSuiteOptions): AsyncGenerator<MatmulResult, void, undefined> {
  using dispatcher = new MatmulDispatcher(session.device);
  for (const format of options.formats) {
    for (const n of options.n) {
      for (const k of options.k) {
        session.progress.update(`matmul ${format} ${n}x${k}: preparing weights`);
        using weights = new WeightCopies(session.device, { format, n, k, seed: session.seed });
        for (const m of options.m) {
          session.signal.throwIfAborted();
          try {
            yield await measureOne(session, dispatcher, options, weights, { format, m, n, k });
          } catch (error) {
            if (!(error instanceof TilewrightError) || error.code !== 'ERR_NO_KERNEL') throw error;
            options.skipped(`${format} m=${m} n=${n} k=${k}`, error.message);
          }
        }
      }
    }
  }
}

async function measureOne(
  session: Session,
  dispatcher: MatmulDispatcher,
  options: MatmulSuiteOptions,
  weights: WeightCopies,
  problem: { readonly format: string; readonly m: number; readonly n: number; readonly k: number },
): Promise<MatmulResult> {
  const { device, limits } = session;
  const { format, m, n, k } = problem;
  const precision = QuantFormat.has(format) ? options.precision : 'exact';
  using a: Tensor = device.tensor(normals(session.seed + 1, m * k), { shape: [m, k] });
  using out: Tensor = device.empty([m, n]);
  const argsOf = (b: WeightCopies['copies'][number]): MatmulArgs => ({
    a,
    b,
    transposeB: true,
    out,
    precision,
    variant: options.variant,
  });
  const { variant, kernel, reason } = dispatcher.select(argsOf(weights.copies[0]!));
  // Each encoded on its own, so that each rounds its activations: a list encoded together would share that.
  const operations = weights.copies.map((b) => ({
    commands: dispatcher.encode(argsOf(b)).commands,
    call: () => dispatcher.matmul(argsOf(b), { signal: session.signal }),
  }));
  const peakKind: PeakKind = INTEGER_KERNELS.has(kernel) ? 'int8' : 'f32';
  session.progress.update('measuring what the machine can do at most');
  const peak = await limits.peak(peakKind);
  const launchMs = await limits.launchMs();

  const measured = await measure(session, operations, `matmul ${format} m=${m} n=${n} k=${k}`);
  const ms = summarize(measured.samples);
  const bandwidth = summarize(measured.bandwidth);
  const bytes = weightBytes(format, n, k) + (m * k + m * n) * Float32Array.BYTES_PER_ELEMENT;
  const work = { bytes, operations: 2 * m * n * k, launches: operations[0]!.commands.length };
  return {
    suite: 'matmul',
    format,
    m,
    n,
    k,
    variant,
    kernel,
    reason,
    precision,
    threads: device.capabilities.computeUnits,
    isa: device.capabilities.architecture,
    ms,
    wallMs: summarize(measured.wall),
    gflops: work.operations / ms.p50 / 1e6,
    gbps: bytes / ms.p50 / 1e6,
    bytes,
    limit: limitOf(work, { bandwidthGbps: bandwidth.p50, peakGops: peak.gops, peakKind: peak.kind, launchMs }, ms.p50),
    bandwidth,
    method: measured.method,
    environment: environmentOf(device),
  };
}

export const matmulSuite: Suite<MatmulSuiteOptions, MatmulResult> = {
  name: 'matmul',
  check({ formats, k }) {
    for (const format of formats) for (const size of k) weightBytes(format, 1, size);
  },
  run,
  columns: [
    { header: 'format', cell: ({ format }) => format },
    { header: 'm', align: 'right', cell: ({ m }) => String(m) },
    { header: 'n', align: 'right', cell: ({ n }) => String(n) },
    { header: 'k', align: 'right', cell: ({ k }) => String(k) },
    { header: 'variant', cell: ({ variant }) => variant },
    { header: 'ms', align: 'right', cell: ({ ms }) => milliseconds(ms.p50) },
    { header: 'p5..p95', align: 'right', cell: ({ ms }) => spread(ms) },
    { header: 'call', align: 'right', cell: ({ wallMs }) => milliseconds(wallMs.p50) },
    { header: 'GFLOP/s', align: 'right', cell: ({ gflops }) => fixed(gflops, 0) },
    { header: 'GB/s', align: 'right', cell: ({ gbps }) => fixed(gbps, 1) },
    { header: 'limit', cell: ({ limit }) => bound(limit) },
    { header: 'share', align: 'right', cell: ({ limit }) => share(limit.share) },
  ],
};
