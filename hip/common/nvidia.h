// NVIDIA's branch of device.h.
#pragma once

namespace tw {

TW_DEVICE u32 thread_x() {
  return __nvvm_read_ptx_sreg_tid_x();
}
TW_DEVICE u32 thread_y() {
  return __nvvm_read_ptx_sreg_tid_y();
}
TW_DEVICE u32 block_x() {
  return __nvvm_read_ptx_sreg_ctaid_x();
}
TW_DEVICE u32 block_y() {
  return __nvvm_read_ptx_sreg_ctaid_y();
}
TW_DEVICE u32 block_z() {
  return __nvvm_read_ptx_sreg_ctaid_z();
}

TW_DEVICE u32 counted_lane() {
  return thread_x() % 32;
}

TW_DEVICE void barrier() {
  __syncthreads();
}
TW_DEVICE void barrier_lds() {
  __syncthreads();
}

/// Lanes of a wave: what was written before is visible behind it.
TW_DEVICE void wave_barrier() {
  __nvvm_bar_warp_sync(~0u);
}

TW_DEVICE u32 uniform(u32 x) {
  return x;
}
TW_DEVICE i64 uniform(i64 x) {
  return x;
}
TW_DEVICE void schedule_barrier() {}
/// x, of which the compiler knows nothing: what is made of it is made anew in every turn of a loop, and is not carried
/// along in registers.
TW_DEVICE u32 anew(u32 x) {
  __asm__ volatile("" : "+r"(x));
  return x;
}

/// The only assembly here: clang 19 has no builtin for dp4a. The bytes of `a` are signed, or not.
TW_DEVICE i32 dot4(u32 a, u32 b, i32 c) {
  i32 d;
  __asm__("dp4a.s32.s32 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c));
  return d;
}
TW_DEVICE i32 dot4_unsigned(u32 a, u32 b, i32 c) {
  i32 d;
  __asm__("dp4a.u32.s32 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c));
  return d;
}

TW_DEVICE u32 permute_bytes(u32 low, u32 high, u32 selector) {
  // prmt takes four bits per byte.
  const u32 pairs = selector | selector >> 4;
  return __nvvm_prmt(low, high, (pairs & 0xffu) | (pairs >> 8 & 0xff00u));
}
TW_DEVICE u32 funnel_right(u32 high, u32 low, u32 shift) {
  return u32((u64(high) << 32 | low) >> shift);
}
TW_DEVICE u32 rotate_right(u32 x, u32 by) {
  return __builtin_rotateright32(x, by);
}

/// Byte `i` of a word as a number, without or with a sign: the byte becomes the end of 2^23's fraction, as conversions
/// of integers have an eighth of the rate of a subtraction.
TW_DEVICE float unsigned_byte(u32 word, u32 i) {
  return __builtin_bit_cast(float, __nvvm_prmt(word, 0x4b000000u, 0x7440u + i)) - 8388608.0f;
}
TW_DEVICE float signed_byte(u32 word, u32 i) {
  return __builtin_bit_cast(float, __nvvm_prmt(word ^ 0x80808080u, 0x4b000000u, 0x7440u + i)) - 8388736.0f;
}

/// Two numbers as bfloat16, rounded to nearest even.
TW_DEVICE u32 pack_bf16(float low, float high) {
  return __builtin_bit_cast(u32, __nvvm_ff2bf16x2_rn(high, low));
}

TW_DEVICE float fast_exp2(float x) {
  return __nvvm_ex2_approx_ftz_f(x);
}
TW_DEVICE float fast_log2(float x) {
  return __nvvm_lg2_approx_ftz_f(x);
}
TW_DEVICE float fast_rcp(float x) {
  return __nvvm_rcp_approx_ftz_f(x);
}
TW_DEVICE float fast_rsqrt(float x) {
  return __nvvm_rsqrt_approx_ftz_f(x);
}

template <class F>
TW_DEVICE float wave_reduce(float x, F f) {
  TW_UNROLL for (int mask = 16; mask > 0; mask /= 2) {
    x = f(x, __nvvm_shfl_sync_bfly_f32(~0u, x, mask, 31));
  }
  return x;
}
}  // namespace tw
