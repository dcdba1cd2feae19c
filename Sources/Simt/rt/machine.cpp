#include "machine.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <numeric>

#include "../shim/simt_calls.h"

namespace simt {

// Never destroyed: threads may still run a kernel when a process ends.
Machine& g_machine = *new Machine;

namespace {

[[noreturn]] void fibre_main() {
  Machine& m = g_machine;
  m.kernel();
  m.current->state = State::kDone;
  fiber_switch(m.current->context, m.scheduler);
  __builtin_unreachable();
}

std::string lanes_text(uint64_t mask, uint32_t wave) {
  char text[32];
  std::snprintf(text, sizeof(text), "0x%0*llx", static_cast<int>(wave / 4), static_cast<unsigned long long>(mask));
  return text;
}

const char* state_text(State state) {
  switch (state) {
    case State::kCollective:
      return "a simdgroup function";
    case State::kSimdBarrier:
      return "a simdgroup barrier";
    case State::kGroupBarrier:
      return "a threadgroup barrier";
    case State::kDone:
      return "the end of the kernel";
    case State::kReady:
      break;
  }
  return "elsewhere";
}

std::vector<uint32_t> ordered_indices(uint32_t count, Machine& m) {
  std::vector<uint32_t> indices(count);
  std::iota(indices.begin(), indices.end(), 0u);
  if (m.order == SIMT_REVERSE) std::reverse(indices.begin(), indices.end());
  if (m.order == SIMT_RANDOM) {
    for (uint32_t i = count; i > 1; i--) std::swap(indices[i - 1], indices[m.next_random() % i]);
  }
  return indices;
}

}  // namespace

void Machine::find(const char* rule, const std::string& message, uint64_t pc, uint64_t other_pc) {
  Finding f;
  f.rule = rule;
  f.message = message;
  f.pc = pc;
  f.other_pc = other_pc;
  std::copy(group, group + 3, f.group);
  if (current != nullptr) {
    f.has_thread = true;
    std::copy(current->position, current->position + 3, f.thread);
  }
  report.add(std::move(f));
}

void Machine::expire(uint64_t pc) {
  find("hang", "the kernel does not end: a loop without an end, or far too much work for the test bed", pc);
  leave();
}

void Machine::wait(State state, uint32_t kind, uint64_t site) {
  if (expired) expire(site);
  current->state = state;
  current->kind = kind;
  current->site = site;
  fiber_switch(current->context, scheduler);
}

bool Machine::open_threadgroup_memory() {
  Slot& slot = arena.slot(kThreadgroupSlot);
  if (slot.begin != 0 && (slot.cells != nullptr) == hooks) return true;
  if (!arena.allocate(kThreadgroupSlot, kThreadgroupCapacity, hooks)) return false;
  slot.space = Space::kThreadgroup;
  slot.touched.assign(kThreadgroupCapacity, 0);
  threadgroup_used = 0;
  return true;
}

void Machine::release() {
  for (uint32_t i = 0; i < kThreadgroupSlot; i++) arena.release(i);
}

Allocation Machine::allocate_threadgroup(uint32_t bytes, uint32_t align) {
  align = std::max(align, 16u);
  Allocation a;
  a.offset = (threadgroup_used + align - 1) / align * align;
  a.bytes = bytes;
  const uint64_t end = static_cast<uint64_t>(a.offset) + bytes + kRedZone;
  if (end > kThreadgroupCapacity) {
    find("threadgroup-memory", "threadgroup memory is exhausted: the test bed has 1 MB, GPUs less", 0);
    leave();
  }
  // The red zone before it stays invalid: `touched` marks the bytes that belong to an allocation.
  Slot& slot = arena.slot(kThreadgroupSlot);
  std::memset(slot.touched.data() + a.offset, 1, bytes);
  std::memset(reinterpret_cast<void*>(slot.begin + a.offset), 0xFF, bytes);
  if (slot.cells != nullptr) std::memset(static_cast<void*>(slot.cells + a.offset), 0, bytes * sizeof(Cell));
  threadgroup_used = static_cast<uint32_t>(end);
  threadgroup_bytes += bytes;
  return a;
}

void Machine::check_threadgroup_limit(uint64_t pc) {
  if (threadgroup_bytes > threadgroup_limit) {
    find("threadgroup-memory",
         "the threadgroup uses " + std::to_string(threadgroup_bytes) + " bytes of threadgroup memory; the limit is " +
             std::to_string(threadgroup_limit),
         pc);
  }
}

void Machine::start_group() {
  thread_count = group_threads[0] * group_threads[1] * group_threads[2];
  const uint32_t simds = (thread_count + wave - 1) / wave;
  if (simdgroups.size() < simds) simdgroups.resize(simds);
  for (uint32_t s = 0; s < simds; s++) {
    simdgroups[s].first = s * wave;
    simdgroups[s].count = std::min(wave, thread_count - s * wave);
    simdgroups[s].ordered[0] = simdgroups[s].ordered[1] = clock;
  }
  ordered[0] = ordered[1] = clock;
  if (threads.size() < thread_count) threads.resize(thread_count);
  for (uint32_t i = 0; i < thread_count; i++) {
    Thread& t = threads[i];
    t.index = i;
    t.position[0] = i % group_threads[0];
    t.position[1] = i / group_threads[0] % group_threads[1];
    t.position[2] = i / group_threads[0] / group_threads[1];
    t.state = State::kReady;
    t.site = 0;
    t.released = t.unacquired = 0;
    fiber_init(t.context, stacks + i * kStackBytes + 4096, kStackBytes - 4096, fibre_main);
  }
  // A new threadgroup finds undefined threadgroup memory.
  Slot& slot = arena.slot(kThreadgroupSlot);
  std::memset(slot.touched.data(), 0, threadgroup_used);
  threadgroup_used = kRedZone;
  threadgroup_bytes = 0;
  variables.clear();
  argument_memory.clear();
  for (uint32_t bytes : threadgroup_arguments) argument_memory.push_back(allocate_threadgroup(bytes, 16));
  if (!threadgroup_arguments.empty()) check_threadgroup_limit(0);
  counters.threadgroups++;
  counters.threads += thread_count;
  counters.simdgroups += simds;
}

/// Run every lane that can go on until it waits or ends. True if one ran.
bool Machine::run_ready(SimdGroup& simdgroup) {
  const uint32_t count = simdgroup.count;
  uint32_t shuffled[kMaxWave];
  if (order == SIMT_RANDOM) {
    for (uint32_t i = 0; i < count; i++) {
      const uint32_t at = static_cast<uint32_t>(next_random() % (i + 1));
      shuffled[i] = shuffled[at];
      shuffled[at] = i;
    }
  }
  bool any = false;
  for (uint32_t i = 0; i < count; i++) {
    const uint32_t lane = order == SIMT_RANDOM ? shuffled[i] : order == SIMT_REVERSE ? count - 1 - i : i;
    Thread& t = threads[simdgroup.first + lane];
    if (t.state != State::kReady) continue;
    any = true;
    current = &t;
    fiber_switch(scheduler, t.context);
    current = nullptr;
  }
  return any;
}

/// All lanes wait or have ended: let those go on that met at a collective or simdgroup barrier.
bool Machine::resolve(SimdGroup& simdgroup) {
  Thread* const lanes = &threads[simdgroup.first];
  Thread* leader = nullptr;
  for (uint32_t i = 0; i < simdgroup.count && leader == nullptr; i++) {
    if (lanes[i].state == State::kCollective || lanes[i].state == State::kSimdBarrier) leader = &lanes[i];
  }
  if (counters.enabled) simdgroup.log.flush(counters.sites);
  if (leader == nullptr) return false;
  uint64_t mask = 0;
  const Thread* other = nullptr;
  for (uint32_t i = 0; i < simdgroup.count; i++) {
    if (lanes[i].state == leader->state && lanes[i].site == leader->site) {
      mask |= 1ull << i;
    } else if (other == nullptr) {
      other = &lanes[i];
    }
  }
  if (other != nullptr) {
    current = leader;
    const bool barrier = leader->state == State::kSimdBarrier;
    find(barrier ? "divergent-barrier" : "divergent-collective",
         std::string(barrier ? "simdgroup barrier" : "simdgroup function") + " reached by lanes " +
             lanes_text(mask, wave) + " of the simdgroup only; the others are at " + state_text(other->state),
         leader->site, other->site);
    current = nullptr;
  }
  if (leader->state == State::kCollective) {
    for (uint32_t i = 0; i < simdgroup.count; i++) {
      if (mask >> i & 1) {
        std::memcpy(simdgroup.out[i], simdgroup.in[i], kPublishBytes);
      } else {
        std::memset(simdgroup.out[i], 0xFF, kPublishBytes);
      }
    }
    for (uint32_t i = simdgroup.count; i < wave; i++) std::memset(simdgroup.out[i], 0xFF, kPublishBytes);
    simdgroup.mask = mask;
    switch (leader->kind) {
      case SIMT_MMA:
        counters.mmas++;
        break;
      case SIMT_MATRIX_LOAD:
        counters.matrix_loads++;
        break;
      case SIMT_MATRIX_STORE:
        counters.matrix_stores++;
        break;
      default:
        counters.collectives++;
    }
  } else {
    counters.simdgroup_barriers++;
    uint32_t flags = leader->kind;
    for (uint32_t i = 0; i < simdgroup.count; i++) {
      if (mask >> i & 1) flags &= lanes[i].kind;
    }
    // A barrier that not all lanes reached orders nothing.
    if (other == nullptr) {
      clock++;
      if (flags & SIMT_MEM_DEVICE) simdgroup.ordered[0] = clock;
      if (flags & SIMT_MEM_THREADGROUP) simdgroup.ordered[1] = clock;
    }
  }
  for (uint32_t i = 0; i < simdgroup.count; i++) {
    if (mask >> i & 1) lanes[i].state = State::kReady;
  }
  return true;
}

/// Nobody can go on: all wait at a threadgroup barrier or have ended. False when all have ended.
bool Machine::release_group_barrier() {
  Thread* leader = nullptr;
  const Thread* other = nullptr;
  uint32_t flags = ~0u, waiting = 0;
  for (uint32_t i = 0; i < thread_count; i++) {
    Thread& t = threads[i];
    if (t.state == State::kGroupBarrier) {
      if (leader == nullptr) leader = &t;
      flags &= t.kind;
      waiting++;
    }
  }
  if (leader == nullptr) return false;
  for (uint32_t i = 0; i < thread_count && other == nullptr; i++) {
    if (threads[i].state != State::kGroupBarrier || threads[i].site != leader->site) other = &threads[i];
  }
  if (other != nullptr) {
    current = leader;
    find("divergent-barrier",
         "threadgroup barrier reached by " + std::to_string(waiting) + " of " + std::to_string(thread_count) +
             " threads; thread [" + std::to_string(other->position[0]) + ", " + std::to_string(other->position[1]) +
             ", " + std::to_string(other->position[2]) + "] is at " +
             (other->state == State::kGroupBarrier ? "another barrier" : state_text(other->state)),
         leader->site, other->site);
    current = nullptr;
  }
  counters.threadgroup_barriers++;
  clock++;
  if (flags & SIMT_MEM_DEVICE) ordered[0] = clock;
  if (flags & SIMT_MEM_THREADGROUP) ordered[1] = clock;
  for (uint32_t i = 0; i < thread_count; i++) {
    if (threads[i].state == State::kGroupBarrier) threads[i].state = State::kReady;
  }
  return true;
}

void Machine::run_group() {
  start_group();
  const uint32_t simds = (thread_count + wave - 1) / wave;
  do {
    // Forward and reverse take each simdgroup as far as it goes, which hides no missing barrier; random interleaves.
    for (bool progress = true; progress;) {
      progress = false;
      for (uint32_t s : ordered_indices(simds, *this)) {
        SimdGroup& simdgroup = simdgroups[s];
        for (;;) {
          const bool ran = run_ready(simdgroup);
          const bool released = resolve(simdgroup);
          progress = progress || ran || released;
          if (!released || order == SIMT_RANDOM) break;
        }
      }
    }
  } while (release_group_barrier());
  counters.threadgroup_bytes = std::max<uint64_t>(counters.threadgroup_bytes, threadgroup_bytes);
}

void Machine::run() {
  if (stacks == nullptr) {
    void* p = mmap(nullptr, kMaxThreads * kStackBytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
      find("out-of-memory", "no memory for the threads' stacks", 0);
      return;
    }
    stacks = static_cast<char*>(p);
    // The lowest page of each stack catches its overflow.
    for (uint32_t i = 0; i < kMaxThreads; i++) mprotect(stacks + i * kStackBytes, 4096, PROT_NONE);
  }
  // What a dispatch left that did not end: accesses that nobody counted.
  if (aborted) simdgroups.clear();
  clock = 1;
  expired = false;
  aborted = true;
  running = true;
  if (sigsetjmp(escape, 1) == 0) {
    const uint32_t count = groups[0] * groups[1] * groups[2];
    const std::vector<uint32_t> sequence = ordered_indices(count, *this);
    for (uint32_t g : sequence) {
      group_index = g;
      group[0] = g % groups[0];
      group[1] = g / groups[0] % groups[1];
      group[2] = g / groups[0] / groups[1];
      for (int d = 0; d < 3; d++) {
        // The last threadgroup of a grid in threads is smaller (non-uniform threadgroups).
        group_threads[d] = std::min(group_size[d], grid_threads[d] - group[d] * group_size[d]);
      }
      first_thread = g * group_size[0] * group_size[1] * group_size[2];
      run_group();
    }
    aborted = false;
  }
  running = false;
  current = nullptr;
}

}  // namespace simt
