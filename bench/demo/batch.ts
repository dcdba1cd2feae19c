import { median } from 'd3-array';
import type { MatmulDispatcher } from '../../ts/dispatch/dispatcher.ts';
import { type BatchMatmulResult, BatchQuantizedMatmul, type GGUFModel, type QuantizedTensor } from '../../ts/index.ts';
import { normals } from '../stats/random.ts';

export interface BatchReport {
  readonly ops: readonly {
    readonly name: string;
    readonly format: string;
    readonly variant: string;
    readonly ms: number;
  }[];
  /** The whole batch on the device. */
  readonly totalMs: number;
  /** Awaiting the batch, and awaiting one call after the other. */
  readonly batchCallMs: number;
  readonly singleCallsMs: number;
}

const ROUNDS = 31;

/** Several quantized weights of one width, of whatever formats, in one submit; and one by one, for comparison. */
export async function runBatch(
  model: GGUFModel,
  dispatcher: MatmulDispatcher,
  names: readonly string[],
): Promise<BatchReport> {
  const { device } = dispatcher;
  using batch = new BatchQuantizedMatmul(dispatcher);
  const weights = names.map((name) => model.tensor(name) as QuantizedTensor);
  const k = weights[0]!.shape[1]!;
  using input = device.tensor(normals(3, k), { shape: [1, k] });
  const ops = weights.map((weight, i) => ({
    weights: weight,
    label: names[i]!,
    out: device.empty([1, weight.shape[0]!]),
  }));
  const runs: { result: BatchMatmulResult; callMs: number }[] = [];
  const single: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const begin = performance.now();
    const result = await batch.run(input, ops);
    runs.push({ result, callMs: performance.now() - begin });
    const start = performance.now();
    for (const { weights: b, out } of ops) await dispatcher.matmul({ a: input, b, transposeB: true, out });
    single.push(performance.now() - start);
  }
  for (const { weights: b, out } of ops) {
    b.dispose();
    out.dispose();
  }
  return {
    ops: ops.map(({ label, weights: { format } }, i) => ({
      name: label,
      format: format.name,
      variant: runs[0]!.result.selections[i]!.variant,
      ms: median(runs, ({ result }) => result.timingsMs[i]!)!,
    })),
    totalMs: median(runs, ({ result }) => result.totalMs)!,
    batchCallMs: median(runs, ({ callMs }) => callMs)!,
    singleCallsMs: median(single)!,
  };
}
