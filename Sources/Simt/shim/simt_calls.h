// What compiled kernels call in the runtime (Sources/Simt/rt/calls.cpp). The same declarations serve the Metal dialect
// (C++ for OpenCL, where every function is convergent) and the HIP dialect (plain C++, where it has to be said: LLVM
// may not duplicate a barrier into two branches).
#pragma once

#define SIMT_CONVERGENT __attribute__((convergent))

/// Builtin arguments of a kernel.
enum simt_builtin_id {
  SIMT_THREAD_POSITION_IN_GRID = 0,
  SIMT_THREAD_POSITION_IN_THREADGROUP = 1,
  SIMT_THREADGROUP_POSITION_IN_GRID = 2,
  SIMT_THREADS_PER_THREADGROUP = 3,
  SIMT_THREADGROUPS_PER_GRID = 4,
  SIMT_THREADS_PER_GRID = 5,
  SIMT_DISPATCH_THREADS_PER_THREADGROUP = 6,
  SIMT_GRID_ORIGIN = 7,
  // Scalars from here on.
  SIMT_THREAD_INDEX_IN_THREADGROUP = 16,
  SIMT_THREAD_INDEX_IN_SIMDGROUP = 17,
  SIMT_SIMDGROUP_INDEX_IN_THREADGROUP = 18,
  SIMT_SIMDGROUPS_PER_THREADGROUP = 19,
  SIMT_THREADS_PER_SIMDGROUP = 20,
  SIMT_THREAD_INDEX_IN_QUADGROUP = 21,
  SIMT_QUADGROUP_INDEX_IN_THREADGROUP = 22,
};

enum simt_scope { SIMT_SIMDGROUP = 1, SIMT_THREADGROUP = 2 };
/// Which memory a barrier orders.
enum simt_mem { SIMT_MEM_NONE = 0, SIMT_MEM_DEVICE = 1, SIMT_MEM_THREADGROUP = 2 };

enum simt_collective {
  SIMT_COLLECTIVE = 0,
  SIMT_MMA = 1,
  SIMT_MATRIX_LOAD = 2,
  SIMT_MATRIX_STORE = 3,
};

enum simt_atomic_op {
  SIMT_ATOMIC_LOAD = 0,
  SIMT_ATOMIC_STORE = 1,
  SIMT_ATOMIC_EXCHANGE = 2,
  SIMT_ATOMIC_ADD = 3,
  SIMT_ATOMIC_SUB = 4,
  SIMT_ATOMIC_MIN = 5,
  SIMT_ATOMIC_MAX = 6,
  SIMT_ATOMIC_AND = 7,
  SIMT_ATOMIC_OR = 8,
  SIMT_ATOMIC_XOR = 9,
  SIMT_ATOMIC_CAS = 10,
};
enum simt_atomic_type { SIMT_I32 = 0, SIMT_U32 = 1, SIMT_F32 = 2, SIMT_U64 = 3, SIMT_U8 = 4 };

extern "C" {
/// Wait for the simdgroup or the threadgroup; `flags` are simt_mem.
void simt_barrier(unsigned scope, unsigned flags) SIMT_CONVERGENT;
/// Fences of HIP: what the next simt_execution_barrier releases, and what the last one lets this thread see; simt_mem.
void simt_fence(unsigned release, unsigned acquire);
/// Wait for the threadgroup. It orders the memory that every thread has released before it, for the threads that
/// acquire it behind it.
void simt_execution_barrier(void) SIMT_CONVERGENT;
/// Publish `size` bytes (at most 64), wait for the simdgroup's other lanes, and get everyone's values, 64 bytes apart.
/// They stay valid until this thread's next rendezvous. Values of lanes that take no part are 0xFF bytes.
unsigned long simt_collect(const void* value, unsigned size, unsigned kind, unsigned long* mask) SIMT_CONVERGENT;
/// The other lane's value was asked for although it takes no part.
void simt_inactive_lane(unsigned lane);
/// A finding of the shim itself, at the place of the call.
void simt_report(const char* rule, const char* message);
/// Called by sanitizing builds before a vector is copied to or from memory.
void simt_check_alignment(unsigned long address, unsigned align);
unsigned simt_lane(void);
/// Components of a builtin; scalars fill `out[0]`.
void simt_builtin(unsigned id, unsigned* out);
unsigned long simt_buffer(unsigned index);
unsigned long simt_threadgroup_buffer(unsigned index);
/// Address of the threadgroup variable `id` of the running kernel; allocated at its first use in a threadgroup.
unsigned long simt_threadgroup_variable(unsigned id, unsigned size, unsigned align);
/// Atomic read-modify-write; gives the old bits. CAS compares with `expected`.
unsigned long simt_atomic(unsigned op, unsigned type, unsigned long address, unsigned long operand,
                          unsigned long expected);
}
