import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { packageRoot } from '../../ts/backends/native.ts';
import { type GGUFFile, quantize, readGGUFHeader, type TensorInput, writeGGUF } from '../../ts/index.ts';
import { isDType } from '../../ts/tensor/dtype.ts';
import { f32ToBf16, f32ToF16 } from '../../ts/tensor/half.ts';
import { elementCount } from '../../ts/tensor/layout.ts';
import { normals } from '../stats/random.ts';

/** Raise this when the sample changes: an older file is then written anew. */
const SAMPLE_VERSION = 1;
const VERSION_KEY = 'tilewright.sample_version';

const WIDTH = 768;
const HIDDEN = 2048;
const KEY_VALUE = 256;
const VOCABULARY = 2048;

/** A small model of the usual architecture, with each of its matrices in another format. */
const MATRICES: readonly (readonly [name: string, dtype: string, n: number, k: number])[] = [
  ['token_embd', 'f16', VOCABULARY, WIDTH],
  ['blk.0.attn_q', 'q4_k', WIDTH, WIDTH],
  ['blk.0.attn_k', 'q5_k', KEY_VALUE, WIDTH],
  ['blk.0.attn_v', 'q8_0', KEY_VALUE, WIDTH],
  ['blk.0.attn_output', 'q5_0', WIDTH, WIDTH],
  ['blk.0.ffn_gate', 'q4_0', HIDDEN, WIDTH],
  ['blk.0.ffn_up', 'q4_1', HIDDEN, WIDTH],
  ['blk.0.ffn_down', 'q6_k', WIDTH, HIDDEN],
  ['blk.1.attn_q', 'iq4_nl', WIDTH, WIDTH],
  ['blk.1.attn_k', 'f32', KEY_VALUE, WIDTH],
  ['blk.1.attn_v', 'bf16', KEY_VALUE, WIDTH],
  ['blk.1.attn_output', 'q5_1', WIDTH, WIDTH],
  ['blk.1.ffn_gate', 'iq4_xs', HIDDEN, WIDTH],
  ['blk.1.ffn_up', 'mxfp4', HIDDEN, WIDTH],
  ['blk.1.ffn_down', 'q3_k', WIDTH, HIDDEN],
  ['output', 'q2_k', VOCABULARY, WIDTH],
];
const NORMS = ['blk.0.attn_norm', 'blk.0.ffn_norm', 'blk.1.attn_norm', 'blk.1.ffn_norm', 'output_norm'];

/** Where the sample lies. */
export const samplePath: string = fileURLToPath(new URL('.cache/sample.gguf', packageRoot));

/**
 * Writes the sample if it is not there, the same bytes everywhere.
 * @returns its header, and the milliseconds that writing took: 0 if it was there.
 */
export async function ensureSample(): Promise<{ file: GGUFFile; ms: number }> {
  if (existsSync(samplePath)) {
    const file = await readGGUFHeader(samplePath).catch(() => null);
    if (file?.metadata[VERSION_KEY] === SAMPLE_VERSION) return { file, ms: 0 };
  }
  const begin = performance.now();
  await mkdir(fileURLToPath(new URL('.cache', packageRoot)), { recursive: true });
  const file = await writeGGUF(samplePath, { metadata: METADATA, tensors: tensors() });
  return { file, ms: performance.now() - begin };
}

const METADATA = {
  'general.architecture': 'llama',
  'general.name': 'tilewright sample: random weights',
  'llama.block_count': 2,
  'llama.embedding_length': WIDTH,
  'llama.feed_forward_length': HIDDEN,
  'llama.attention.head_count': WIDTH / 64,
  'llama.attention.head_count_kv': KEY_VALUE / 64,
  [VERSION_KEY]: SAMPLE_VERSION,
};

function tensors(): TensorInput[] {
  const matrices = MATRICES.map(([name, dtype, n, k], i) => ({
    name: `${name}.weight`,
    dtype,
    shape: [n, k],
    seed: i,
  }));
  const norms = NORMS.map((name) => ({ name: `${name}.weight`, dtype: 'f32', shape: [WIDTH], seed: -1 }));
  return [...matrices, ...norms].map(({ name, dtype, shape, seed }) => {
    const count = elementCount(shape);
    const values = seed < 0 ? new Float32Array(count).fill(1) : normals(seed, count, 1 / Math.sqrt(shape.at(-1)!));
    return { name, dtype, shape, data: encode(dtype, values) };
  });
}

function encode(dtype: string, values: Float32Array): ArrayBufferView {
  if (!isDType(dtype)) return quantize(dtype, values);
  if (dtype === 'f16') return Uint16Array.from(values, f32ToF16);
  if (dtype === 'bf16') return Uint16Array.from(values, f32ToBf16);
  return values;
}
