// The ternary format of ternary-format.ts on the Metal back end: the same plug-in, with its product as a Metal kernel.
// The headers are the package's: generated/matmul.h declares arguments and function constants, common/epilogue.h applies
// alpha, bias, gate, activation and residual, and stores the result in any dtype and strides.
import type { CustomMatmulKernel } from 'tilewright';
import { ternaryMatmul } from './ternary-format.ts';

const SIMDGROUPS = 4;

const SOURCE = `
#include "common/memory.h"
#include "generated/matmul.h"
#include "common/epilogue.h"

using namespace metal;

/// This lane's part of a row of weights times a row of a. Sixteen lanes share a block of a scale and 64 codes.
static float ternary_dot(constant tw_matmul_params& p, device const uchar* a, device const uchar* weights, uint m,
                         uint lane) {
  float sum = 0.0f;
  for (uint block = lane / 16; block < uint(p.k) / 64; block += 2) {
    device const uchar* at = weights + block * 20;
    const float scale = as_type<float>(tw::read_u32(at, false));
    const uint codes = at[4 + lane % 16];
    const long first = long(m) * p.a_stride[0] + long(block * 64 + lane % 16 * 4) * p.a_stride[1];
    for (uint i = 0; i < 4; i++) {
      const float w = float(int(codes >> (2 * i) & 3) - 1);
      sum += scale * w * tw::load_element(a, fc_a_dtype, first + long(i) * p.a_stride[1]);
    }
  }
  return simd_sum(sum);
}

/// One output per simdgroup.
kernel void ternary_matmul(TW_MATMUL_ARGUMENTS, uint3 group [[threadgroup_position_in_grid]],
                           ushort lane [[thread_index_in_simdgroup]], ushort simd [[simdgroup_index_in_threadgroup]]) {
  const uint m = group.y;
  const uint n = group.x * ${SIMDGROUPS} + simd;
  if (n >= uint(p.n)) return;
  device const uchar* row = a + tw::batch_offset(p.batch, p.a_batch, group.z) * long(tw::dtype_bytes(fc_a_dtype));
  device const uchar* weights = b + tw::batch_offset(p.batch, p.b_batch, group.z) + long(n) * p.b_stride[0];
  const float sum = ternary_dot(p, row, weights, m, lane);
  float gate_sum = 0.0f;
  if (has_gate) {
    weights = gate + tw::batch_offset(p.batch, p.gate_batch, group.z) + long(n) * p.gate_stride[0];
    gate_sum = ternary_dot(p, row, weights, m, lane);
  }
  if (lane == 0) {
    tw::make_epilogue(p, out, bias, residual, gate_bias, group.z).store(p, m, n, sum, gate_sum);
  }
}
`;

/** On the CPU the JavaScript function runs, on Metal the shader. */
export const ternaryOnMetal: CustomMatmulKernel = {
  ...ternaryMatmul,
  metal: {
    source: SOURCE,
    entry: 'ternary_matmul',
    geometry: ({ m, n, batch }) => ({
      threadgroups: [Math.ceil(n / SIMDGROUPS), m, batch.reduce((x, y) => x * y, 1)],
      threads: [32 * SIMDGROUPS, 1, 1],
    }),
  },
};
