// Rows of block-quantized weights to f32, f16 or bf16, any output strides.
#include "common/memory.h"
#include "common/rows.h"
#include "generated/dequantize.h"

using namespace metal;

namespace tw {

template <typename F>
kernel void dequantize(TW_DEQUANTIZE_ARGUMENTS, uint3 at [[thread_position_in_grid]]) {
  const uint units = uint(p.k) / F::block * F::parts;
  if (at.x >= units || at.y >= uint(p.n)) return;
  RowTarget to;
  to.dst = dst;
  to.dtype = fc_dst_dtype;
  to.at = long(at.y) * p.dst_stride[0];
  to.stride = p.dst_stride[1];
  to.vectors = fc_dst_vector != 0;
  convert_share<F>(src + long(at.y) * p.src_row_bytes, 0, at.x, fc_src_vector != 0, to);
}

}  // namespace tw

#define TW_DEQUANTIZE(TYPE, NAME)                        \
  template [[host_name("dequantize_" #NAME)]] [[kernel]] \
  decltype(tw::dequantize<tw::TYPE>) tw::dequantize<tw::TYPE>;
TW_FOR_EACH_FORMAT(TW_DEQUANTIZE)
