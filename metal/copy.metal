// Strided copies with conversion between any dtypes. Elements of one dtype are moved as they are, bit for bit.
#include "common/memory.h"
#include "generated/copy.h"

using namespace metal;

namespace tw {

/// An element on its way: its bits when the dtypes are the same, else a float's.
METAL_FUNC uint take(device const uchar* src, long index) {
  if (fc_src_dtype != fc_dst_dtype) return as_type<uint>(load_element(src, fc_src_dtype, index));
  const uint bytes = dtype_bytes(fc_src_dtype);
  if (bytes == 4) return ((device const uint*)src)[index];
  if (bytes == 2) return uint(((device const ushort*)src)[index]);
  return uint(src[index]);
}
METAL_FUNC void put(device uchar* dst, long index, uint element) {
  if (fc_src_dtype != fc_dst_dtype) {
    store_element(dst, fc_dst_dtype, index, as_type<float>(element));
    return;
  }
  const uint bytes = dtype_bytes(fc_src_dtype);
  if (bytes == 4) {
    ((device uint*)dst)[index] = element;
  } else if (bytes == 2) {
    ((device ushort*)dst)[index] = ushort(element);
  } else {
    dst[index] = uchar(element);
  }
}

/// Offsets of position `index` of the first `dims` dimensions.
METAL_FUNC long2 offsets(constant tw_copy_params& p, int dims, ulong index) {
  long2 at = long2(0);
  for (int d = dims - 1; d >= 0; d--) {
    const ulong size = ulong(p.shape[d]);
    if (size == 1) continue;
    const long i = long(index % size);
    index /= size;
    at.x += i * p.src_stride[d];
    at.y += i * p.dst_stride[d];
  }
  return at;
}

/// One element per thread, or four floats side by side; neighbouring threads follow the last dimension.
[[host_name("copy_elements")]] kernel void copy_elements(TW_COPY_ARGUMENTS, uint3 at [[thread_position_in_grid]]) {
  const ulong inner = ulong(p.shape[7]);
  ulong rows = 1;
  for (int d = 0; d < 7; d++) rows *= ulong(p.shape[d]);
  if (ulong(at.y) >= rows) return;
  if (fc_vector != 0) {
    if (ulong(at.x) * 4 >= inner) return;
    const long2 base = offsets(p, 7, at.y) + long(at.x) * 4;
    store_vector(dst, fc_dst_dtype, base.y, load_vector(src, fc_src_dtype, base.x));
    return;
  }
  if (ulong(at.x) >= inner) return;
  const long2 base = offsets(p, 7, at.y);
  put(dst, base.y + long(at.x) * p.dst_stride[7], take(src, base.x + long(at.x) * p.src_stride[7]));
}

/// The last dimension is dense in dst, the one before it in src: both sides are read and written in whole lines, by way
/// of 32 x 32 elements in threadgroup memory.
[[host_name("copy_transposed")]] kernel void copy_transposed(TW_COPY_ARGUMENTS,
                                                            uint3 group [[threadgroup_position_in_grid]],
                                                            ushort lane [[thread_index_in_simdgroup]],
                                                            ushort simd [[simdgroup_index_in_threadgroup]]) {
  threadgroup uint tile[32 * 33];
  const long2 base = offsets(p, 6, group.z);
  const long row = long(group.y) * 32;
  const long col = long(group.x) * 32;
  for (uint i = simd; i < 32; i += 8) {
    // A column of dst's rows is a row of src.
    const long r = row + lane;
    const long c = col + i;
    if (r < p.shape[6] && c < p.shape[7]) {
      tile[i * 33 + lane] = take(src, base.x + r * p.src_stride[6] + c * p.src_stride[7]);
    }
  }
  threadgroup_barrier(mem_flags::mem_threadgroup);
  for (uint i = simd; i < 32; i += 8) {
    const long r = row + i;
    const long c = col + lane;
    if (r < p.shape[6] && c < p.shape[7]) {
      put(dst, base.y + r * p.dst_stride[6] + c * p.dst_stride[7], tile[lane * 33 + i]);
    }
  }
}

}  // namespace tw
