import { describe, expect, it } from 'vitest';
import { dequantizeTensor, MatmulDispatcher, QuantFormat, quantize } from '../../ts/index.ts';
import type { AnyMetalKernel } from '../../ts/kernels/metal/declare.ts';
import { GEMM_TILES, gemm, gemv, wholeTiles } from '../../ts/kernels/metal/matmul.ts';
import { dequantize, dequantizeVectors } from '../../ts/kernels/metal/rows.ts';
import { testDevice } from '../support/device.ts';
import { uniform } from '../support/values.ts';
import { decodeFloats, type MatmulCase, matmulLaunch } from './matmul-case.ts';
import { hasClang, launch } from './support.ts';

const FORMATS = QuantFormat.list().flatMap(({ name, id }) => (id === undefined ? [] : [name]));
const device = await testDevice();
const dispatcher = new MatmulDispatcher(device);

/** The same problem on the CPU, through the public interface. */
async function onCpu({ m, n, k, bType, seed = 1, gate, activation }: MatmulCase): Promise<ArrayLike<number>> {
  const weights = (own: number) =>
    device.quantized(quantize(bType, uniform(n * k, own)), { format: bType, shape: [n, k] });
  const a = device.tensor(uniform(m * k, seed), { shape: [m, k] });
  const out = await dispatcher.matmul({
    ...{ a, b: weights(seed + 1), activation },
    ...(gate === true && { gate: weights(seed + 2) }),
  });
  return (await out.read()) as ArrayLike<number>;
}

async function compare(kernel: unknown, test: MatmulCase, chosen: Parameters<typeof matmulLaunch>[2]) {
  const own = matmulLaunch(kernel as AnyMetalKernel, test, chosen);
  const { outputs } = await launch({ ...own.launch, orders: ['forward'] } as never);
  const [here, cpu] = [own.results(outputs.out!), await onCpu(test)];
  const { bounds } = own.expected();
  expect(cpu.length).toBe(here.length);
  // Both are within the bound of the exact result.
  here.forEach((value, i) => {
    expect(Math.abs(value - cpu[i]!), `element ${i}`).toBeLessThanOrEqual(2 * bounds[i]!);
  });
}

describe.skipIf(!hasClang)('shaders and their twins on the CPU', () => {
  it.each(FORMATS)('agree on products with %s', async (bType) => {
    await compare(gemv, { m: 1, n: 20, k: 512, bType }, () => ({ rows: 4, columns: 1, split: 2, simdgroups: 4 }));
    await compare(gemm, { m: 13, n: 70, k: 256, bType, gate: true, activation: 'silu' }, (p) => ({
      ...{ tile: 1, tile_dtype: 0, whole: wholeTiles(p, GEMM_TILES[1]!) ? 1 : 0 },
    }));
  });

  it.each(FORMATS)('decode %s to the same floats, but for one fused rounding', async (type) => {
    const [n, k] = [3, 512];
    const format = QuantFormat.get(type);
    const bytes = quantize(type, uniform(n * k, 9));
    const params = { n, k, src_row_bytes: (k / format.blockSize) * format.blockBytes, dst_stride: [k, 1] };
    const types = { format: format.id!, dst_dtype: 0 };
    const { outputs } = await launch({
      kernel: dequantize as never,
      constants: { ...types, ...dequantizeVectors(params, types) },
      params,
      buffers: { src: bytes, dst: { bytes: 4 * n * k } },
      orders: ['forward'],
    });
    const cpu = (await (
      await dequantizeTensor(device.quantized(bytes, { format: type, shape: [n, k] }))
    ).read()) as Float32Array;
    const here = decodeFloats(outputs.dst!, 'f32');
    // The test bed does not fuse, so here they are the same bit for bit.
    expect([...here]).toEqual([...cpu]);
  });
});
