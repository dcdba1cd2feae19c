// Messages from kernels, which nobody reads here. MSL specification section 6.19 (logging functions).
#pragma once
#include "types.h"

namespace metal {
struct os_log {
  constexpr os_log(const __constant char*, const __constant char*) __constant {}
  template <class... A>
  void log_debug(const __constant char*, A...) const __constant {}
  template <class... A>
  void log(const __constant char*, A...) const __constant {}
  template <class... A>
  void log_info(const __constant char*, A...) const __constant {}
  template <class... A>
  void log_error(const __constant char*, A...) const __constant {}
};
}  // namespace metal
