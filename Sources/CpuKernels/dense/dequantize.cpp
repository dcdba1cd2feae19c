// Quantized rows to floats.
#include "kernels.h"
#include "rows.h"

namespace tw {
namespace TW_ISA {
namespace {

template <class F, class Element>
void dequantize_rows(const tw_dequantize_params& p, const char* src, typename Element::T* dst, Pool& pool) {
  pool.reserve_scratch(kPiece * sizeof(float));
  const int64_t pieces = (p.k + kPiece - 1) / kPiece;
  pool.parallel_for(p.n * pieces, 8, [&](int64_t unit, int thread) {
    const int64_t row = unit / pieces;
    const int64_t k = unit % pieces * kPiece;
    const int64_t count = min_of(kPiece, p.k - k);
    const char* blocks = src + row * p.src_row_bytes + k / F::kBlock * F::kBytes;
    typename Element::T* out = dst + row * p.dst_stride[0] + k * p.dst_stride[1];
    if constexpr (Element::kDtype == TW_DTYPE_F32) {
      if (p.dst_stride[1] == 1) {
        decode_blocks<F>(blocks, count / F::kBlock, out);
        return;
      }
    }
    float* values = static_cast<float*>(pool.scratch(thread));
    decode_blocks<F>(blocks, count / F::kBlock, values);
    store_run<Element>(values, count, out, p.dst_stride[1]);
  });
}

}  // namespace

void dequantize(const Launch& launch, Pool& pool) {
  const auto& p = launch.as<tw_dequantize_params>();
  const auto* src = static_cast<const char*>(launch.buffers[TW_DEQUANTIZE_BUF_SRC]);
  with_format(launch.constants[TW_DEQUANTIZE_CONST_FORMAT], [&](auto format) {
    with_float_element(launch.constants[TW_DEQUANTIZE_CONST_DST_DTYPE], [&](auto element) {
      using Element = decltype(element);
      dequantize_rows<decltype(format), Element>(
          p, src, static_cast<typename Element::T*>(launch.buffers[TW_DEQUANTIZE_BUF_DST]), pool);
    });
  });
}

}  // namespace TW_ISA
}  // namespace tw
