// One problem for each kernel that is no GEMV or GEMM, for the table in docs/kernels.md.
import { QuantFormat, quantize } from '../../ts/index.ts';
import { COPY_METHODS, copy } from '../../ts/kernels/metal/copy.ts';
import type { AnyMetalKernel } from '../../ts/kernels/metal/declare.ts';
import { gemmThreads } from '../../ts/kernels/metal/matmul.ts';
import { dequantize, getRows } from '../../ts/kernels/metal/rows.ts';
import { SOFTMAX_METHODS, softmax } from '../../ts/kernels/metal/softmax.ts';
import { DTYPES } from '../../ts/tensor/dtype.ts';
import { uniform } from '../support/values.ts';
import { encodeFloats, matmulLaunch } from './matmul-case.ts';
import type { MetalLaunch } from './support.ts';

interface TrafficCase {
  readonly name: string;
  readonly problem: string;
  readonly spec: MetalLaunch;
}

const f32 = (count: number) => encodeFloats(uniform(count, 1), 'f32');
const ones = (count: number) => new Array<number>(count).fill(1);
const zeros = (count: number) => new Array<number>(count).fill(0);

function softmaxCase(method: (typeof SOFTMAX_METHODS)[number], rows: number, length: number): TrafficCase {
  const across = method === 'columns';
  const strides = [...zeros(6), across ? 1 : length];
  const inner = across ? rows : 1;
  return {
    name: 'softmax',
    problem: `${method}, ${rows} rows of ${length}`,
    spec: {
      kernel: softmax as unknown as AnyMetalKernel,
      constants: {
        ...{ vector: across ? 0 : 1, simdgroups: 4, row_simdgroups: method === 'rows_long' ? 4 : 1 },
        method: SOFTMAX_METHODS.indexOf(method),
      },
      params: {
        ...{ length, rows, inner_stride: [inner, inner, 0], shape: [...ones(6), rows] },
        ...{ src_stride: strides, dst_stride: strides, mask_stride: zeros(7), sink_stride: zeros(7) },
        ...{ scale: 1, soft_cap: 0 },
      },
      buffers: { src: f32(rows * length), dst: { bytes: 4 * rows * length } },
    },
  };
}

function rowsCases(name: 'q4_k' | 'q8_0'): TrafficCase[] {
  const [rows, k] = [16, 2048];
  const format = QuantFormat.get(name);
  const bytes = quantize(name, uniform(rows * k, 1));
  const row = (k / format.blockSize) * format.blockBytes;
  const dst = { bytes: 2 * rows * k };
  const types = { dst_dtype: DTYPES.f16.id, src_vector: 1, dst_vector: 1 };
  return [
    {
      name: 'dequantize',
      problem: `${rows} x ${k} of ${name} to f16`,
      spec: {
        kernel: dequantize as unknown as AnyMetalKernel,
        constants: { format: format.id!, ...types },
        params: { n: rows, k, src_row_bytes: row, dst_stride: [k, 1] },
        buffers: { src: bytes, dst },
      },
    },
    {
      name: 'get_rows',
      problem: `${rows} rows of ${k} of ${name} to f16`,
      spec: {
        kernel: getRows as unknown as AnyMetalKernel,
        constants: { src_type: format.id!, ...types },
        params: {
          ...{ rows, k, count: rows, src_stride: [row, 0] },
          ...{ index_stride: 1, dst_stride: [k, 1] },
        },
        buffers: {
          src: bytes,
          index: new Uint8Array(Int32Array.from({ length: rows }, (_, i) => (7 * i) % rows).buffer),
          dst,
        },
      },
    },
  ];
}

function copyCase(method: (typeof COPY_METHODS)[number]): TrafficCase {
  const [rows, cols] = [128, 256];
  const across = method === 'transposed';
  return {
    name: 'copy',
    problem: `${rows} x ${cols} of f32 to f16, ${across ? 'transposed' : 'in rows'}`,
    spec: {
      kernel: copy as unknown as AnyMetalKernel,
      constants: {
        ...{ src_dtype: DTYPES.f32.id, dst_dtype: DTYPES.f16.id, vector: across ? 0 : 1 },
        method: COPY_METHODS.indexOf(method),
      },
      params: {
        shape: [...ones(6), rows, cols],
        src_stride: [...zeros(6), ...(across ? [1, rows] : [cols, 1])],
        dst_stride: [...zeros(6), cols, 1],
      },
      buffers: { src: f32(rows * cols), dst: { bytes: 2 * rows * cols } },
    },
  };
}

export function trafficCases(): TrafficCase[] {
  const [m, n, k] = [64, 64, 128];
  const product = matmulLaunch(gemmThreads as unknown as AnyMetalKernel, { m, n, k, bType: 'f16' }, () => ({
    ...{ tile: 1, whole: 1 },
  }));
  return [
    softmaxCase('rows_kept', 64, 256),
    softmaxCase('rows_long', 8, 4096),
    softmaxCase('columns', 64, 128),
    ...rowsCases('q4_k'),
    ...rowsCases('q8_0'),
    copyCase('elements'),
    copyCase('transposed'),
    { name: 'gemm_threads', problem: `${m} x ${n} x ${k}, one tile`, spec: product.launch },
  ];
}
