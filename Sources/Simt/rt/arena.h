// Memory that kernels see. Every buffer has 4 GB of address space to itself and ends at a page that cannot be touched:
// an index that is too large faults in any build, and the hooks know every byte.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace simt {

enum class Space : uint8_t { kDevice = 0, kConstant = 1, kThreadgroup = 2 };
constexpr int kSpaces = 3;

constexpr uint32_t kMaxBuffers = 31;    // buffer(0) to buffer(30)
constexpr uint32_t kConstantBase = 32;  // slots 32 to 62: the same indices in the constant space
constexpr uint32_t kThreadgroupSlot = 63;
constexpr uint32_t kSlots = 64;
constexpr uint64_t kSlotShift = 32;
constexpr uint64_t kMaxBufferBytes = 1ull << 31;
constexpr uint32_t kThreadgroupLimit = 32768;
constexpr uint32_t kRedZone = 64;  // between threadgroup allocations
constexpr uint32_t kThreadgroupCapacity = 1 << 20;

/// One access: who, when (the dispatch's clock of barriers), from where.
struct Access {
  uint32_t thread = 0;  // 1 + index of the thread in the dispatch; 0: none. Top bit: atomic
  uint32_t clock = 0;
  uint32_t pc = 0;  // offset in the module
};
/// Shadow of one byte.
struct Cell {
  Access write, read[2];
};

struct Slot {
  uint64_t begin = 0, end = 0;
  Space space = Space::kDevice;
  uint32_t flags = 0;
  uint32_t index = 0;
  std::string name;
  Cell* cells = nullptr;  // of [begin, end); null when nobody can write
  uint64_t cells_bytes = 0;
  std::vector<uint8_t> touched;        // bit 0: read, bit 1: written
  std::vector<uint32_t> sector_group;  // last threadgroup (+1) that touched each 32-byte sector
  uint64_t group_sectors = 0;
};

class Arena {
 public:
  /// Reserve the address space; false if the system refuses.
  bool open();
  char* base() const { return base_; }
  /// Slot of an address, or null when it lies outside of the arena.
  Slot* find(uint64_t address) {
    const uint64_t offset = address - reinterpret_cast<uint64_t>(base_);
    return offset < (static_cast<uint64_t>(kSlots) << kSlotShift) ? &slots_[offset >> kSlotShift] : nullptr;
  }
  Slot& slot(uint32_t index) { return slots_[index]; }
  /// Give a slot `bytes` of memory that end (rounded to 16) at a guard page. Optional shadow.
  bool allocate(uint32_t slot, uint64_t bytes, bool shadow);
  void release(uint32_t slot);

 private:
  char* base_ = nullptr;
  Slot slots_[kSlots];
  uint64_t mapped_[kSlots] = {};
};

}  // namespace simt
