// How NVIDIA's matrix instructions come by their operands: PTX names these instructions, no builtin of clang 19 does.
#pragma once
#include "device.h"

namespace tw {

TW_DEVICE u32 shared_address(const u8* at) {
  return (u32)(u64)(const __attribute__((address_space(3))) u8*)at;
}

/// Four 8 x 8 matrices of 16-bit numbers, lane l naming row l % 8 of matrix l / 8: one instruction instead of four
/// loads, which the queue of memory instructions would not keep up with.
TW_DEVICE u32x4 load_matrices(const u8* row) {
  u32x4 words;
  __asm__ volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                   : "=r"(words.x), "=r"(words.y), "=r"(words.z), "=r"(words.w)
                   : "r"(shared_address(row))
                   : "memory");
  return words;
}

/// 16 bytes of shared memory: one load, which the compiler would split where its halves are wanted apart, and lanes
/// that are 16 bytes apart would wait for each other.
TW_DEVICE u32x4 load_vector(const u8* at) {
  u32x4 words;
  __asm__ volatile("ld.shared.v4.b32 {%0, %1, %2, %3}, [%4];"
                   : "=r"(words.x), "=r"(words.y), "=r"(words.z), "=r"(words.w)
                   : "r"(shared_address(at))
                   : "memory");
  return words;
}

/// 16 bytes from device memory to shared memory, past the registers; zeros behind the first `bytes`, which are not
/// read. They are there when wait_for_copies() and a barrier are behind.
TW_DEVICE void copy_async(u8* to, const u8* from, u32 bytes = 16) {
  __asm__ volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
                   :
                   : "r"(shared_address(to)), "l"(from), "r"(bytes)
                   : "memory");
}
TW_DEVICE void wait_for_copies() {
  __asm__ volatile("cp.async.wait_all;" : : : "memory");
}

}  // namespace tw
