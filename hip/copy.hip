// Strided copies with conversion between any dtypes. Elements of one dtype are moved as they are, bit for bit.
#include "common/memory.h"
#include "common/numbers.h"
#include "generated/hip_copy.h"

namespace tw {

/// An element on its way: its bits when the dtypes are the same, else a float's.
TW_DEVICE u32 take(const tw_hip_copy_params& p, const u8* src, i64 index) {
  if (p.src_dtype != p.dst_dtype) return bits_as<u32>(load_number(src, p.src_dtype, index));
  const u32 bytes = dtype_bytes(p.src_dtype);
  if (bytes == 4) return ((const u32*)src)[index];
  if (bytes == 2) return ((const u16*)src)[index];
  return src[index];
}
TW_DEVICE void put(const tw_hip_copy_params& p, u8* dst, i64 index, u32 element) {
  if (p.src_dtype != p.dst_dtype) return store_number(dst, p.dst_dtype, index, bits_as<float>(element));
  const u32 bytes = dtype_bytes(p.dst_dtype);
  if (bytes == 4) {
    ((u32*)dst)[index] = element;
  } else if (bytes == 2) {
    ((u16*)dst)[index] = u16(element);
  } else {
    dst[index] = u8(element);
  }
}

struct Offsets {
  i64 src, dst;
};
/// Of position `index` of the first `Dims` dimensions; sizes are below 2^31.
template <int Dims>
TW_DEVICE Offsets offsets(const tw_hip_copy_params& p, u32 index) {
  Offsets at = {0, 0};
  TW_UNROLL for (int d = Dims - 1; d >= 0; d--) {
    const u32 size = u32(p.shape[d]);
    if (size == 1) continue;
    const i64 i = index % size;
    index /= size;
    at.src += i * p.src_stride[d];
    at.dst += i * p.dst_stride[d];
  }
  return at;
}

}  // namespace tw

/// One element per thread, or four floats side by side; neighbouring threads follow the last dimension. A workgroup has
/// `width` threads along it, and the rest across.
TW_KERNEL(256) copy_elements(TW_HIP_COPY_ARGUMENTS) {
  using namespace tw;
  const u32 t = thread_x(), across = 256 / p.width;
  const u32 column = block_x() % p.blocks * p.width + t % p.width;
  const u32 row = block_x() / p.blocks * across + t / p.width;
  const u32 inner = u32(p.shape[7]);
  if (row >= p.rows) return;
  const Offsets base = offsets<7>(p, row);
  if (p.vector != 0) {
    if (column >= inner / 4) return;
    float x[4];
    load_four(src, p.src_dtype, base.src + i64(column) * 4, x);
    store_four(dst, p.dst_dtype, base.dst + i64(column) * 4, x);
    return;
  }
  if (column >= inner) return;
  put(p, dst, base.dst + i64(column) * p.dst_stride[7], take(p, src, base.src + i64(column) * p.src_stride[7]));
}

/// The last dimension is dense in dst, the one before it in src: both sides are read and written in whole lines, by way
/// of 32 x 32 elements in LDS.
TW_KERNEL(256) copy_transposed(TW_HIP_COPY_ARGUMENTS) {
  using namespace tw;
  TW_SHARED u32 tile[32 * 33];
  const u32 x = thread_x() % 32, y = thread_x() / 32;
  const Offsets base = offsets<6>(p, block_z());
  const i64 row = i64(block_y()) * 32, column = i64(block_x()) * 32;
  for (u32 i = y; i < 32; i += 8) {
    // A column of dst's rows is a row of src.
    const i64 r = row + x, c = column + i;
    if (r < p.shape[6] && c < p.shape[7]) {
      tile[i * 33 + x] = take(p, src, base.src + r * p.src_stride[6] + c * p.src_stride[7]);
    }
  }
  barrier_lds();
  for (u32 i = y; i < 32; i += 8) {
    const i64 r = row + i, c = column + x;
    if (r < p.shape[6] && c < p.shape[7]) {
      put(p, dst, base.dst + r * p.dst_stride[6] + c * p.dst_stride[7], tile[x * 33 + i]);
    }
  }
}
