#include "arena.h"

#include <sys/mman.h>

namespace simt {
namespace {
constexpr uint64_t kPage = 4096;
uint64_t round_up(uint64_t x, uint64_t to) {
  return (x + to - 1) / to * to;
}
}  // namespace

bool Arena::open() {
  if (base_ != nullptr) return true;
  void* p = mmap(nullptr, (static_cast<uint64_t>(kSlots) + 1) << kSlotShift, PROT_NONE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return false;
  // Whole slots, so that the slot of an address is a shift.
  base_ = reinterpret_cast<char*>(round_up(reinterpret_cast<uint64_t>(p), 1ull << kSlotShift));
  return true;
}

bool Arena::allocate(uint32_t index, uint64_t bytes, bool shadow) {
  release(index);
  char* slot_base = base_ + (static_cast<uint64_t>(index) << kSlotShift);
  // Half a slot of guard below, so that negative indices fault as well.
  char* start = slot_base + (1ull << (kSlotShift - 2));
  const uint64_t mapped = round_up(bytes == 0 ? 1 : bytes, kPage);
  if (mprotect(start, mapped, PROT_READ | PROT_WRITE) != 0) return false;
  mapped_[index] = mapped;
  Slot& slot = slots_[index];
  slot.begin = reinterpret_cast<uint64_t>(start) + mapped - round_up(bytes, 16);
  slot.end = slot.begin + bytes;
  if (shadow && bytes > 0) {
    slot.cells_bytes = round_up(bytes * sizeof(Cell), kPage);
    void* cells =
        mmap(nullptr, slot.cells_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (cells == MAP_FAILED) return false;
    slot.cells = static_cast<Cell*>(cells);
  }
  return true;
}

void Arena::release(uint32_t index) {
  Slot& slot = slots_[index];
  if (mapped_[index] != 0) {
    char* start = base_ + (static_cast<uint64_t>(index) << kSlotShift) + (1ull << (kSlotShift - 2));
    madvise(start, mapped_[index], MADV_DONTNEED);
    mprotect(start, mapped_[index], PROT_NONE);
    mapped_[index] = 0;
  }
  if (slot.cells != nullptr) munmap(slot.cells, slot.cells_bytes);
  if (slot.begin != 0) slot = Slot{};
}

}  // namespace simt
