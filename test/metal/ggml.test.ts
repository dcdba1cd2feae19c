// The traffic of our GEMM beside that of ggml's on the same shape. ggml is not part of the repository: name a checkout
// with TILEWRIGHT_GGML=/path/to/ggml, and this runs and prints the table.
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { GEMM_TILES, gemm } from '../../ts/kernels/metal/matmul.ts';
import { compile, preprocess } from '../../ts/testbed/compile.ts';
import { type Counters, dispatch } from '../../ts/testbed/dispatch.ts';
import { uniform } from '../support/values.ts';
import { describeWhere } from '../support/where.ts';
import { encodeFloats, runMatmul } from './matmul-case.ts';

const checkout = process.env.TILEWRIGHT_GGML;
const needed = checkout === undefined ? 'TILEWRIGHT_GGML=<a checkout of ggml>' : null;
const [M, N, K] = [128, 128, 256];

/** kernel_mul_mm of f16 weights [N, K] and f32 activations [M, K], whole tiles. */
async function theirs(): Promise<Counters> {
  const path = join(checkout!, 'src/ggml-metal/ggml-metal.metal');
  const options = { include: [join(checkout!, 'src')], define: ['GGML_METAL_HAS_BF16'] };
  const source = await preprocess(path, options);
  if (!('text' in source)) throw new Error(JSON.stringify(source));
  const module = await compile(source, 'sanitize', { ...options, only: /^kernel_mul_mm_f16_f32$/ });
  if (!('path' in module)) throw new Error(JSON.stringify(module));
  const args = new DataView(new ArrayBuffer(96));
  const row = { a: 2 * K, b: 4 * K };
  [K, 1].forEach((value, i) => {
    args.setInt32(4 * i, value, true);
  });
  [row.a, row.a * N, row.a * N].forEach((value, i) => {
    args.setBigUint64(8 + 8 * i, BigInt(value), true);
  });
  args.setInt32(32, 1, true);
  [4, row.b, row.b * M, row.b * M].forEach((value, i) => {
    args.setBigUint64(40 + 8 * i, BigInt(value), true);
  });
  args.setInt32(72, N, true);
  args.setInt32(76, M, true);
  args.setInt16(80, 1, true);
  args.setInt16(82, 1, true);
  const result = await dispatch(module, {
    kernel: 'kernel_mul_mm_f16_f32',
    grid: [M / 32, N / 64, 1],
    group: [128, 1, 1],
    constants: {
      ...{ FC_mul_mm_bc_inp: false, FC_mul_mm_bc_out: false, FC_mul_mm_ne12: 1 },
      ...{ FC_mul_mm_ne13: 1, FC_mul_mm_r2: 1, FC_mul_mm_r3: 1 },
    },
    threadgroup: [8192],
    buffers: [
      { index: 0, data: new Uint8Array(args.buffer) },
      { index: 1, data: encodeFloats(uniform(N * K, 1), 'f16') },
      { index: 2, data: encodeFloats(uniform(M * K, 2), 'f32') },
      { index: 3, data: { bytes: 4 * M * N } },
    ],
    count: true,
  });
  expect(result.findings).toEqual([]);
  return result.counters!;
}

describeWhere(needed, 'gemm beside ggml', () => {
  it('has no more threadgroup traffic and barriers per multiplication', { timeout: 240_000 }, async () => {
    const per = (c: Counters) => ({
      'matrix loads': c.matrixLoads / c.mmas,
      'bytes read': c.spaces.threadgroup.bytesRead / c.mmas,
      'bytes written': c.spaces.threadgroup.bytesWritten / c.mmas,
      'barriers per 1000': (1000 * c.threadgroupBarriers) / c.mmas,
      'bank cycles': (c.spaces.threadgroup.readBankCycles + c.spaces.threadgroup.writeBankCycles) / c.mmas,
      'device bytes read': c.spaces.device.bytesRead / c.mmas,
    });
    const other = per(await theirs());
    const table: Record<string, ReturnType<typeof per>> = { kernel_mul_mm_f16_f32: other };
    for (const [tile, { m, n, k, wm, wn }] of GEMM_TILES.entries()) {
      for (const [tile_dtype, type] of ['f32', 'f16'].entries()) {
        // Theirs rounds operands to f16; tiles of f32 are exact.
        const rounding = type === 'f16' ? { operandBits: 11 } : {};
        const test = { m: M, n: N, k: K, aType: 'f32', bType: 'f16', ...rounding } as const;
        const { counters } = await runMatmul(gemm, test, () => ({ tile, tile_dtype, whole: 1 }), ['forward']);
        table[`${m}x${n}x${k} ${wm}x${wn} ${type}`] = per(counters);
      }
    }
    console.table(table);
    // The tile for large problems, of either type, and the one of the same size as theirs, of the same type.
    for (const ours of ['128x64x16 2x2 f32', '128x64x16 2x2 f16', '64x64x16 2x2 f16', '64x32x32 2x2 f16']) {
      for (const key of ['matrix loads', 'bytes read', 'bytes written', 'barriers per 1000'] as const) {
        expect(table[ours]![key], `${ours}: ${key}`).toBeLessThanOrEqual(other[key]);
      }
    }
  });
});
