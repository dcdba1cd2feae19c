import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CompiledModule, compile, preprocess } from '../../ts/testbed/compile.ts';
import { type BufferArgument, dispatch } from '../../ts/testbed/dispatch.ts';
import { hasClang } from '../metal/support.ts';

const SOURCE = `
extern "C" __global__ void shift(const float* bias, const float* src, float* dst) {
  const int i = threadIdx.x;
  dst[i] = src[i - 2] + (bias == nullptr ? 0.0f : bias[i]);
}
`;

describe.runIf(hasClang)('Pointers of HIP kernels', () => {
  let folder: string;
  let module: CompiledModule;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tilewright-'));
    await writeFile(join(folder, 'shift.hip'), SOURCE);
    const source = await preprocess(join(folder, 'shift.hip'), {});
    if (!('text' in source)) throw new Error(JSON.stringify(source));
    const compiled = await compile(source, 'sanitize', { wave: 32 });
    if (!('path' in compiled)) throw new Error(JSON.stringify(compiled));
    module = compiled;
  });
  afterAll(() => rm(folder, { recursive: true }));

  const floats = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer);
  const run = async (...buffers: BufferArgument[]) => {
    const request = { kernel: 'shift', grid: [1, 1, 1], group: [4, 1, 1], buffers, count: true } as const;
    const result = await dispatch(module, request);
    return { ...result, values: [...new Float32Array(result.buffers.get(2)?.slice().buffer ?? [])] };
  };
  const src = { index: 1, data: floats(1, 2, 3, 4), offset: 8 };
  const dst = { index: 2, data: { bytes: 16 } };

  it('may be null, and point into their memory', async () => {
    const { findings, values } = await run({ index: 0, data: null }, src, dst);
    expect(findings).toEqual([]);
    expect(values).toEqual([1, 2, 3, 4]);
    expect((await run({ index: 0, data: floats(10, 20, 30, 40) }, src, dst)).values).toEqual([11, 22, 33, 44]);
  });

  it('are still bounded by their memory when they have an offset', async () => {
    const { findings } = await run({ index: 0, data: null }, { ...src, offset: 4 }, dst);
    expect(findings.map(({ rule }) => rule)).toContain('out-of-bounds');
  });
});
