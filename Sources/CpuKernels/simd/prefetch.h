// Prefetching of data that is read once, in order.
#pragma once

#include <stdint.h>

namespace tw {
namespace TW_ISA {
namespace {

/// How far ahead of the reader. Hardware prefetchers stop at every page and stay too close to a reader that computes:
/// on Zen 4 (two threads) q2_k got 19 GB/s of 35 without prefetching, 19, 26, 31 and 33 at 1, 2, 4 and 8 KB, f32 dot
/// products 10 % more at 8 KB; 12 KB gains nothing.
constexpr int64_t kPrefetchAhead = 8192;

/// Brings the `bytes` bytes that lie kPrefetchAhead bytes after p to the second-level cache. They need not exist.
template <int bytes>
__attribute__((always_inline)) inline void prefetch_ahead(const void* p) {
  const uintptr_t ahead = reinterpret_cast<uintptr_t>(p) + kPrefetchAhead;
#pragma GCC unroll 16
  for (int line = 0; line < bytes; line += 64) __builtin_prefetch(reinterpret_cast<const void*>(ahead + line), 0, 2);
}

}  // namespace
}  // namespace TW_ISA
}  // namespace tw
