// Loads of any alignment, and elements of any dtype.
//
// A load takes a base that is the same in all lanes and a 32-bit byte offset: AMD GPUs have that as an addressing mode
// (scalar base, vector offset, constant), which saves the 64-bit address arithmetic. Constants belong to the base:
// added to the offset they might wrap around, and so would cost an instruction.
#pragma once
#include "device.h"

namespace tw {

template <class T, u32 Align>
struct __attribute__((packed, aligned(Align))) Packed {
  T value;
};

/// T at any multiple of `Align`. AMD GPUs load 16 bytes from any address; NVIDIA's only from multiples of 16.
template <class T, u32 Align = alignof(T)>
TW_DEVICE T load_at(const u8* base, u32 offset) {
  return ((const Packed<T, Align>*)(base + offset))->value;
}

TW_DEVICE u32 load_u8(const u8* base, u32 offset) {
  return base[offset];
}
TW_DEVICE i32 load_i8(const u8* base, u32 offset) {
  return ((const i8*)base)[offset];
}

#if defined(TW_AMD)
template <u32 Align>
TW_DEVICE u32 load_u16(const u8* base, u32 offset) {
  return load_at<u16, Align>(base, offset);
}
template <u32 Align>
TW_DEVICE u32 load_u32(const u8* base, u32 offset) {
  return load_at<u32, Align>(base, offset);
}
template <u32 Align>
TW_DEVICE u32x2 load_u64(const u8* base, u32 offset) {
  return load_at<u32x2, Align>(base, offset);
}
template <u32 Align>
TW_DEVICE u32x4 load_u128(const u8* base, u32 offset) {
  // The same instruction for every alignment; the test bed holds 16 bytes at a multiple of 8 for misaligned.
  return load_at < u32x4, Align == 8 ? 4 : Align > (base, offset);
}
#else
template <u32 Align>
TW_DEVICE u32 load_u16(const u8* base, u32 offset) {
  if (Align >= 2) return load_at<u16>(base, offset);
  return load_u8(base, offset) | load_u8(base, offset + 1) << 8;
}
/// `Words` words from an address that is aligned to 1 or 2: whole aligned words, shifted into place. The base of every
/// buffer is aligned to 4 and its allocation is whole words, so that nothing outside of it is touched.
template <u32 Words>
struct Unaligned {
  u32 words[Words];
  TW_MEMBER Unaligned(const u8* base, u32 offset) {
    const u32 odd = u32((u64)(base + offset)) % 4, shift = odd * 8;
    const u32* from = (const u32*)(base + offset - odd);
    u32 low = from[0];
    TW_UNROLL for (u32 i = 0; i < Words; i++) {
      // The last word is not read past the end: an aligned run needs none.
      const u32 high = from[i + 1 < Words || shift != 0 ? i + 1 : i];
      words[i] = funnel_right(high, low, shift);
      low = high;
    }
  }
};
template <u32 Align>
TW_DEVICE u32 load_u32(const u8* base, u32 offset) {
  if (Align >= 4) return load_at<u32>(base, offset);
  return load_u16<Align>(base, offset) | load_u16<Align>(base + 2, offset) << 16;
}
template <u32 Align>
TW_DEVICE u32x2 load_u64(const u8* base, u32 offset) {
  if (Align >= 8) return load_at<u32x2>(base, offset);
  if (Align >= 4) return u32x2{load_u32<4>(base, offset), load_u32<4>(base + 4, offset)};
  const Unaligned<2> u(base, offset);
  return u32x2{u.words[0], u.words[1]};
}
template <u32 Align>
TW_DEVICE u32x4 load_u128(const u8* base, u32 offset) {
  if (Align >= 16) return load_at<u32x4>(base, offset);
  if (Align >= 4) {
    const u32x2 low = load_u64<Align>(base, offset), high = load_u64<Align>(base + 8, offset);
    return u32x4{low.x, low.y, high.x, high.y};
  }
  const Unaligned<4> u(base, offset);
  return u32x4{u.words[0], u.words[1], u.words[2], u.words[3]};
}
#endif

TW_DEVICE u32 dtype_bytes(u32 dtype) {
  return dtype == TW_DTYPE_F32 || dtype == TW_DTYPE_I32 ? 4u : dtype == TW_DTYPE_I8 ? 1u : 2u;
}

/// Dtypes that are known when the kernel runs are the same in all lanes: these branches do not diverge.
TW_DEVICE float load_float(const u8* base, u32 dtype, i64 index) {
  if (dtype == TW_DTYPE_F32) return ((const float*)base)[index];
  const u32 bits = ((const u16*)base)[index];
  return dtype == TW_DTYPE_F16 ? from_f16(bits) : from_bf16(bits);
}
TW_DEVICE void store_float(u8* base, u32 dtype, i64 index, float value) {
  if (dtype == TW_DTYPE_F32) {
    ((float*)base)[index] = value;
  } else {
    ((u16*)base)[index] = dtype == TW_DTYPE_F16 ? to_f16(value) : to_bf16(value);
  }
}

}  // namespace tw
