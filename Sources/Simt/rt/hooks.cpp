// Every load and store of a kernel that was compiled with hooks: bounds, races, uninitialised reads, traffic.
//
// Two accesses to a byte by different threads, one of them a write, race unless a barrier between them orders that kind
// of memory: a threadgroup barrier for threads of one threadgroup, a simdgroup barrier for lanes of one simdgroup.
// Nothing orders two threadgroups of a dispatch. The shadow keeps the last write and two reads by different threads
// (preferably of different simdgroups) per byte: with one of them, the writer could be that reader itself.
#include "hooks.h"

#include <algorithm>
#include <cstring>

#include "machine.h"

namespace simt {
namespace {

constexpr uint32_t kAtomic = 0x80000000u;

inline uint32_t id_of(const Access& a) {
  return (a.thread & ~kAtomic) - 1;
}

struct Self {
  uint32_t thread;  // as stored, with the atomic bit
  uint32_t clock;
  uint32_t pc;
  uint32_t id, simdgroup;
  uint32_t first, count;  // ids of the threadgroup
  uint32_t ordered_group, ordered_simd;
};

/// True if `a` happened before whatever the running thread does now, or does not exist.
inline bool ordered(const Access& a, const Self& self, uint32_t wave) {
  if (a.thread == 0) return true;
  const uint32_t id = id_of(a);
  if (id == self.id) return true;
  if (id - self.first >= self.count) return false;  // another threadgroup
  if (a.clock < self.ordered_group) return true;
  return (id - self.first) / wave == self.simdgroup && a.clock < self.ordered_simd;
}

std::string thread_text(uint32_t id, const Machine& m) {
  const uint32_t per_group = m.group_size[0] * m.group_size[1] * m.group_size[2];
  return "thread " + std::to_string(id % per_group) + " of threadgroup " + std::to_string(id / per_group);
}

void report_race(const char* kind, const Access& before, const Slot& slot, uint64_t address, const Self& self) {
  Machine& m = g_machine;
  const bool same_group = id_of(before) - self.first < self.count;
  m.find("race",
         std::string(kind) + " of " + describe(slot, address) + ": the other access is by " +
             thread_text(id_of(before), m) +
             (same_group ? ", and no barrier for this memory is between them"
                         : ", and nothing orders two threadgroups of a dispatch"),
         m.module_base + self.pc, m.module_base + before.pc);
}

/// The shadow of one byte. Returns what was wrong last, to report an access of several bytes once.
inline const char* update(Cell& cell, const Self& self, bool write, bool atomic, uint32_t wave, Access& culprit) {
  const char* race = nullptr;
  const auto conflicts = [&](const Access& a) { return !(atomic && (a.thread & kAtomic)) && !ordered(a, self, wave); };
  if (conflicts(cell.write)) {
    race = write ? "write after write" : "read after write";
    culprit = cell.write;
  }
  const Access mine{self.thread, self.clock, self.pc};
  if (write) {
    for (const Access& r : cell.read) {
      if (race == nullptr && conflicts(r)) {
        race = "write after read";
        culprit = r;
      }
    }
    cell.write = mine;
  } else {
    Access& a = cell.read[0];
    Access& b = cell.read[1];
    if (a.thread == self.thread || a.thread == 0) {
      a = mine;
    } else if (b.thread == self.thread || b.thread == 0) {
      b = mine;
    } else if (ordered(a, self, wave)) {
      a = mine;
    } else if (ordered(b, self, wave)) {
      b = mine;
    } else if (id_of(a) / wave == id_of(b) / wave && id_of(a) / wave != self.id / wave) {
      b = mine;  // two of one simdgroup: make room for another
    }
  }
  return race;
}

void access(uint64_t address, uint64_t size, bool write, bool atomic, uint64_t pc) {
  Machine& m = g_machine;
  if (m.current == nullptr || size == 0) return;
  if (m.expired) m.expire(pc);
  Slot* slot = m.arena.find(address);
  if (slot == nullptr) return;  // the stack, or the module's own constants
  const Thread& t = *m.current;
  const bool threadgroup = slot->space == Space::kThreadgroup && slot->begin != 0;
  if (address < slot->begin || address + size > slot->end) {
    m.find(
        "out-of-bounds",
        std::string(write ? "write" : "read") + " of " + std::to_string(size) + " bytes at " + describe(*slot, address),
        pc);
    return;
  }
  const uint64_t offset = address - slot->begin;
  SimdGroup& simdgroup = m.simdgroups[m.simdgroup_of(t)];
  if (threadgroup) {
    if (slot->touched[offset] == 0 || slot->touched[offset + size - 1] == 0) {
      m.find("out-of-bounds",
             std::string(write ? "write" : "read") + " of " + std::to_string(size) +
                 " bytes outside of every threadgroup allocation",
             pc);
      return;
    }
  } else {
    const uint8_t bit = write ? 2 : 1;
    for (uint64_t i = offset; i < offset + size; i++) slot->touched[i] |= bit;
  }
  const uint32_t module_pc = static_cast<uint32_t>(pc - m.module_base);
  if (m.counters.enabled) {
    SpaceCounts& c = m.counters.space[static_cast<int>(slot->space)];
    if (write) {
      c.writes++, c.bytes_written += size;
    } else {
      c.reads++, c.bytes_read += size;
    }
    if (!threadgroup) {
      const uint32_t stamp = m.group_index + 1;
      for (uint64_t s = offset / kSectorBytes; s <= (offset + size - 1) / kSectorBytes; s++) {
        if (slot->sector_group[s] != stamp) {
          slot->sector_group[s] = stamp;
          slot->group_sectors++;
        }
      }
    }
    // As if every buffer began at a line: GPU allocations do, the arena's begin wherever their end is at a page.
    const uint64_t place = static_cast<uint64_t>(slot->index) << kSlotShift | offset;
    simdgroup.log.add(m.lane_of(t), module_pc, place, static_cast<uint32_t>(size), *slot, write);
    if (simdgroup.log.full(m.lane_of(t))) simdgroup.log.flush(m.counters.sites);
  }
  if (slot->cells == nullptr) return;
  const int kind = threadgroup ? 1 : 0;
  Self self;
  self.id = m.first_thread + t.index;
  self.thread = (self.id + 1) | (atomic ? kAtomic : 0);
  self.clock = m.clock;
  self.pc = module_pc;
  self.simdgroup = m.simdgroup_of(t);
  self.first = m.first_thread;
  self.count = m.group_size[0] * m.group_size[1] * m.group_size[2];
  self.ordered_group = t.unacquired >> kind & 1 ? t.seen[kind] : m.ordered[kind];
  self.ordered_simd = simdgroup.ordered[kind];
  const char* race = nullptr;
  Access culprit;
  bool undefined = false;
  for (uint64_t i = offset; i < offset + size; i++) {
    Cell& cell = slot->cells[i];
    if (!write && cell.write.thread == 0) undefined = true;
    const char* r = update(cell, self, write, atomic, m.wave, culprit);
    if (race == nullptr) race = r;
  }
  if (race != nullptr) report_race(race, culprit, *slot, address, self);
  if (undefined && (threadgroup || (slot->flags & SIMT_BUFFER_OUTPUT))) {
    m.find("uninitialised-read",
           threadgroup ? "read of threadgroup memory that no thread of this threadgroup has written"
                       : "read of " + describe(*slot, address) + ", an output that has not been written",
           pc);
  }
}

}  // namespace

std::string describe(const Slot& slot, uint64_t address) {
  if (slot.begin == 0) return "a buffer that is not bound";
  if (slot.space == Space::kThreadgroup) return "threadgroup memory";
  const int64_t offset = static_cast<int64_t>(address - slot.begin);
  std::string text = "byte " + std::to_string(offset) + " of buffer " + std::to_string(slot.index);
  if (!slot.name.empty()) text += " (" + slot.name + ")";
  return text + ", which has " + std::to_string(slot.end - slot.begin) + " bytes";
}

void on_access(uint64_t address, uint64_t size, bool write, uint64_t pc) {
  access(address, size, write, false, pc);
}

void on_atomic(uint64_t address, uint64_t size, bool write, uint64_t pc) {
  g_machine.counters.atomics++;
  if (address % size != 0) {
    g_machine.find("misaligned", "atomic access to an address that is no multiple of " + std::to_string(size), pc);
  }
  if (g_machine.hooks) access(address, size, write, true, pc);
}

}  // namespace simt

