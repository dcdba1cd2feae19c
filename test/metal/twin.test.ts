import { describe, expect, it } from 'vitest';
import { launch as deviceLaunch } from '../../ts/device/command-list.ts';
import { dequantizeTensor, MatmulDispatcher, QuantFormat, quantize } from '../../ts/index.ts';
import { copy as cpuCopy, softmax as cpuSoftmax } from '../../ts/kernels/elementwise.ts';
import { COPY_METHODS, copy } from '../../ts/kernels/metal/copy.ts';
import type { AnyMetalKernel } from '../../ts/kernels/metal/declare.ts';
import { GEMM_TILES, gemm, gemv, wholeTiles } from '../../ts/kernels/metal/matmul.ts';
import { dequantize, dequantizeVectors } from '../../ts/kernels/metal/rows.ts';
import { SOFTMAX_METHODS, softmax } from '../../ts/kernels/metal/softmax.ts';
import { DTYPES } from '../../ts/tensor/dtype.ts';
import { testDevice } from '../support/device.ts';
import { EPS, uniform } from '../support/values.ts';
import { decodeFloats, encodeFloats, type MatmulCase, matmulLaunch } from './matmul-case.ts';
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

  /** The CPU's kernel on the same bytes. */
  async function twin(
    kernel: unknown,
    spec: { constants: object; params: object; inputs: Readonly<Record<string, Uint8Array>>; dstBytes: number },
  ): Promise<Uint8Array> {
    const dst = device.buffer(spec.dstBytes);
    const bound = Object.entries(spec.inputs).map(([name, bytes]) => {
      const buffer = device.buffer(bytes.byteLength);
      buffer.write(bytes);
      return [name, { buffer, byteOffset: 0 }] as const;
    });
    const buffers = { ...Object.fromEntries(bound), dst: { buffer: dst, byteOffset: 0 } };
    await device.submit([deviceLaunch(kernel as typeof cpuCopy, { ...spec, buffers } as never)]);
    const out = new Uint8Array(spec.dstBytes);
    dst.read(out);
    return out;
  }

  it('copy and convert to the same bits', async () => {
    const [rows, cols] = [37, 40];
    const special = [Infinity, -Infinity, 300, 2.5, 3.5, -0.5, 65520, 3e9, 1e-7, -1e-39];
    const values = uniform(rows * cols, 4).map((value, i) => special[i] ?? 200 * value);
    const pad = (a: number, b: number) => [1, 1, 1, 1, 1, 1, a, b];
    const params = { shape: pad(rows, cols), src_stride: pad(1, rows), dst_stride: pad(cols, 1) };
    for (const dtype of Object.values(DTYPES)) {
      const inputs = { src: new Uint8Array(values.buffer) };
      const constants = { src_dtype: DTYPES.f32.id, dst_dtype: dtype.id };
      const dstBytes = rows * cols * dtype.bytes;
      const { outputs } = await launch({
        kernel: copy as never,
        constants: { ...constants, vector: 0, method: COPY_METHODS.indexOf('transposed') },
        params,
        buffers: { ...inputs, dst: { bytes: dstBytes } },
        orders: ['forward'],
      });
      const cpu = await twin(cpuCopy, { constants, params, inputs, dstBytes });
      expect(Buffer.compare(outputs.dst!, cpu), dtype.name).toBe(0);
    }
  });

  it('agree on softmax with a mask, along either dimension', async () => {
    const [rows, length] = [24, 200];
    for (const across of [false, true]) {
      const mask = encodeFloats(
        uniform(length, 8).map((value) => (value > 0.5 ? Number.NEGATIVE_INFINITY : value)),
        'f32',
      );
      const inputs = { src: encodeFloats(uniform(rows * length, 7), 'f32'), mask };
      const [inner, outer] = across ? [rows, 1] : [1, length];
      const strides = [0, 0, 0, 0, 0, 0, outer];
      const params = {
        ...{ length, inner_stride: [inner, inner, 1], shape: [1, 1, 1, 1, 1, 1, rows], scale: 3 },
        ...{ src_stride: strides, dst_stride: strides, mask_stride: [0, 0, 0, 0, 0, 0, 0] },
      };
      const constants = { src_dtype: 0, dst_dtype: 0, mask_dtype: 0 };
      const dstBytes = 4 * rows * length;
      const method = SOFTMAX_METHODS.indexOf(across ? 'columns' : 'rows_kept');
      const { outputs } = await launch({
        kernel: softmax as never,
        constants: { ...constants, method, vector: 0, has_mask: 1, simdgroups: 2, row_simdgroups: 1 },
        params: { ...params, rows, soft_cap: 0, sink_stride: [0, 0, 0, 0, 0, 0, 0] },
        buffers: { ...inputs, dst: { bytes: dstBytes } },
        orders: ['forward'],
      });
      const cpu = decodeFloats(await twin(cpuSoftmax, { constants, params, inputs, dstBytes }), 'f32');
      // Each is within (length + 24 + 16 · the largest logit) · eps of the exact result, see softmax.test.ts.
      const relative = 2 * EPS.f32 * (length + 24 + 16 * 4);
      decodeFloats(outputs.dst!, 'f32').forEach((value, i) => {
        expect(Math.abs(value - cpu[i]!), `element ${i}`).toBeLessThanOrEqual(2 * relative * cpu[i]! + 1e-38);
      });
    }
  });
});
