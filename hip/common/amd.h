// AMD's branch of device.h. DPP moves lanes inside the VALU; on RDNA rows of 16 are joined by ds_swizzle, as
// v_permlanex16 is not marked convergent in LLVM 19 and may be sunk into a divergent branch.
#pragma once

/// RDNA GPUs with 1536 registers per lane, not 1024: 16 waves of 96 registers (ts/hip/occupancy.ts has them all).
#if defined(__gfx1100__) || defined(__gfx1101__) || defined(__gfx1151__) || defined(__gfx1200__) || defined(__gfx1201__)
#define TW_MANY_REGISTERS 1
#endif

namespace tw {

TW_DEVICE u32 thread_x() {
  return __builtin_amdgcn_workitem_id_x();
}
TW_DEVICE u32 thread_y() {
  return __builtin_amdgcn_workitem_id_y();
}
TW_DEVICE u32 block_x() {
  return __builtin_amdgcn_workgroup_id_x();
}
TW_DEVICE u32 block_y() {
  return __builtin_amdgcn_workgroup_id_y();
}
TW_DEVICE u32 block_z() {
  return __builtin_amdgcn_workgroup_id_z();
}

/// lane_id(), of lanes that are all there: by counting those before, so that no register has kept it.
TW_DEVICE u32 counted_lane() {
  const u32 low = __builtin_amdgcn_mbcnt_lo(~0u, 0);
#if __AMDGCN_WAVEFRONT_SIZE == 64
  return __builtin_amdgcn_mbcnt_hi(~0u, low);
#else
  return low;
#endif
}

/// All threads of the workgroup; orders LDS, and not device memory.
TW_DEVICE void barrier_lds() {
  __builtin_amdgcn_fence(__ATOMIC_RELEASE, "workgroup", "local");
  __builtin_amdgcn_s_barrier();
  __builtin_amdgcn_fence(__ATOMIC_ACQUIRE, "workgroup", "local");
}
/// All threads of the workgroup; orders LDS and device memory.
TW_DEVICE void barrier() {
  __builtin_amdgcn_fence(__ATOMIC_RELEASE, "workgroup");
  __builtin_amdgcn_s_barrier();
  __builtin_amdgcn_fence(__ATOMIC_ACQUIRE, "workgroup");
}

/// A value that is the same in all lanes, told to the compiler: it moves to a scalar register.
TW_DEVICE u32 uniform(u32 x) {
  return u32(__builtin_amdgcn_readfirstlane(int(x)));
}
TW_DEVICE i64 uniform(i64 x) {
  const u32 low = uniform(u32(x)), high = uniform(u32(u64(x) >> 32));
  return i64(u64(high) << 32 | low);
}

/// The scheduler moves nothing across: loads that stand above it are asked for together.
TW_DEVICE void schedule_barrier() {
  __builtin_amdgcn_sched_barrier(0);
}

/// For what NVIDIA's 128 registers make necessary.
TW_DEVICE u32 anew(u32 x) {
  return x;
}

/// c + the sum of four products of signed bytes.
TW_DEVICE i32 dot4(u32 a, u32 b, i32 c) {
#if defined(__gfx906__) || defined(__gfx908__) || defined(__gfx90a__) || defined(__gfx942__) || defined(__GFX10__)
  return __builtin_amdgcn_sdot4(int(a), int(b), c, false);
#else
  return __builtin_amdgcn_sudot4(true, int(a), true, int(b), c, false);
#endif
}

/// Byte i of the result is byte `selector[i]` of the eight bytes low:high, selectors 0..7.
TW_DEVICE u32 permute_bytes(u32 low, u32 high, u32 selector) {
  return __builtin_amdgcn_perm(high, low, selector);
}
/// The low word of high:low shifted right by `shift` (0..31) bits.
TW_DEVICE u32 funnel_right(u32 high, u32 low, u32 shift) {
  return __builtin_amdgcn_alignbit(high, low, shift);
}
TW_DEVICE u32 rotate_right(u32 x, u32 by) {
  return funnel_right(x, x, by % 32);
}

/// Byte `i` of a word as a number, without or with a sign: one conversion that takes the byte where it is.
TW_DEVICE float unsigned_byte(u32 word, u32 i) {
  return float(word >> 8 * i & 0xffu);
}
TW_DEVICE float signed_byte(u32 word, u32 i) {
  return float(i8(word >> 8 * i));
}

/// Two numbers as bfloat16, rounded to nearest even. A NaN stays one where it, or what it was made of, is plain_nan().
TW_DEVICE u32 pack_bf16(float low, float high) {
  const u32 x = __builtin_bit_cast(u32, low), y = __builtin_bit_cast(u32, high);
  return permute_bytes(x + 0x7fffu + (x >> 16 & 1u), y + 0x7fffu + (y >> 16 & 1u), 0x07060302u);
}

/// Hardware approximations, within one unit in the last place; results below the normal range are 0.
TW_DEVICE float fast_exp2(float x) {
  return __builtin_amdgcn_exp2f(x);
}
TW_DEVICE float fast_log2(float x) {
  return __builtin_amdgcn_logf(x);
}
TW_DEVICE float fast_rcp(float x) {
  return __builtin_amdgcn_rcpf(x);
}
TW_DEVICE float fast_rsqrt(float x) {
  return __builtin_amdgcn_rsqf(x);
}

template <int Control>
TW_DEVICE float dpp(float x) {
  return __builtin_bit_cast(float, __builtin_amdgcn_update_dpp(0, __builtin_bit_cast(int, x), Control, 15, 15, true));
}

/// Combine across the lanes of a wave; every lane has the result. `f` must not care about the order.
template <class F>
TW_DEVICE float wave_reduce(float x, F f) {
#if __AMDGCN_WAVEFRONT_SIZE == 64
  // row_ror within rows of 16, then row_bcast: lane 63 has the whole.
  x = f(x, dpp<0x121>(x));
  x = f(x, dpp<0x122>(x));
  x = f(x, dpp<0x124>(x));
  x = f(x, dpp<0x128>(x));
  const int row0 = __builtin_amdgcn_readlane(__builtin_bit_cast(int, x), 0);
  const int row1 = __builtin_amdgcn_readlane(__builtin_bit_cast(int, x), 16);
  const int row2 = __builtin_amdgcn_readlane(__builtin_bit_cast(int, x), 32);
  const int row3 = __builtin_amdgcn_readlane(__builtin_bit_cast(int, x), 48);
  return f(f(__builtin_bit_cast(float, row0), __builtin_bit_cast(float, row1)),
           f(__builtin_bit_cast(float, row2), __builtin_bit_cast(float, row3)));
#else
  // row_xmask within rows of 16, then the two rows swapped.
  x = f(x, dpp<0x161>(x));
  x = f(x, dpp<0x162>(x));
  x = f(x, dpp<0x164>(x));
  x = f(x, dpp<0x168>(x));
  const int other = __builtin_amdgcn_ds_swizzle(__builtin_bit_cast(int, x), 0x401f);
  return f(x, __builtin_bit_cast(float, other));
#endif
}

}  // namespace tw
