// softmax(cap(scale * x) + mask) along an inner dimension of any stride, without a copy. A sink is one more logit of a
// row that has no place in the result. A row that is masked out entirely gives zeros.
#include "common/numbers.h"
#include "common/online-softmax.h"
#include "generated/hip_softmax.h"

namespace tw {

/// One row, whatever its direction in memory: its bytes, and the sink's.
struct Row {
  const u8 *src, *mask, *sink;
  u8* dst;
};

struct Softmax {
  const tw_hip_softmax_params& p;
  const u8 *src, *mask, *sink;
  u8* dst;

  TW_MEMBER Row find_row(u32 index) const {
    i64 at[4] = {0, 0, 0, 0};
    TW_UNROLL for (int d = 6; d >= 0; d--) {
      const u32 size = u32(p.shape[d]);
      if (size == 1) continue;
      const i64 i = index % size;
      index /= size;
      at[0] += i * p.src_stride[d];
      at[1] += i * p.dst_stride[d];
      at[2] += i * p.mask_stride[d];
      at[3] += i * p.sink_stride[d];
    }
    return {src + at[0] * dtype_bytes(p.src_dtype),
            mask == nullptr ? nullptr : mask + at[2] * dtype_bytes(p.mask_dtype),
            sink == nullptr ? nullptr : sink + at[3] * 4, dst + at[1] * dtype_bytes(p.dst_dtype)};
  }

  TW_MEMBER float logit(float x) const {
    x *= p.scale;
    return p.soft_cap > 0.0f ? p.soft_cap * hyperbolic_tangent(x / p.soft_cap) : x;
  }
  /// Logits of `at`, `at` + step, ... + 3 step; side by side where the host allows vectors (then step is 1).
  TW_MEMBER void four(Row r, u32 at, u32 step, float x[4]) const {
    if (p.vector != 0) {
      float m[4] = {};
      TW_UNROLL for (u32 i = 0; i < 4; i++) x[i] = lowest;
      if (at >= p.length) return;
      load_four(r.src, p.src_dtype, at, x);
      if (mask != nullptr) load_four(r.mask, p.mask_dtype, at, m);
      TW_UNROLL for (u32 i = 0; i < 4; i++) x[i] = logit(x[i]) + m[i];
      return;
    }
    TW_UNROLL for (u32 i = 0; i < 4; i++) {
      const u32 k = at + i * step;
      x[i] = lowest;
      if (k >= p.length) continue;
      x[i] = logit(load_float(r.src, p.src_dtype, i64(k) * p.inner_stride[0]));
      if (mask != nullptr) x[i] += load_float(r.mask, p.mask_dtype, i64(k) * p.inner_stride[2]);
    }
  }
  TW_MEMBER void store(Row r, u32 at, u32 step, const float x[4], Running all) const {
    const float inverse = all.sum != 0.0f ? 1.0f / all.sum : 0.0f;
    TW_UNROLL for (u32 i = 0; i < 4; i++) {
      const u32 k = at + i * step;
      const float y = all.sum != 0.0f ? weight(x[i], all.maximum) * inverse : 0.0f;
      if (k < p.length) store_float(r.dst, p.dst_dtype, i64(k) * p.inner_stride[1], y);
    }
  }
  TW_MEMBER Running with_sink(Running all, Row r) const {
    if (sink == nullptr) return all;
    const float x = *(const float*)r.sink;
    return all.merge({x <= lowest ? lowest : x, x <= lowest ? 0.0f : 1.0f});
  }
};

/// `row_waves` waves share a row, along which neighbouring lanes are neighbours. Keep fours of logits stay in registers
/// when the row fits (it is then read once); else the row is read twice. `partial` has two floats per wave.
template <u32 Keep>
TW_DEVICE void softmax_rows(TW_HIP_SOFTMAX_PARAMETERS, float* partial) {
  const Softmax s = {p, src, mask, sink, dst};
  const u32 wave = wave_id();
  const u32 width = TW_WAVE * p.row_waves, t = wave % p.row_waves * TW_WAVE + lane_id();
  const u32 index = block_x() * (p.waves / p.row_waves) + wave / p.row_waves;
  const bool exists = index < p.rows;
  const Row r = s.find_row(exists ? index : p.rows - 1);
  const u32 first = p.vector != 0 ? 4 * t : t, step = p.vector != 0 ? 1 : width;
  float kept[Keep == 0 ? 1 : Keep][4];
  Running own = Running::nothing();
  if (Keep != 0) {
    TW_UNROLL for (u32 i = 0; i < Keep; i++) {
      s.four(r, first + 4 * width * i, step, kept[i]);
      own = own.add(kept[i]);
    }
  } else {
    for (u32 at = first; at < p.length; at += 4 * width) {
      s.four(r, at, step, kept[0]);
      own = own.add(kept[0]);
    }
  }
  Running all = own.merge_lanes();
  if (p.row_waves > 1) {
    if (lane_id() == 0) {
      partial[2 * wave] = all.maximum;
      partial[2 * wave + 1] = all.sum;
    }
    barrier_lds();
    const u32 from = wave / p.row_waves * p.row_waves;
    all = Running::nothing();
    for (u32 i = 0; i < p.row_waves; i++) all = all.merge({partial[2 * (from + i)], partial[2 * (from + i) + 1]});
  }
  if (!exists) return;
  all = s.with_sink(all, r);
  if (Keep != 0) {
    TW_UNROLL for (u32 i = 0; i < Keep; i++) s.store(r, first + 4 * width * i, step, kept[i], all);
  } else {
    for (u32 at = first; at < p.length; at += 4 * width) {
      s.four(r, at, step, kept[0]);
      s.store(r, at, step, kept[0], all);
    }
  }
}

}  // namespace tw

