// Rows of a table, chosen by an array of indices: block-quantized rows are decoded, plain ones converted. An index that
// names no row gives a row of NaN, and nothing is read for it. Compiled once per format, and once for plain rows.
#include "common/rows.h"
#include "generated/hip_get_rows.h"

namespace tw {

TW_DEVICE i64 chosen_row(const tw_hip_get_rows_params& p, const u8* index, u32 at) {
  const i64 row = ((const i32*)index)[i64(at) * p.index_stride];
  return row < p.rows ? row : -1;
}

}  // namespace tw

#define TW_PASTE(a, b) a##b
#define TW_NAME(a, b) TW_PASTE(a, b)

#if defined(TW_FORMAT)
TW_KERNEL(128) TW_NAME(get_rows_, TW_FORMAT_NAME)(TW_HIP_GET_ROWS_ARGUMENTS) {
  using namespace tw;
  typedef TW_FORMAT F;
  const u32 unit = block_x() % p.blocks * 128 + thread_x(), at = block_x() / p.blocks;
  if (unit >= p.k / 32) return;
  const RowTarget to = {dst, p.dst_dtype, i64(at) * p.dst_stride[0], p.dst_stride[1], p.dst_vector != 0};
  const i64 row = chosen_row(p, index, at);
  if (row < 0) {
    float w[16];
    TW_UNROLL for (u32 i = 0; i < 16; i++) w[i] = bits_as<float>(0x7fc00000u);
    store_run<16>(to, 32 * unit, w);
    store_run<16>(to, 32 * unit + 16, w);
    return;
  }
  convert_part<F>(src + row * p.src_stride[0], unit, to);
}
#else
/// One element per thread, or four side by side.
TW_KERNEL(128) get_rows_dense(TW_HIP_GET_ROWS_ARGUMENTS) {
  using namespace tw;
  const u32 per_thread = p.src_vector != 0 ? 4 : 1;
  const u32 k = (block_x() % p.blocks * 128 + thread_x()) * per_thread, at = block_x() / p.blocks;
  if (k >= p.k) return;
  const i64 row = chosen_row(p, index, at);
  const i64 from = row * p.src_stride[0];
  float w[4];
  TW_UNROLL for (u32 i = 0; i < 4; i++) w[i] = bits_as<float>(0x7fc00000u);
  if (row >= 0) {
    if (per_thread == 4) {
      load_four(src, p.src_dtype, from + k, w);
    } else {
      w[0] = load_float(src, p.src_dtype, from + i64(k) * p.src_stride[1]);
    }
  }
  const RowTarget to = {dst, p.dst_dtype, i64(at) * p.dst_stride[0], p.dst_stride[1], p.dst_vector != 0};
  if (per_thread == 4) {
    store_run<4>(to, k, w);
  } else {
    store_float(dst, p.dst_dtype, to.at + i64(k) * to.stride, w[0]);
  }
}
#endif
