import {
  type Chip,
  estimateModel,
  type ModelEstimate,
  type ModelShape,
  type ModelWeight,
  modelPass,
} from '../../ts/cost/index.ts';
import { type GGUFFile, QuantFormat, TilewrightError } from '../../ts/index.ts';
import { chosenConfiguration } from './matmul.ts';

export interface PredictedModel {
  readonly chip: string;
  readonly model: string;
  readonly prompt: number;
  readonly context: number;
  readonly decode: ModelEstimate;
  readonly prefill: ModelEstimate;
}

/** A model's tokens a second, its matmuls as the dispatcher's rules run them. */
export function predictModel(model: ModelShape, chip: Chip, prompt: number, context: number): PredictedModel {
  const choose = (problem: Parameters<typeof chosenConfiguration>[0]) => chosenConfiguration(problem, chip);
  const decode = estimateModel(modelPass(model, { tokens: 1, context, choose }), chip);
  const prefill = estimateModel(modelPass(model, { tokens: prompt, context: prompt, choose }), chip);
  return { chip: chip.name, model: model.name, prompt, context, decode, prefill };
}

const FLOATS = ['f32', 'f16', 'bf16'];

/** As much of a GGUF model as its speed depends on. @throws ERR_USAGE where it is no transformer of the usual kind. */
export function modelOfFile(file: GGUFFile): ModelShape {
  const architecture = String(file.metadata['general.architecture'] ?? '');
  const number = (key: string): number | undefined => {
    const value = file.metadata[`${architecture}.${key}`];
    return typeof value === 'number' || typeof value === 'bigint' ? Number(value) : undefined;
  };
  const needed = (key: string): number => {
    const value = number(key);
    if (value !== undefined && value > 0) return value;
    throw new TilewrightError('ERR_USAGE', `The model does not say its ${architecture || '(architecture)'}.${key}.`);
  };
  const layers = needed('block_count');
  const hidden = needed('embedding_length');
  const heads = needed('attention.head_count');
  const keyValueHeads = number('attention.head_count_kv') ?? heads;
  const experts = number('expert_count') ?? 0;
  const used = experts > 0 ? (number('expert_used_count') ?? 1) : 1;
  const matrices = new Map<string, ModelWeight>();
  const tied = !file.tensors.some(({ name }) => name === 'output.weight');
  for (const { name, shape, dtype } of file.tensors) {
    const last = name === 'output.weight' || (tied && name === 'token_embd.weight');
    const inLayer = /^blk\.\d+\.(.+)\.weight$/.exec(name)?.[1];
    if (!last && inLayer === undefined) continue;
    // Of a stack of experts each token needs a few.
    const [n, k] = shape.slice(-2) as [number, number];
    if (shape.length < 2 || n < 2 || k < 2) continue;
    if (!FLOATS.includes(dtype) && !QuantFormat.has(dtype)) {
      throw new TilewrightError('ERR_USAGE', `${name} is ${dtype}, which the package does not multiply.`);
    }
    const label = inLayer ?? 'output';
    const key = [label, n, k, dtype].join();
    const count = (matrices.get(key)?.count ?? 0) + (shape.length > 2 ? used : 1);
    matrices.set(key, { name: label, n, k, count, weights: dtype, ...(last && { last }) });
  }
  if (matrices.size === 0)
    throw new TilewrightError('ERR_USAGE', 'The file has no weights of layers (blk.N.*.weight).');
  return {
    name: String(file.metadata['general.name'] ?? (architecture || 'model')),
    ...{ layers, hidden, heads, matrices: [...matrices.values()] },
    keyValue: keyValueHeads * (number('attention.key_length') ?? hidden / heads),
    feedForward: number('feed_forward_length') ?? 4 * hidden,
  };
}