namespace {
/// The compiler took the address for a multiple of the size. LLVM's pass calls these for 16 bytes from a multiple of 8
/// on; whether a type wants 16, the sanitizer of alignments knows.
inline void on_aligned(uint64_t address, uint64_t size, bool write, uint64_t pc) {
  if (address % std::min<uint64_t>(size, 8) != 0 && simt::g_machine.current != nullptr &&
      simt::g_machine.arena.find(address) != nullptr) {
    simt::g_machine.find("misaligned",
                         std::string(write ? "write" : "read") + " of " + std::to_string(size) +
                             " bytes at an address that is no multiple of " +
                             std::to_string(std::min<uint64_t>(size, 8)),
                         pc);
  }
  simt::on_access(address, size, write, pc);
}
}  // namespace

#define PC reinterpret_cast<uint64_t>(__builtin_return_address(0))
#define HOOKS(SIZE)                                                  \
  void __tsan_read##SIZE(void* p) {                                  \
    on_aligned(reinterpret_cast<uint64_t>(p), SIZE, false, PC);      \
  }                                                                  \
  void __tsan_write##SIZE(void* p) {                                 \
    on_aligned(reinterpret_cast<uint64_t>(p), SIZE, true, PC);       \
  }                                                                  \
  void __tsan_unaligned_read##SIZE(void* p) {                        \
    simt::on_access(reinterpret_cast<uint64_t>(p), SIZE, false, PC); \
  }                                                                  \
  void __tsan_unaligned_write##SIZE(void* p) {                       \
    simt::on_access(reinterpret_cast<uint64_t>(p), SIZE, true, PC);  \
  }                                                                  \
  void __tsan_volatile_read##SIZE(void* p) {                         \
    simt::on_access(reinterpret_cast<uint64_t>(p), SIZE, false, PC); \
  }                                                                  \
  void __tsan_volatile_write##SIZE(void* p) {                        \
    simt::on_access(reinterpret_cast<uint64_t>(p), SIZE, true, PC);  \
  }

// A program that is itself built with ThreadSanitizer brings its own; modules with hooks cannot run in it.
#ifndef SIMT_WITHOUT_HOOKS
extern "C" {
// clang-format off
HOOKS(1) HOOKS(2) HOOKS(4) HOOKS(8) HOOKS(16)
    // clang-format on
    void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void* __tsan_memcpy(void* to, const void* from, size_t n) {
  simt::on_access(reinterpret_cast<uint64_t>(from), n, false, PC);
  simt::on_access(reinterpret_cast<uint64_t>(to), n, true, PC);
  return std::memcpy(to, from, n);
}
void* __tsan_memmove(void* to, const void* from, size_t n) {
  simt::on_access(reinterpret_cast<uint64_t>(from), n, false, PC);
  simt::on_access(reinterpret_cast<uint64_t>(to), n, true, PC);
  return std::memmove(to, from, n);
}
void* __tsan_memset(void* to, int value, size_t n) {
  simt::on_access(reinterpret_cast<uint64_t>(to), n, true, PC);
  return std::memset(to, value, n);
}
}
#endif
