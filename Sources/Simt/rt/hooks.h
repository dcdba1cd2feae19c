#pragma once
#include <cstdint>

namespace simt {
void on_access(uint64_t address, uint64_t size, bool write, uint64_t pc);
void on_atomic(uint64_t address, uint64_t size, bool write, uint64_t pc);
}  // namespace simt
