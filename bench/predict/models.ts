// Shapes of models as their makers published them.
import type { ModelShape, ModelWeight } from '../../ts/cost/index.ts';

interface Published {
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly keyValue: number;
  readonly feedForward: number;
  readonly vocabulary: number;
}

const PUBLISHED = {
  // https://arxiv.org/abs/2307.09288
  'llama-7b': shape(32, 4096, 32, 4096, 11008, 32000),
  'llama-13b': shape(40, 5120, 40, 5120, 13824, 32000),
  'llama-70b': shape(80, 8192, 64, 1024, 28672, 32000),
  // https://arxiv.org/abs/2407.21783
  'llama3-8b': shape(32, 4096, 32, 1024, 14336, 128256),
  // https://arxiv.org/abs/2310.06825
  'mistral-7b': shape(32, 4096, 32, 1024, 14336, 32000),
  // https://huggingface.co/Qwen/Qwen2.5-0.5B/blob/main/config.json
  'qwen2.5-0.5b': shape(24, 896, 14, 128, 4864, 151936),
} as const;
export type ModelName = keyof typeof PUBLISHED;
export const MODEL_NAMES = Object.keys(PUBLISHED) as readonly ModelName[];

function shape(
  layers: number,
  hidden: number,
  heads: number,
  keyValue: number,
  feedForward: number,
  vocabulary: number,
): Published {
  return { layers, hidden, heads, keyValue, feedForward, vocabulary };
}

/** Files of these formats keep the vocabulary's weights in another one. */
const OUTPUT_FORMATS: Readonly<Record<string, string>> = { q4_0: 'q6_k', q4_1: 'q6_k', q4_k: 'q6_k', q5_k: 'q6_k' };

/** A published model with weights of that type, as llama.cpp writes its files. */
export function publishedModel(name: ModelName, weights: string): ModelShape {
  const { vocabulary, ...rest } = PUBLISHED[name];
  const { layers, hidden, keyValue, feedForward } = rest;
  const matrix = (at: string, n: number, k: number): ModelWeight => ({ name: at, n, k, count: layers, weights });
  // Blocks of 256 need rows that are a whole number of them; the vocabulary's are as long as the others.
  return {
    name: `${name} ${weights}`,
    ...rest,
    matrices: [
      matrix('attn_q', hidden, hidden),
      matrix('attn_k', keyValue, hidden),
      matrix('attn_v', keyValue, hidden),
      matrix('attn_output', hidden, hidden),
      matrix('ffn_gate', feedForward, hidden),
      matrix('ffn_up', feedForward, hidden),
      matrix('ffn_down', hidden, feedForward),
      {
        ...{ name: 'output', n: vocabulary, k: hidden, count: 1, last: true },
        weights: hidden % 256 === 0 ? (OUTPUT_FORMATS[weights] ?? weights) : weights,
      },
    ],
  };
}
