// Positions, barriers and fences. LLVM "User Guide for AMDGPU Backend", Memory Model: s_barrier orders execution only;
// what was written before it is visible behind it when a release fence stands before and an acquire fence after it.
#pragma once

#define HIP_POSITION(name, id)                \
  HIP_INLINE uint __builtin_amdgcn_##name() { \
    return ::hip::builtin(id).HIP_COMPONENT;  \
  }
#define HIP_COMPONENT x
HIP_POSITION(workitem_id_x, SIMT_THREAD_POSITION_IN_THREADGROUP)
HIP_POSITION(workgroup_id_x, SIMT_THREADGROUP_POSITION_IN_GRID)
#undef HIP_COMPONENT
#define HIP_COMPONENT y
HIP_POSITION(workitem_id_y, SIMT_THREAD_POSITION_IN_THREADGROUP)
HIP_POSITION(workgroup_id_y, SIMT_THREADGROUP_POSITION_IN_GRID)
#undef HIP_COMPONENT
#define HIP_COMPONENT z
HIP_POSITION(workitem_id_z, SIMT_THREAD_POSITION_IN_THREADGROUP)
HIP_POSITION(workgroup_id_z, SIMT_THREADGROUP_POSITION_IN_GRID)
#undef HIP_COMPONENT

HIP_INLINE void __builtin_amdgcn_s_barrier() {
  simt_execution_barrier();
}
/// Lanes of a wave run in step; between them it keeps the compiler from moving memory accesses across.
HIP_INLINE void __builtin_amdgcn_wave_barrier() {
  simt_barrier(SIMT_SIMDGROUP, SIMT_MEM_DEVICE | SIMT_MEM_THREADGROUP);
}

namespace hip {
constexpr bool equal(const char* a, const char* b) {
  for (; *a != 0 && *a == *b; a++, b++) {
  }
  return *a == *b;
}
constexpr uint space_bits(const char* space) {
  return equal(space, "local")    ? (uint)SIMT_MEM_THREADGROUP
         : equal(space, "global") ? (uint)SIMT_MEM_DEVICE
                                  : (uint)(SIMT_MEM_DEVICE | SIMT_MEM_THREADGROUP);
}
}  // namespace hip
/// Without names of address spaces a fence is about all of them. Below the scope of a workgroup it orders lanes of a
/// wave, which run in step: __builtin_amdgcn_wave_barrier says that here.
template <class... S>
HIP_INLINE void __builtin_amdgcn_fence(int order, const char* scope, S... spaces) {
  if (hip::equal(scope, "wavefront") || hip::equal(scope, "singlethread")) return;
  const uint all =
      sizeof...(S) == 0 ? (uint)(SIMT_MEM_DEVICE | SIMT_MEM_THREADGROUP) : (hip::space_bits(spaces) | ... | 0u);
  const bool acquire = order != __ATOMIC_RELEASE, release = order != __ATOMIC_ACQUIRE;
  simt_fence(release ? all : 0, acquire ? all : 0);
}

// Hints to the scheduler: no effect on results.
HIP_INLINE void __builtin_amdgcn_sched_barrier(int) {}
HIP_INLINE void __builtin_amdgcn_sched_group_barrier(int, int, int) {}
HIP_INLINE void __builtin_amdgcn_iglp_opt(int) {}
HIP_INLINE void __builtin_amdgcn_s_setprio(short) {}
HIP_INLINE void __builtin_amdgcn_s_sleep(int) {}
HIP_INLINE void __builtin_amdgcn_s_waitcnt(int) {}
HIP_INLINE uint __builtin_amdgcn_wavefrontsize() {
  return HIP_WAVE;
}
