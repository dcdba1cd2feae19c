// Prefetching of data that is read once, in order.
#pragma once

#include <stdint.h>

namespace tw {
namespace TW_ISA {
namespace {

/// How far ahead of the reader. Hardware prefetchers stop at every page and stay too close to a reader that computes:
/// on Zen 4 (two threads) one row of q2_k got 19 GB/s without prefetching, and 18, 26, 31 and 33 at 1, 2, 4 and 8 KB;
/// 12 KB gains nothing.
constexpr int64_t kPrefetchAhead = 8192;

/// Brings the cache line at p, which need not exist, to the second-level cache.
__attribute__((always_inline)) inline void prefetch_line(const void* p) {
  __builtin_prefetch(p, 0, 2);
}

/// As above for all lines of the `bytes` bytes at p.
template <int bytes>
__attribute__((always_inline)) inline void prefetch_lines(const void* p) {
#pragma GCC unroll 16
  for (int line = 0; line < bytes; line += 64) {
    prefetch_line(reinterpret_cast<const void*>(reinterpret_cast<uintptr_t>(p) + line));
  }
}
/// As above for those that lie kPrefetchAhead bytes after p.
template <int bytes>
__attribute__((always_inline)) inline void prefetch_ahead(const void* p) {
  prefetch_lines<bytes>(reinterpret_cast<const void*>(reinterpret_cast<uintptr_t>(p) + kPrefetchAhead));
}

}  // namespace
}  // namespace TW_ISA
}  // namespace tw
