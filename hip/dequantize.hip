// Rows of block-quantized weights to f32, f16 or bf16, any output strides. Compiled once per format: TW_FORMAT is its
// type, TW_FORMAT_NAME its name in symbols.
#include "common/rows.h"
#include "generated/hip_dequantize.h"

#define TW_PASTE(a, b) a##b
#define TW_NAME(a, b) TW_PASTE(a, b)

TW_KERNEL(128) TW_NAME(dequantize_, TW_FORMAT_NAME)(TW_HIP_DEQUANTIZE_ARGUMENTS) {
  using namespace tw;
  typedef TW_FORMAT F;
  const u32 unit = block_x() % p.blocks * 128 + thread_x(), row = block_x() / p.blocks;
  if (unit >= p.k / 32) return;
  const RowTarget to = {dst, p.dst_dtype, i64(row) * p.dst_stride[0], p.dst_stride[1], p.dst_vector != 0};
  convert_part<F>(src + i64(row) * p.src_row_bytes, unit, to);
}
