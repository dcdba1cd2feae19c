// Signal handlers and the time limit of one dispatch, on the thread that runs it.
#pragma once
#include <csignal>
#include <cstdint>
#include <ctime>

namespace simt {

class FaultGuard {
 public:
  FaultGuard();
  ~FaultGuard();
  FaultGuard(const FaultGuard&) = delete;
  FaultGuard& operator=(const FaultGuard&) = delete;
  /// End the dispatch when it has taken that much processor time; false if the system has no timer for it.
  bool stop_after(uint64_t milliseconds);

 private:
  stack_t stack_before_{};
  sigset_t mask_before_{};
  timer_t timer_{};
  bool timed_ = false;
};

}  // namespace simt
