// One device of a driver, opened: what it is, and what every thread does before it calls the driver.
#pragma once

#include "api.h"

namespace tw::gpu {

struct DeviceInfo {
  std::string name;
  std::string architecture;
  int compute_units = 0, wave_size = 0, max_threads = 0, lds_bytes = 0, l2_bytes = 0, driver_version = 0;
  size_t memory_bytes = 0;
};

class Context {
 public:
  /// Throws Error.
  Context(std::shared_ptr<const Api> api, int ordinal);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  const Api& api() const { return *api_; }
  const DeviceInfo& info() const { return info_; }
  /// To be called on a thread before its first call, and at the start of whatever the host may call on any thread.
  void make_current() const { api_->make_current(device_, context_); }

 private:
  std::shared_ptr<const Api> api_;
  int device_ = 0;
  void* context_ = nullptr;
  DeviceInfo info_;
};

/// A pause in a wait: short at first, then a sixteenth of the time waited so far, half a millisecond at most.
void pause(double waited_ms);
double now_ms();

}  // namespace tw::gpu
