// Traffic of a dispatch, counted from the hooks. A simdgroup's load is the k-th execution of one load instruction by
// its lanes between two rendezvous: from it come the cache lines and sectors that a real GPU would fetch for it, and
// the cycles that banked threadgroup memory would take. No cache is modelled.
#pragma once
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "arena.h"

namespace simt {

constexpr uint32_t kLineBytes = 128;
constexpr uint32_t kSectorBytes = 32;
constexpr uint32_t kBanks = 32;  // of four bytes each: the usual layout; Apple's is not published
constexpr uint32_t kMaxWave = 64;

struct SpaceCounts {
  uint64_t bytes_read = 0, bytes_written = 0, reads = 0, writes = 0;
};
/// Accesses of whole simdgroups.
struct GroupCounts {
  uint64_t accesses = 0, lines = 0, sectors = 0, bytes = 0, bank_cycles = 0;
  void operator+=(const GroupCounts& o) {
    accesses += o.accesses, lines += o.lines, sectors += o.sectors, bytes += o.bytes, bank_cycles += o.bank_cycles;
  }
};
struct Site {
  Space space = Space::kDevice;
  bool write = false;
  uint32_t buffer = 0;
  GroupCounts counts;
};

/// The accesses of one simdgroup since its last rendezvous.
class AccessLog {
 public:
  void add(uint32_t lane, uint32_t pc, uint64_t address, uint32_t size, const Slot& slot, bool write) {
    entries_[lane].push_back(
        {address, pc, static_cast<uint16_t>(size), static_cast<uint8_t>(slot.space), write, slot.index});
    any_ = true;
  }
  void flush(std::unordered_map<uint64_t, Site>& sites);
  bool full(uint32_t lane) const { return entries_[lane].size() >= kLimit; }

 private:
  static constexpr size_t kLimit = 1 << 16;  // a lane that never meets the others is flushed in parts
  struct Entry {
    uint64_t address;
    uint32_t pc;
    uint16_t size;
    uint8_t space;
    bool write;
    uint32_t buffer;
  };
  std::vector<Entry> entries_[kMaxWave];
  bool any_ = false;
};

struct Counters {
  bool enabled = false;
  SpaceCounts space[kSpaces];
  uint64_t threads = 0, threadgroups = 0, simdgroups = 0;
  uint64_t threadgroup_barriers = 0, simdgroup_barriers = 0, collectives = 0;
  uint64_t mmas = 0, matrix_loads = 0, matrix_stores = 0, atomics = 0;
  uint64_t threadgroup_bytes = 0;
  std::unordered_map<uint64_t, Site> sites;

  void clear() {
    const bool on = enabled;
    *this = Counters{};
    enabled = on;
  }
};

}  // namespace simt
