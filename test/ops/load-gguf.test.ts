import { closeSync, ftruncateSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import {
  dequantize,
  loadGGUF,
  MatmulDispatcher,
  QuantizedTensor,
  quantize,
  type Tensor,
  writeGGUF,
} from '../../ts/index.ts';
import { onGpu, testDevice } from '../support/device.ts';
import { uniform } from '../support/values.ts';

const device = await testDevice();
const folder = mkdtempSync(join(tmpdir(), 'tilewright-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const weights = quantize('q5_k', uniform(8 * 512, 1));
const norm = uniform(512, 2);
async function sample(name: string) {
  const path = join(folder, name);
  await writeGGUF(path, {
    metadata: { 'general.architecture': 'llama', 'llama.block_count': 1 },
    tensors: [
      { name: 'output_norm.weight', shape: [512], dtype: 'f32', data: norm },
      { name: 'blk.0.attn_q.weight', shape: [8, 512], dtype: 'q5_k', data: weights },
    ],
  });
  return path;
}

it('gives metadata, a list of tensors, and tensors that kernels read where they lie', async () => {
  const path = await sample('model.gguf');
  const before = process.memoryUsage().arrayBuffers;
  using model = await loadGGUF(path, { device });
  expect(model.metadata['general.architecture']).toBe('llama');
  expect([...model.tensors].map(({ name, shape, dtype }) => ({ name, shape, dtype }))).toEqual([
    { name: 'output_norm.weight', shape: [512], dtype: 'f32' },
    { name: 'blk.0.attn_q.weight', shape: [8, 512], dtype: 'q5_k' },
  ]);
  using q = model.tensor('blk.0.attn_q.weight') as QuantizedTensor;
  using n = model.tensor('output_norm.weight') as Tensor;
  expect(q).toBeInstanceOf(QuantizedTensor);
  expect(q.buffer.readOnly).toBe(true);
  expect(await n.read()).toEqual(norm);
  expect(await q.bytes()).toEqual(weights);
  const a = device.tensor(uniform(512, 3), { shape: [512] });
  const copy = device.quantized(weights, { format: 'q5_k', shape: [8, 512] });
  const dispatcher = new MatmulDispatcher(device);
  expect(await (await dispatcher.matmul({ a, b: q })).read()).toEqual(
    await (await dispatcher.matmul({ a, b: copy })).read(),
  );
  // What a GPU's results were read into may not have been collected yet.
  if (!onGpu) expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1 << 20);
});

it('keeps tensors valid when the model is disposed, and refuses new ones', async () => {
  const model = await loadGGUF(await sample('kept.gguf'), { device });
  const q = model.tensor('blk.0.attn_q.weight') as QuantizedTensor;
  model.dispose();
  model[Symbol.dispose]();
  expect(dequantize('q5_k', await q.bytes())).toEqual(dequantize('q5_k', weights));
  expect(() => model.tensor('output_norm.weight')).toThrowError(expect.objectContaining({ code: 'ERR_DISPOSED' }));
});

it('loads tensors together, with progress, and none if it is stopped', async () => {
  using model = await loadGGUF(await sample('loaded.gguf'), { device });
  const seen: [number, number][] = [];
  const tensors = await model.load(undefined, { onProgress: (...now) => void seen.push(now) });
  const total = norm.byteLength + weights.byteLength;
  expect(seen).toEqual([
    [norm.byteLength, total],
    [total, total],
  ]);
  expect([...tensors.keys()]).toEqual(['output_norm.weight', 'blk.0.attn_q.weight']);
  expect(await (tensors.get('output_norm.weight') as Tensor).read()).toEqual(norm);
  const one = await model.load(['blk.0.attn_q.weight']);
  expect([...one.keys()]).toEqual(['blk.0.attn_q.weight']);
  expect(await (one.get('blk.0.attn_q.weight') as QuantizedTensor).bytes()).toEqual(weights);
  await expect(model.load(['nope'])).rejects.toMatchObject({ code: 'ERR_TENSOR_NOT_FOUND' });
  const abort = new AbortController();
  const onProgress = () => abort.abort(new Error('enough'));
  await expect(model.load(undefined, { signal: abort.signal, onProgress })).rejects.toThrow('enough');
  model.dispose();
  await expect(model.load(['output_norm.weight'])).rejects.toMatchObject({ code: 'ERR_DISPOSED' });
});

it('opens a file of 30 GB without reading it', async () => {
  // The data section is a hole: only its header takes space on disk.
  const rows = 16_384;
  const k = 28_672;
  const path = join(folder, 'large.gguf');
  const row = (k / 256) * 144;
  const tensors = Array.from({ length: 114 }, (_, i) => ({
    name: `blk.${i}.ffn_down.weight`,
    shape: [rows, k],
    dtype: 'q4_k',
    data: [] as Uint8Array[],
  }));
  // The writer refuses data of the wrong length, so write the header of a small file and move the sizes up.
  const small = await writeGGUF(join(folder, 'small.gguf'), {
    tensors: tensors.map(({ name }) => ({ name, shape: [1, 256], dtype: 'q4_k', data: new Uint8Array(144) })),
  });
  const bytes = readFileSync(join(folder, 'small.gguf'));
  for (const [i, { name }] of tensors.entries()) {
    const at = bytes.indexOf(Buffer.from(name)) + name.length;
    bytes.writeBigUInt64LE(BigInt(k), at + 4);
    bytes.writeBigUInt64LE(BigInt(rows), at + 12);
    bytes.writeBigUInt64LE(BigInt(i) * BigInt(rows * row), at + 24);
  }
  const header = small.parts[0]!.dataOffset;
  const file = openSync(path, 'w');
  writeSync(file, bytes.subarray(0, header));
  ftruncateSync(file, header + tensors.length * rows * row);
  closeSync(file);
  expect(statSync(path).size).toBeGreaterThan(30e9);

  using model = await loadGGUF(path, { device });
  using last = model.tensor('blk.113.ffn_down.weight') as QuantizedTensor;
  using tail = last.slice({ start: -2 });
  // More than 2^31 elements lie before these rows.
  const a = device.tensor(uniform(k, 1), { shape: [k] });
  expect([...(await (await new MatmulDispatcher(device).matmul({ a, b: tail })).read())]).toEqual([0, 0]);
});

it('says what is wrong with a path or a name', async () => {
  await expect(loadGGUF(join(folder, 'missing.gguf'), { device })).rejects.toMatchObject({ code: 'ERR_FILE' });
  using model = await loadGGUF(await sample('named.gguf'), { device });
  expect(() => model.tensor('nope')).toThrowError(expect.objectContaining({ code: 'ERR_TENSOR_NOT_FOUND' }));
});
