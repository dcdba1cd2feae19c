import { launch } from '../../ts/device/command-list.ts';
import type { QuantizedTensor, Tensor } from '../../ts/device/tensor.ts';
import { dequantize } from '../../ts/kernels/elementwise.ts';
import { DTYPES, type DType } from '../../ts/tensor/dtype.ts';
import { QuantFormat } from '../../ts/tensor/quant-format.ts';
import { limitOf } from '../limits/roofline.ts';
import { bound, fixed, milliseconds, share, spread } from '../report/format.ts';
import { summarize } from '../stats/summary.ts';
import { measure, type Operation } from './measure.ts';
import { environmentOf, type Session } from './session.ts';
import type { Suite, SuiteResult } from './suite.ts';
import { copiesFor, WeightCopies, weightBytes } from './weights.ts';

/** Formats that have something to decode. */
export const DEQUANT_FORMATS: readonly string[] = QuantFormat.list().map(({ name }) => name);

export interface DequantSuiteOptions {
  readonly formats: readonly string[];
  readonly n: readonly number[];
  readonly k: readonly number[];
  /** What is decoded to. */
  readonly to: DType;
}

export interface DequantResult extends SuiteResult {
  readonly suite: 'dequant';
  readonly format: string;
  readonly to: DType;
  readonly n: number;
  readonly k: number;
  readonly threads: number;
  readonly isa: string;
  /** Billion weights a second at the median. */
  readonly gweights: number;
  /** Blocks read and floats written, each counted once. */
  readonly bytes: number;
}

async function* run(session: Session, options: DequantSuiteOptions): AsyncGenerator<DequantResult, void, undefined> {
  for (const format of options.formats) {
    for (const n of options.n) {
      for (const k of options.k) {
        session.signal.throwIfAborted();
        session.progress.update(`dequant ${format} ${n}x${k}: preparing weights`);
        yield await measureOne(session, { format, to: options.to, n, k });
      }
    }
  }
}

async function measureOne(
  session: Session,
  problem: { readonly format: string; readonly to: DType; readonly n: number; readonly k: number },
): Promise<DequantResult> {
  const { device, limits } = session;
  const { format, to, n, k } = problem;
  const written = n * k * DTYPES[to].bytes;
  const bytes = weightBytes(format, n, k) + written;
  // As many copies as it takes to keep both sides out of the caches; the written one is the larger.
  const copies = copiesFor(written, device.capabilities.memoryBytes);
  using weights = new WeightCopies(device, { format, n, k, seed: session.seed, copies });
  const outs: Tensor[] = [];
  try {
    for (let i = 0; i < copies; i++) outs.push(device.empty([n, k], { dtype: to }));
    const operations = outs.map((out, i) => operationOf(weights.copies[i] as QuantizedTensor, out, session.signal));
    session.progress.update('measuring what the machine can do at most');
    const peak = await limits.peak('f32');
    const launchMs = await limits.launchMs();
    const measured = await measure(session, operations, `dequant ${format} ${n}x${k}`);
    const ms = summarize(measured.samples);
    const bandwidth = summarize(measured.bandwidth);
    const ceilings = { bandwidthGbps: bandwidth.p50, peakGops: peak.gops, peakKind: peak.kind, launchMs };
    return {
      suite: 'dequant',
      format,
      to,
      n,
      k,
      threads: device.capabilities.computeUnits,
      isa: device.capabilities.architecture,
      ms,
      wallMs: summarize(measured.wall),
      gweights: (n * k) / ms.p50 / 1e6,
      gbps: bytes / ms.p50 / 1e6,
      bytes,
      // One multiply-add a weight at least.
      limit: limitOf({ bytes, operations: 2 * n * k, launches: 1 }, ceilings, ms.p50),
      bandwidth,
      method: measured.method,
      environment: environmentOf(device),
    };
  } finally {
    for (const out of outs) out.dispose();
  }
}

function operationOf(weights: QuantizedTensor, out: Tensor, signal: AbortSignal): Operation {
  const { format, shape, binding, rowBytes, device } = weights;
  const [n, k] = shape as readonly [number, number];
  const commands = [
    launch(dequantize, {
      buffers: { src: binding, dst: out.binding },
      constants: { format: format.id!, dst_dtype: DTYPES[out.dtype].id },
      params: { n, k, src_row_bytes: rowBytes, dst_stride: [k, 1] },
    }),
  ];
  return { commands, call: () => device.submit(commands, { signal }).done };
}

export const dequantSuite: Suite<DequantSuiteOptions, DequantResult> = {
  name: 'dequant',
  check({ formats, k }) {
    for (const format of formats) for (const size of k) weightBytes(format, 1, size);
  },
  run,
  columns: [
    { header: 'format', cell: ({ format }) => format },
    { header: 'to', cell: ({ to }) => to },
    { header: 'n', align: 'right', cell: ({ n }) => String(n) },
    { header: 'k', align: 'right', cell: ({ k }) => String(k) },
    { header: 'ms', align: 'right', cell: ({ ms }) => milliseconds(ms.p50) },
    { header: 'p5..p95', align: 'right', cell: ({ ms }) => spread(ms) },
    { header: 'call', align: 'right', cell: ({ wallMs }) => milliseconds(wallMs.p50) },
    { header: 'Gweights/s', align: 'right', cell: ({ gweights }) => fixed(gweights, 2) },
    { header: 'GB/s', align: 'right', cell: ({ gbps }) => fixed(gbps, 1) },
    { header: 'limit', cell: ({ limit }) => bound(limit) },
    { header: 'share', align: 'right', cell: ({ limit }) => share(limit.share) },
  ],
};
