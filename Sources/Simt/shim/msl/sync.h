// Barriers. MSL specification section 6.10.1 (threadgroup and SIMD-group synchronization functions).
#pragma once
#include "../simt_calls.h"
#include "math.h"

namespace metal {
enum class mem_flags {
  mem_none = 0,
  mem_device = 1,
  mem_threadgroup = 2,
  mem_texture = 4,
  mem_threadgroup_imageblock = 8
};
constexpr MSL_INLINE mem_flags operator|(mem_flags a, mem_flags b) {
  return (mem_flags)((int)a | (int)b);
}
constexpr MSL_INLINE mem_flags operator&(mem_flags a, mem_flags b) {
  return (mem_flags)((int)a & (int)b);
}

MSL_INLINE void threadgroup_barrier(mem_flags flags) {
  simt_barrier(SIMT_THREADGROUP, (uint)flags);
}
MSL_INLINE void simdgroup_barrier(mem_flags flags) {
  simt_barrier(SIMT_SIMDGROUP, (uint)flags);
}
}  // namespace metal
