// Rows of a table, chosen by an array of indices: block-quantized rows are decoded, plain ones converted. An index that
// names no row gives a row of NaN, and nothing is read for it.
#include "common/memory.h"
#include "common/rows.h"
#include "generated/get_rows.h"

using namespace metal;

namespace tw {

template <typename F>
METAL_FUNC void get_row(TW_GET_ROWS_PARAMETERS, uint3 at) {
  const uint units = uint(p.k) / F::block * F::parts;
  if (at.x >= units || at.y >= uint(p.count)) return;
  RowTarget to;
  to.dst = dst;
  to.dtype = fc_dst_dtype;
  to.at = long(at.y) * p.dst_stride[0];
  to.stride = p.dst_stride[1];
  to.vectors = fc_dst_vector != 0;
  const long row = long(((device const int*)index)[long(at.y) * p.index_stride]);
  if (row < 0 || row >= p.rows) {
    const uint first = at.x / F::parts * F::block + F::start(at.x % F::parts);
    float w[F::run];
    for (uint i = 0; i < F::run; i++) w[i] = as_type<float>(0x7fc00000u);
    for (uint r = 0; r < F::runs; r++) store_run<F::run>(to, first + r * F::step, w);
    return;
  }
  device const uchar* from = src + row * p.src_stride[0] * long(F::element);
  convert_share<F>(from, p.src_stride[1], at.x, fc_src_vector != 0, to);
}

template <typename F>
kernel void get_rows(TW_GET_ROWS_ARGUMENTS, uint3 at [[thread_position_in_grid]]) {
  get_row<F>(TW_GET_ROWS_PASSED, at);
}

template <uint Dtype>
kernel void get_rows_dense(TW_GET_ROWS_ARGUMENTS, uint3 at [[thread_position_in_grid]]) {
  if (fc_src_vector != 0) {
    get_row<Dense<Dtype, 4>>(TW_GET_ROWS_PASSED, at);
  } else {
    get_row<Dense<Dtype, 1>>(TW_GET_ROWS_PASSED, at);
  }
}

}  // namespace tw

#define TW_GET_ROWS(TYPE, NAME)                        \
  template [[host_name("get_rows_" #NAME)]] [[kernel]] \
  decltype(tw::get_rows<tw::TYPE>) tw::get_rows<tw::TYPE>;
TW_FOR_EACH_FORMAT(TW_GET_ROWS)
#define TW_GET_ROWS_DENSE(TYPE, NAME)                  \
  template [[host_name("get_rows_" #NAME)]] [[kernel]] \
  decltype(tw::get_rows_dense<TYPE>) tw::get_rows_dense<TYPE>;
TW_GET_ROWS_DENSE(TW_DTYPE_F32, f32)
TW_GET_ROWS_DENSE(TW_DTYPE_F16, f16)
TW_GET_ROWS_DENSE(TW_DTYPE_BF16, bf16)