TW_KERNEL(256) softmax_rows_kept(TW_HIP_SOFTMAX_ARGUMENTS) {
  TW_SHARED float partial[2 * 256 / TW_WAVE];
  tw::softmax_rows<2>(TW_HIP_SOFTMAX_PASSED, partial);
}
TW_KERNEL(256) softmax_rows_long(TW_HIP_SOFTMAX_ARGUMENTS) {
  TW_SHARED float partial[2 * 256 / TW_WAVE];
  tw::softmax_rows<0>(TW_HIP_SOFTMAX_PASSED, partial);
}

/// Rows that run across memory: neighbouring lanes have neighbouring rows, the waves of a workgroup share them.
TW_KERNEL(256) softmax_columns(TW_HIP_SOFTMAX_ARGUMENTS) {
  using namespace tw;
  TW_SHARED float partial[2 * 256];
  const Softmax s = {p, src, mask, sink, dst};
  const u32 lane = lane_id(), wave = wave_id();
  const u32 index = block_x() * TW_WAVE + lane;
  const bool exists = index < p.rows;
  const Row r = s.find_row(exists ? index : p.rows - 1);
  const u32 stride = 4 * p.waves;
  Running all = Running::nothing();
  float x[4];
  for (u32 at = 4 * wave; exists && at < p.length; at += stride) {
    s.four(r, at, 1, x);
    all = all.add(x);
  }
  if (p.waves > 1) {
    partial[2 * wave * TW_WAVE + lane] = all.maximum;
    partial[(2 * wave + 1) * TW_WAVE + lane] = all.sum;
    barrier_lds();
    all = Running::nothing();
    for (u32 i = 0; i < p.waves; i++) {
      all = all.merge({partial[2 * i * TW_WAVE + lane], partial[(2 * i + 1) * TW_WAVE + lane]});
    }
  }
  if (!exists) return;
  all = s.with_sink(all, r);
  for (u32 at = 4 * wave; at < p.length; at += stride) {
    s.four(r, at, 1, x);
    s.store(r, at, 1, x, all);
  }
}
