import { median } from 'd3-array';
import type { Weights } from '../../ts/dispatch/args.ts';
import type { MatmulDispatcher, Selection } from '../../ts/dispatch/dispatcher.ts';
import { type GGUFTensor, QuantizedTensor, rowBytes } from '../../ts/index.ts';
import type { GGUFModel } from '../../ts/ops/load-gguf.ts';
import { DTYPES } from '../../ts/tensor/dtype.ts';
import type { Limits } from '../limits/limits.ts';
import { type Limit, limitOf } from '../limits/roofline.ts';
import { normals } from '../stats/random.ts';
import { type Deviation, deviation } from './reference.ts';

/** One weight, multiplied once. */
export interface LayerResult {
  readonly tensor: GGUFTensor;
  readonly selection: Selection;
  readonly ms: number;
  readonly gbps: number;
  readonly gflops: number;
  readonly limit: Limit;
  readonly deviation: Deviation;
}

/** Each product is timed so often, every time after a bandwidth probe, which takes the weights out of the caches. */
const ROUNDS = 9;
/** Of the activations; none of the sample's tensors has it, as they would be alike. */
const SEED = 1000;

/** The weights of a model that are matrices. */
export const matrices = (model: GGUFModel): GGUFTensor[] => model.tensors.filter(({ shape }) => shape.length === 2);

/** Runs every matrix of the model with `m` rows of activations. */
export async function runLayers(
  model: GGUFModel,
  dispatcher: MatmulDispatcher,
  limits: Limits,
  m: number,
): Promise<LayerResult[]> {
  const results: LayerResult[] = [];
  for (const tensor of matrices(model)) {
    using weights = model.tensor(tensor.name);
    results.push({ tensor, ...(await runLayer(weights, dispatcher, limits, m)) });
  }
  return results;
}

async function runLayer(weights: Weights, dispatcher: MatmulDispatcher, limits: Limits, m: number) {
  const { device, precision } = dispatcher;
  const [n, k] = weights.shape as readonly [number, number];
  const values = normals(SEED, m * k);
  using a = device.tensor(values, { shape: [m, k] });
  using out = device.empty([m, n]);
  const { commands, selection } = dispatcher.encode({ a, b: weights, transposeB: true, out });
  const times: number[] = [];
  const bandwidth: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const { timings } = await device.submit([limits.probe.command, ...commands], { timings: true });
    bandwidth.push(limits.probe.gbps(timings[0]!.ms));
    times.push(timings.slice(1).reduce((sum, { ms }) => sum + ms, 0));
  }
  const ms = median(times)!;
  const peak = await limits.peak(selection.kernel.startsWith('quant_') ? 'int8' : 'f32');
  const work = { bytes: bytesOf(weights) + (m * k + m * n) * 4, operations: 2 * m * n * k, launches: commands.length };
  const ceilings = {
    bandwidthGbps: median(bandwidth)!,
    peakGops: peak?.gops ?? null,
    peakKind: peak?.kind ?? 'f32',
    launchMs: await limits.launchMs(),
  };
  return {
    selection,
    ms,
    gbps: work.bytes / ms / 1e6,
    gflops: work.operations / ms / 1e6,
    limit: limitOf(work, ceilings, ms),
    deviation: await deviation(values, weights, await out.read(), precision),
  };
}

function bytesOf(weights: Weights): number {
  const [n, k] = weights.shape as readonly [number, number];
  return n * (weights instanceof QuantizedTensor ? rowBytes(weights.format, k) : k * DTYPES[weights.dtype].bytes);
}
