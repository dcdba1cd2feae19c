// softmax(cap(scale * x) + mask) along an inner dimension of any stride, without a copy. A sink is one more logit of a
// row that has no place in the result. A row that is masked out entirely gives zeros.
#include "common/memory.h"
#include "common/online-softmax.h"
#include "generated/metal_softmax.h"

using namespace metal;

namespace tw {

/// One row (whatever its direction in memory): base addresses, in elements.
struct Row {
  long src, dst, mask, sink;
};

METAL_FUNC Row find_row(constant tw_metal_softmax_params& p, ulong index) {
  Row r;
  r.src = 0;
  r.dst = 0;
  r.mask = 0;
  r.sink = 0;
  for (int d = 6; d >= 0; d--) {
    const ulong size = ulong(p.shape[d]);
    const long at = long(index % size);
    index /= size;
    r.src += at * p.src_stride[d];
    r.dst += at * p.dst_stride[d];
    r.mask += at * p.mask_stride[d];
    r.sink += at * p.sink_stride[d];
  }
  return r;
}

METAL_FUNC float logit(constant tw_metal_softmax_params& p, float x) {
  x *= p.scale;
  if (p.soft_cap > 0.0f) x = p.soft_cap * tanh(x / p.soft_cap);
  return x;
}
METAL_FUNC float logit_at(constant tw_metal_softmax_params& p, device const uchar* src, device const uchar* mask, Row r,
                          ulong at) {
  if (at >= ulong(p.length)) return kLowest;
  float x = logit(p, load_element(src, fc_src_dtype, r.src + long(at) * p.inner_stride[0]));
  if (has_mask) x += load_element(mask, fc_mask_dtype, r.mask + long(at) * p.inner_stride[2]);
  return x;
}

/// Logits of `at`, `at` + step, ... + 3 step; side by side where the host allows vectors (then step is 1).
METAL_FUNC float4 four_logits(constant tw_metal_softmax_params& p, device const uchar* src, device const uchar* mask,
                              Row r, ulong at, ulong step) {
  if (fc_vector != 0) {
    if (at >= ulong(p.length)) return float4(kLowest);
    float4 x = load_vector(src, fc_src_dtype, r.src + long(at));
    x = float4(logit(p, x.x), logit(p, x.y), logit(p, x.z), logit(p, x.w));
    if (has_mask) x += load_vector(mask, fc_mask_dtype, r.mask + long(at));
    return x;
  }
  return float4(logit_at(p, src, mask, r, at), logit_at(p, src, mask, r, at + step),
                logit_at(p, src, mask, r, at + 2 * step), logit_at(p, src, mask, r, at + 3 * step));
}

METAL_FUNC void store_four(constant tw_metal_softmax_params& p, device uchar* dst, Row r, ulong at, ulong step,
                           float4 x, Running all) {
  for (uint i = 0; i < 4; i++) {
    const ulong to = at + i * step;
    float y = 0.0f;
    if (all.sum != 0.0f) y = weight(x[i], all.maximum) / all.sum;
    if (to < ulong(p.length)) store_element(dst, fc_dst_dtype, r.dst + long(to) * p.inner_stride[1], y);
  }
}

METAL_FUNC Running with_sink(Running all, device const uchar* sink, Row r) {
  if (!has_sink) return all;
  Running other;
  other.maximum = ((device const float*)sink)[r.sink];
  other.sum = other.maximum <= kLowest ? 0.0f : 1.0f;
  return merge(all, other);
}

/// `fc_row_simdgroups` simdgroups share a row, along which neighbouring lanes are neighbours. KEEP logits stay in
/// registers when the row fits (it is then read once); else the row is read twice.
template <uint KEEP>
kernel void softmax_rows(TW_METAL_SOFTMAX_ARGUMENTS, threadgroup float* partial [[threadgroup(0)]],
                         uint3 group [[threadgroup_position_in_grid]], ushort lane [[thread_index_in_simdgroup]],
                         ushort simd [[simdgroup_index_in_threadgroup]]) {
  const ulong width = 32 * fc_row_simdgroups;
  const ulong thread_index = (simd % fc_row_simdgroups) * 32 + lane;
  const ulong index = ulong(group.x) * (fc_simdgroups / fc_row_simdgroups) + simd / fc_row_simdgroups;
  const bool exists = index < ulong(p.rows);
  const Row r = find_row(p, min(index, ulong(p.rows) - 1));
  const ulong first = fc_vector != 0 ? 4 * thread_index : thread_index;
  const ulong step = fc_vector != 0 ? 1 : width;

  float4 kept[KEEP == 0 ? 1 : KEEP];
  Running own = running_nothing();
  if (KEEP != 0) {
    for (uint i = 0; i < KEEP; i++) {
      kept[i] = four_logits(p, src, mask, r, first + 4 * width * i, step);
      own = add_four(own, kept[i]);
    }
  } else {
    for (ulong at = first; at < ulong(p.length); at += 4 * width) {
      own = add_four(own, four_logits(p, src, mask, r, at, step));
    }
  }
  Running all = merge_lanes(own);
  if (fc_row_simdgroups > 1) {
    if (lane == 0) {
      partial[2 * simd] = all.maximum;
      partial[2 * simd + 1] = all.sum;
    }
    threadgroup_barrier(mem_flags::mem_threadgroup);
    const uint from = simd / fc_row_simdgroups * fc_row_simdgroups;
    all = running_nothing();
    for (uint s = 0; s < fc_row_simdgroups; s++) {
      Running part;
      part.maximum = partial[2 * (from + s)];
      part.sum = partial[2 * (from + s) + 1];
      all = merge(all, part);
    }
  }
  if (!exists) return;
  all = with_sink(all, sink, r);
  if (KEEP != 0) {
    for (uint i = 0; i < KEEP; i++) store_four(p, dst, r, first + 4 * width * i, step, kept[i], all);
  } else {
    for (ulong at = first; at < ulong(p.length); at += 4 * width) {
      store_four(p, dst, r, at, step, four_logits(p, src, mask, r, at, step), all);
    }
  }
}

/// Rows that run across memory: neighbouring lanes have neighbouring rows, the simdgroups of a threadgroup share them.
[[host_name("softmax_columns")]] kernel void softmax_columns(TW_METAL_SOFTMAX_ARGUMENTS, threadgroup float* partial [[threadgroup(0)]],
                            uint3 group [[threadgroup_position_in_grid]], ushort lane [[thread_index_in_simdgroup]],
                            ushort simd [[simdgroup_index_in_threadgroup]]) {
  const ulong index = ulong(group.x) * 32 + lane;
  const bool exists = index < ulong(p.rows);
  const Row r = find_row(p, min(index, ulong(p.rows) - 1));
  const ulong stride = 4 * fc_simdgroups;
  Running all = running_nothing();
  if (exists) {
    for (ulong at = 4 * simd; at < ulong(p.length); at += stride) {
      all = add_four(all, four_logits(p, src, mask, r, at, 1));
    }
  }
  if (fc_simdgroups > 1) {
    partial[(2 * simd) * 32 + lane] = all.maximum;
    partial[(2 * simd + 1) * 32 + lane] = all.sum;
    threadgroup_barrier(mem_flags::mem_threadgroup);
    all = running_nothing();
    for (uint s = 0; s < fc_simdgroups; s++) {
      Running part;
      part.maximum = partial[(2 * s) * 32 + lane];
      part.sum = partial[(2 * s + 1) * 32 + lane];
      all = merge(all, part);
    }
  }
  if (!exists) return;
  all = with_sink(all, sink, r);
  for (ulong at = 4 * simd; at < ulong(p.length); at += stride) {
    store_four(p, dst, r, at, 1, four_logits(p, src, mask, r, at, 1), all);
  }
}

}  // namespace tw

template [[host_name("softmax_rows_kept")]] [[kernel]] decltype(tw::softmax_rows<2>) tw::softmax_rows<2>;
template [[host_name("softmax_rows_long")]] [[kernel]] decltype(tw::softmax_rows<0>) tw::softmax_rows<0>;
