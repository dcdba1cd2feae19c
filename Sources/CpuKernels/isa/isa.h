// The instruction sets this binary carries kernels for, and which of them this machine runs.
#pragma once

#include <string>
#include <vector>

#include "../kernel.h"

namespace tw {

struct Isa {
  const char* name;
  bool supported;
  Kernel kernels[TW_KERNEL_COUNT];
};

/// Best first; the last one runs everywhere.
const std::vector<Isa>& isas();

/// The instruction set of that name, or the best supported one for an empty name. Null if unknown or unsupported.
const Isa* find_isa(const std::string& name);

}  // namespace tw
