// Rows of a table, chosen by an array of indices: decoded or converted. An index that names no row gives a row of NaN,
// and nothing is read for it.
#include "kernels.h"
#include "rows.h"

namespace tw {
namespace TW_ISA {
namespace {

/// `count` elements from element `at` of a plain row on, as floats.
template <class Element>
inline void load_run(const void* src, int64_t at, int64_t stride, int64_t count, float* values) {
  if (stride != 1) {
    for (int64_t i = 0; i < count; i++) values[i] = load_element(src, Element::kDtype, at + i * stride);
    return;
  }
  const auto* from = static_cast<const typename Element::T*>(src) + at;
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) store(values + i, Element::load(from + i));
  if (i < count) store_n(values + i, Element::load_n(from + i, count - i), count - i);
}

/// `read(row, k, count, values)` gives elements of a row of the table as floats; k is a multiple of kPiece.
template <class Element, class Read>
void gather(const tw_get_rows_params& p, const int32_t* index, typename Element::T* dst, Pool& pool, const Read& read) {
  pool.reserve_scratch(kPiece * sizeof(float));
  const int64_t pieces = (p.k + kPiece - 1) / kPiece;
  pool.parallel_for(p.count * pieces, 8, [&](int64_t unit, int thread) {
    const int64_t at = unit / pieces;
    const int64_t k = unit % pieces * kPiece;
    const int64_t count = min_of(kPiece, p.k - k);
    const int64_t row = index[at * p.index_stride];
    float* values = static_cast<float*>(pool.scratch(thread));
    if (row >= 0 && row < p.rows) {
      read(row, k, count, values);
    } else {
      for (int64_t i = 0; i < count; i++) values[i] = __builtin_nanf("");
    }
    store_run<Element>(values, count, dst + at * p.dst_stride[0] + k * p.dst_stride[1], p.dst_stride[1]);
  });
}

}  // namespace

void get_rows(const Launch& launch, Pool& pool) {
  const auto& p = launch.as<tw_get_rows_params>();
  const tw_u32 type = launch.constants[TW_GET_ROWS_CONST_SRC_TYPE];
  const auto* src = static_cast<const char*>(launch.buffers[TW_GET_ROWS_BUF_SRC]);
  const auto* index = static_cast<const int32_t*>(launch.buffers[TW_GET_ROWS_BUF_INDEX]);
  with_float_element(launch.constants[TW_GET_ROWS_CONST_DST_DTYPE], [&](auto element) {
    using Element = decltype(element);
    auto* dst = static_cast<typename Element::T*>(launch.buffers[TW_GET_ROWS_BUF_DST]);
    if (type <= TW_DTYPE_BF16) {
      with_float_element(type, [&](auto source) {
        gather<Element>(p, index, dst, pool, [&](int64_t row, int64_t k, int64_t count, float* values) {
          const int64_t at = row * p.src_stride[0] + k * p.src_stride[1];
          load_run<decltype(source)>(src, at, p.src_stride[1], count, values);
        });
      });
      return;
    }
    with_format(type, [&](auto format) {
      using F = decltype(format);
      gather<Element>(p, index, dst, pool, [&](int64_t row, int64_t k, int64_t count, float* values) {
        decode_blocks<F>(src + row * p.src_stride[0] + k / F::kBlock * F::kBytes, count / F::kBlock, values);
      });
    });
  });
}

}  // namespace TW_ISA
}  // namespace tw
