// Activations to 8 bits per group of 32 (common/q8.h), once for all matmuls that read them. A thread has a run of 16;
// two neighbours share a group and exchange their largest values.
#include "common/batch.h"
#include "common/q8.h"
#include "generated/hip_quantize_q8.h"

namespace tw {

/// The larger of two numbers that are not negative, compared as integers: NaN is above all of them.
TW_DEVICE float larger(float x, float y) {
  return bits_as<u32>(x) > bits_as<u32>(y) ? x : y;
}

/// The larger of this lane's and its neighbour's, lane ^ 1.
TW_DEVICE float pair_max(float x) {
#if defined(TW_AMD)
  return larger(x, dpp<0xb1>(x));  // quad_perm 1, 0, 3, 2
#else
  return larger(x, __nvvm_shfl_sync_bfly_f32(~0u, x, 1, 31));
#endif
}

/// Up to the next bfloat16, so that no code is above 127. Steps below the normal range are 0, and so are the codes: on
/// every target, whatever it does with such numbers. NaN and infinity give NaN, and with it every sum of the row.
TW_DEVICE float step_of(float largest) {
  if (!(largest < __builtin_inff())) return __builtin_nanf("");
  const float step = largest * (1.0f / 127.0f);
  const u32 bits = (bits_as<u32>(step) + 0xffffu) & 0xffff0000u;
  return bits < 0x00800000u ? 0.0f : bits_as<float>(bits);
}

}  // namespace tw

TW_KERNEL(128) quantize_q8(TW_HIP_QUANTIZE_Q8_ARGUMENTS) {
  using namespace tw;
  const u32 at = (block_x() * 128 + thread_x()) * q8_run;
  const u32 row = block_y();
  const i64 from = batch_offset(p.batch, p.a_batch, block_z()) + i64(row) * p.a_stride[0];
  float x[q8_run];
  float largest = 0.0f;
  TW_UNROLL for (u32 i = 0; i < q8_run; i++) {
    const bool exists = row < p.m && at + i < p.k;
    x[i] = exists ? load_float(a, p.a_dtype, from + i64(at + i) * p.a_stride[1]) : 0.0f;
    largest = larger(absolute(x[i]), largest);
  }
  const float step = step_of(pair_max(largest));
  const float inverse = step == 0.0f ? 0.0f : 1.0f / step;
  u32 codes[4];
  i32 sum = 0;
  TW_UNROLL for (u32 w = 0; w < 4; w++) {
    u32 word = 0;
    TW_UNROLL for (u32 i = 0; i < 4; i++) {
      const i32 code = i32(__builtin_rintf(clamp(x[4 * w + i] * inverse, -127.0f, 127.0f)));
      sum += code;
      word |= (u32(code) & 0xffu) << (8 * i);
    }
    codes[w] = word;
  }
  if (at >= q8_blocks(p.k) * q8_block) return;
  const u32 rows = (p.m + p.group - 1) / p.group * p.group;
  u8* to = q8 + u64(block_z()) * q8_row_at(rows, p.k, p.group) + q8_row_at(row, p.k, p.group) +
           u64(at / q8_block) * p.group * q8_bytes;
  const Q8Place place(at / q8_run % 16, p.step);
  *(u32x4*)(to + q8_codes + 16 * place.codes) = u32x4{codes[0], codes[1], codes[2], codes[3]};
  *(u32*)(to + 4 * place.record) = bits_as<u32>(step) | (u32(sum) & 0xffffu);
}
