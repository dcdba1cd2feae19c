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

TW_DEVICE void barrier() {
  __syncthreads();
}
TW_DEVICE void barrier_lds() {
  __syncthreads();
}

TW_DEVICE u32 uniform(u32 x) {
  return x;
}
TW_DEVICE i64 uniform(i64 x) {
  return x;
}
TW_DEVICE void schedule_barrier() {}

/// The only assembly here: clang 19 has no builtin for dp4a.
TW_DEVICE i32 dot4(u32 a, u32 b, i32 c) {
  i32 d;
  __asm__("dp4a.s32.s32 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c));
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
