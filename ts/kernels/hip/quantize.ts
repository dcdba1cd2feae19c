import { stridedRange } from '../declare.ts';
import { dtypeIdBytes } from '../types.ts';
import { ceilDiv, declareHipKernel, MAX_INT, product } from './declare.ts';
import { Q8_BLOCK, q8Bytes } from './matmul.ts';

/** Threads of a workgroup, and activations that it rounds: 16 by each thread. */
const THREADS = 128;
const PER_THREAD = 16;

export const hipQuantizeQ8 = declareHipKernel({
  id: 512,
  name: 'hip_quantize_q8',
  doc:
    'Rows of activations to the 8-bit blocks of hip/common/q8.h: code = a / step, the step of a group of 32 is ' +
    'max|a| / 127 rounded up to a bfloat16; with the sums of 16 codes.',
  source: 'quantize.hip',
  entry: () => 'quantize_q8',
  buffers: { a: { access: 'read' }, q8: { access: 'write' } },
  constants: [],
  paramsName: 'hip_quantize_q8',
  params: {
    m: 'u32',
    k: 'u32',
    a_dtype: 'u32',
    /** Rows that are interleaved, and the order of the runs of 16: 0, 16, 32, 33 or 64 (see hip/common/q8.h). */
    group: 'u32',
    step: 'u32',
    a_stride: 'i64[2]',
    batch: 'u32[4]',
    a_batch: 'i64[4]',
  },
  extents: (p) => ({
    a: stridedRange([p.m, p.k, ...p.batch], [...p.a_stride, ...p.a_batch], dtypeIdBytes(p.a_dtype)),
    q8: { from: 0, to: product(p.batch) * q8Bytes(p.m, p.k, p.group) },
  }),
  geometry: (p) => ({
    threadgroups: [
      ceilDiv(ceilDiv(p.k, Q8_BLOCK) * Q8_BLOCK, THREADS * PER_THREAD),
      ceilDiv(p.m, p.group) * p.group,
      product(p.batch),
    ],
    threads: [THREADS, 1, 1],
  }),
  refuse: (p) => {
    if (p.a_dtype > 2) return 'a is f32, f16 or bf16';
    if (![0, 16, 32, 33, 64].includes(p.step)) return `${p.step} is no order of activations`;
    if (p.group < 1) return 'no rows are interleaved';
    if (p.k > MAX_INT) return 'k is counted in 31 bits';
    return null;
  },
});
