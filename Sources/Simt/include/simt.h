/*
 * The SIMT executor's C interface: run a compiled kernel module on the CPU, one fibre per GPU thread, and report what
 * it did wrong.
 *
 * Threads: every function may be called from any thread. Dispatches of a process run one after the other, under one
 * lock; each runs on the thread that calls simt_run. A module must not be unloaded while it runs.
 * Signals: while a dispatch runs, SIGSEGV, SIGBUS, SIGFPE and SIGVTALRM are handled here for its thread and passed on
 * for all others; afterwards the handlers are those of before. Nothing else of the process is changed.
 * Memory: 256 GB of address space, reserved once; what a dispatch uses of it is given back at its end.
 */
#ifndef SIMT_H
#define SIMT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct simt_module simt_module;

/* Load a shared object that the test bed compiled. NULL on failure, with the reason in `error`. */
simt_module* simt_load(const char* path, char* error, size_t error_size);
void simt_unload(simt_module* module);

/* Number of threads in a simdgroup or wave: 32, or 64 for HIP kernels compiled so. */
uint32_t simt_wave(const simt_module* module);
uint32_t simt_kernel_count(const simt_module* module);
const char* simt_kernel_name(const simt_module* module, uint32_t index);

enum simt_buffer_flags {
  SIMT_BUFFER_READ_ONLY = 1,  /* the kernel cannot write it: `device const` or `constant` */
  SIMT_BUFFER_CONSTANT = 2,   /* the constant address space: counted apart */
  SIMT_BUFFER_OUTPUT = 4,     /* starts undefined: filled with NaN bits, and reading it before writing is reported */
  SIMT_BUFFER_MUST_WRITE = 8, /* every byte of it has to be written */
  SIMT_BUFFER_NULL = 16,      /* a null pointer: the kernel may compare it, and has no memory behind it */
  SIMT_BUFFER_IN_PLACE = 32 /* the kernel works on `data` itself: no copy, no guard page around it, no checks. Only for
                               modules without hooks, and with none of the flags from 4 to 16 */
};

typedef struct {
  uint32_t index;
  uint32_t flags;
  void* data; /* copied in before the run and, unless read-only, out after it */
  uint64_t size;
  int32_t same_as;  /* -1, or the index of another binding whose memory this one shares */
  const char* name; /* for reports; may be NULL */
  uint64_t offset;  /* of the kernel's pointer in the memory, which it may also follow backwards */
} simt_binding;

/* Value of [[function_constant(id)]]; those that a dispatch leaves out are undefined. */
typedef struct {
  uint32_t id;
  uint32_t size; /* in bytes, as the shader declares it; refused otherwise */
  const void* value;
} simt_constant;

enum simt_order { SIMT_FORWARD = 0, SIMT_REVERSE = 1, SIMT_RANDOM = 2 };
enum simt_dispatch_flags {
  SIMT_GRID_IN_THREADS = 1, /* `grid` counts threads (dispatchThreads), else threadgroups (dispatchThreadgroups) */
  SIMT_COUNT = 2            /* count traffic; needs a module compiled with hooks */
};

typedef struct {
  const char* kernel;
  uint32_t grid[3];
  uint32_t group[3]; /* threads per threadgroup */
  uint32_t flags;
  uint32_t order;
  uint64_t seed;
  uint32_t max_threads; /* of the kernel's attribute; 0: 1024 */
  uint32_t binding_count;
  const simt_binding* bindings;
  uint32_t threadgroup_count;
  const uint32_t* threadgroup_bytes; /* by [[threadgroup(n)]] index */
  uint32_t constant_count;
  const simt_constant* constants;
  uint64_t timeout_ms; /* processor time until a kernel is stopped, with the finding `hang`; 0: never */
} simt_dispatch;

/*
 * Run one dispatch. Gives a JSON document (free it with simt_free): { "refused", "findings": [...], "counters": {...}
 * }. `refused` is there when nothing ran, and says what a driver would complain about. A finding has `rule`, `message`,
 * `count` and, where they are known, `pc` and `otherPc` (offsets into the module's file, for a symbolizer),
 * `threadgroup` and `thread`. A kernel that faults (out-of-bounds, integer-division, stack-overflow, ...) or does not
 * end (hang) leaves its dispatch at that point; other findings do not end it. NULL only when memory is short.
 */
char* simt_run(simt_module* module, const simt_dispatch* dispatch);
void simt_free(char* report);

#ifdef __cplusplus
}
#endif
#endif
