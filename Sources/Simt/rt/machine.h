// The machine that is emulated: threadgroups one after the other, each a set of simdgroups of fibres.
#pragma once
#include <csetjmp>
#include <cstdint>
#include <string>
#include <vector>

#include "../include/simt.h"
#include "arena.h"
#include "counters.h"
#include "fiber.h"
#include "report.h"

namespace simt {

constexpr uint32_t kMaxThreads = 1024;  // per threadgroup, Metal and HIP alike
constexpr uint32_t kPublishBytes = 64;

enum class State : uint8_t { kReady, kCollective, kSimdBarrier, kGroupBarrier, kDone };

struct Thread {
  Context context;
  State state = State::kDone;
  uint32_t kind = 0;   // of a collective (simt_collective), flags of a barrier
  uint64_t site = 0;   // where it waits
  uint32_t index = 0;  // in the threadgroup
  uint32_t position[3] = {0, 0, 0};
  // HIP's fences (simt_mem): released since the last barrier, not acquired since it, and until when memory of each kind
  // was ordered for this thread before that barrier.
  uint32_t released = 0, unacquired = 0;
  uint32_t seen[2] = {0, 0};
};

struct SimdGroup {
  uint32_t first = 0, count = 0;  // threads
  uint64_t mask = 0;              // who took part in the last collective
  // Clock of the last barrier that ordered each kind of memory within the simdgroup.
  uint32_t ordered[2] = {0, 0};  // device, threadgroup
  alignas(64) uint8_t in[kMaxWave][kPublishBytes];
  alignas(64) uint8_t out[kMaxWave][kPublishBytes];
  AccessLog log;
};

/// One threadgroup allocation of the running threadgroup.
struct Allocation {
  uint32_t offset = 0, bytes = 0;
};

struct Machine {
  // The dispatch.
  uint32_t wave = 32;
  void (*kernel)() = nullptr;
  std::string kernel_name;
  uint64_t module_base = 0, module_end = 0;
  uint32_t grid_threads[3] = {0, 0, 0}, groups[3] = {0, 0, 0}, group_size[3] = {0, 0, 0};
  uint32_t order = SIMT_FORWARD;
  uint64_t random = 0;
  std::vector<uint32_t> threadgroup_arguments;
  uint64_t address_of[kMaxBuffers] = {};  // what the kernel gets for each buffer index

  // The running threadgroup.
  uint32_t group[3] = {0, 0, 0}, group_threads[3] = {0, 0, 0};
  uint32_t group_index = 0, thread_count = 0, first_thread = 0;
  uint32_t ordered[2] = {0, 0};  // as in SimdGroup, by threadgroup barriers
  uint32_t clock = 1;
  std::vector<Thread> threads;
  std::vector<SimdGroup> simdgroups;
  std::vector<Allocation> argument_memory;
  std::vector<Allocation> variables;
  uint32_t threadgroup_limit = kThreadgroupLimit;
  uint32_t threadgroup_used = 0, threadgroup_bytes = 0;

  Thread* current = nullptr;
  Context scheduler;
  char* stacks = nullptr;

  Arena arena;
  Report report;
  Counters counters;
  bool hooks = false;  // the module calls __tsan_*
  sigjmp_buf escape;
  volatile bool running = false;
  bool aborted = false;           // the dispatch ended early: what it left unwritten means nothing
  volatile bool expired = false;  // the time limit struck while the runtime was at work

  uint32_t simdgroup_of(const Thread& thread) const { return thread.index / wave; }
  uint32_t lane_of(const Thread& thread) const { return thread.index % wave; }
  uint64_t next_random() {
    random += 0x9E3779B97F4A7C15ull;  // splitmix64
    uint64_t z = random;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
  }

  /// A finding of the running thread.
  void find(const char* rule, const std::string& message, uint64_t pc, uint64_t other_pc = 0);
  /// The kernel has run for too long: end the dispatch.
  [[noreturn]] void expire(uint64_t pc);
  /// End the dispatch here and now; its fibres are abandoned.
  [[noreturn]] void leave();
  /// Threadgroup memory, which one dispatch leaves to the next; false when memory is short.
  bool open_threadgroup_memory();
  /// Give back what the dispatch used.
  void release();
  /// Run the prepared dispatch to its end or to the first fault.
  void run();
  Allocation allocate_threadgroup(uint32_t bytes, uint32_t align);
  void check_threadgroup_limit(uint64_t pc);
  /// The running thread waits for others.
  void wait(State state, uint32_t kind, uint64_t site);

 private:
  void run_group();
  bool run_ready(SimdGroup& simdgroup);
  bool resolve(SimdGroup& simdgroup);
  bool release_group_barrier();
  void start_group();
};

extern Machine& g_machine;

std::string describe(const Slot& slot, uint64_t address);

}  // namespace simt
