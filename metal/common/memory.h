// Elements of any dtype in device memory, and words of byte-addressed blocks.
#pragma once
#include <tilewright/params.h>

#include <metal_stdlib>

using namespace metal;

namespace tw {

METAL_FUNC float from_bf16(ushort bits) {
  return as_type<float>(uint(bits) << 16);
}

/// Round to nearest even; a NaN stays a quiet NaN.
METAL_FUNC ushort to_bf16(float x) {
  const uint bits = as_type<uint>(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return ushort((bits >> 16) | 0x40u);
  return ushort((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

METAL_FUNC float from_f16(ushort bits) {
  return float(as_type<half>(bits));
}

METAL_FUNC uint dtype_bytes(uint dtype) {
  return dtype == TW_DTYPE_F32 || dtype == TW_DTYPE_I32 ? 4u : dtype == TW_DTYPE_I8 ? 1u : 2u;
}

/// The dtypes are function constants or template arguments: these switches are gone when a pipeline is made.
METAL_FUNC float load_element(device const uchar* base, uint dtype, long index) {
  switch (dtype) {
    case TW_DTYPE_F32:
      return ((device const float*)base)[index];
    case TW_DTYPE_F16:
      return float(((device const half*)base)[index]);
    case TW_DTYPE_BF16:
      return from_bf16(((device const ushort*)base)[index]);
    case TW_DTYPE_I8:
      return float(((device const char*)base)[index]);
    default:
      return float(((device const int*)base)[index]);
  }
}

/// Four elements side by side, aligned to their size.
METAL_FUNC float4 load_vector(device const uchar* base, uint dtype, long index) {
  if (dtype == TW_DTYPE_F32) return as_type<float4>(*(device const uint4*)(base + 4 * index));
  if (dtype == TW_DTYPE_F16) return float4(as_type<half4>(*(device const ushort4*)(base + 2 * index)));
  const ushort4 bits = *(device const ushort4*)(base + 2 * index);
  return float4(from_bf16(bits.x), from_bf16(bits.y), from_bf16(bits.z), from_bf16(bits.w));
}
METAL_FUNC float2 load_pair(device const uchar* base, uint dtype, long index) {
  if (dtype == TW_DTYPE_F32) return *(device const float2*)(base + 4 * index);
  if (dtype == TW_DTYPE_F16) return float2(as_type<half2>(*(device const ushort2*)(base + 2 * index)));
  const ushort2 bits = *(device const ushort2*)(base + 2 * index);
  return float2(from_bf16(bits.x), from_bf16(bits.y));
}

/// Round to nearest even and saturate; NaN gives 0.
METAL_FUNC int to_integer(float x, float low, float high, int highest) {
  if (x != x) return 0;
  if (x >= high) return highest;
  return int(rint(max(x, low)));
}

METAL_FUNC void store_element(device uchar* base, uint dtype, long index, float value) {
  switch (dtype) {
    case TW_DTYPE_F32:
      ((device float*)base)[index] = value;
      return;
    case TW_DTYPE_F16:
      ((device half*)base)[index] = half(value);
      return;
    case TW_DTYPE_BF16:
      ((device ushort*)base)[index] = to_bf16(value);
      return;
    case TW_DTYPE_I8:
      ((device char*)base)[index] = char(to_integer(value, -128.0f, 127.0f, 127));
      return;
    default:
      ((device int*)base)[index] = to_integer(value, -2147483648.0f, 2147483648.0f, 2147483647);
      return;
  }
}

/// Four elements side by side, aligned to their size.
METAL_FUNC void store_vector(device uchar* base, uint dtype, long index, float4 v) {
  if (dtype == TW_DTYPE_F32) {
    *(device float4*)(base + 4 * index) = v;
  } else if (dtype == TW_DTYPE_F16) {
    const half4 h = half4(v);
    *(device half4*)(base + 2 * index) = h;
  } else {
    const ushort4 h = ushort4(to_bf16(v.x), to_bf16(v.y), to_bf16(v.z), to_bf16(v.w));
    *(device ushort4*)(base + 2 * index) = h;
  }
}
METAL_FUNC void store_pair(device uchar* base, uint dtype, long index, float2 v) {
  if (dtype == TW_DTYPE_F32) {
    *(device float2*)(base + 4 * index) = v;
  } else if (dtype == TW_DTYPE_F16) {
    const half2 h = half2(v);
    *(device half2*)(base + 2 * index) = h;
  } else {
    const ushort2 h = ushort2(to_bf16(v.x), to_bf16(v.y));
    *(device ushort2*)(base + 2 * index) = h;
  }
}

// Words of a block. `wide` says that the block is aligned for them; otherwise they are put together from bytes.
METAL_FUNC uint read_u16(device const uchar* at, bool wide) {
  if (wide) return uint(*(device const ushort*)at);
  return uint(at[0]) | (uint(at[1]) << 8);
}
METAL_FUNC uint read_u32(device const uchar* at, bool wide) {
  if (wide) return *(device const uint*)at;
  return read_u16(at, false) | (read_u16(at + 2, false) << 16);
}
METAL_FUNC uint2 read_u64(device const uchar* at, bool wide) {
  if (wide) return *(device const uint2*)at;
  return uint2(read_u32(at, false), read_u32(at + 4, false));
}
METAL_FUNC uint4 read_u128(device const uchar* at, bool wide) {
  if (wide) return *(device const uint4*)at;
  return uint4(read_u64(at, false), read_u64(at + 8, false));
}

/// Offset of batch entry `index`; the last of the four dimensions varies fastest.
METAL_FUNC long batch_offset(constant long* sizes, constant long* strides, ulong index) {
  long offset = 0;
  for (int d = 3; d >= 0; d--) {
    const ulong size = ulong(sizes[d]);
    offset += long(index % size) * strides[d];
    index /= size;
  }
  return offset;
}

}  // namespace tw
