// Runs command lists: one driver thread, which is thread 0 of the kernels' pool, takes submissions in order.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "../CpuKernels/isa/isa.h"
#include "../CpuKernels/pool/pool.h"
#include "storage.h"

namespace tw {

struct Submission {
  enum class Status { kDone, kCancelled, kOutOfMemory, kFileChanged, kFailed };

  /// Encoded launches, see decode() in engine.cpp and ts/backends/cpu/encode.ts.
  std::vector<uint8_t> commands;
  std::vector<std::shared_ptr<Storage>> storage;
  bool timed = false;
  std::atomic<bool> cancel{false};
  /// Called on the driver thread when the submission has ended.
  std::function<void(std::shared_ptr<Submission>)> ended;

  Status status = Status::kDone;
  std::string message;
  /// Begin and end of each launch in milliseconds of the steady clock, when timed.
  std::vector<double> times;
  double begin_ms = 0, end_ms = 0;
};

class Engine {
 public:
  /// Submissions that wait at most; a caller that is further ahead is doing something wrong.
  static constexpr size_t kMaxQueued = 4096;

  /// Throws std::system_error where the process may have no more threads.
  Engine(const Isa& isa, int threads, bool pin);
  /// Cancels what is queued or running and waits for the driver thread.
  ~Engine();

  const Isa& isa() const { return isa_; }
  int threads() const { return threads_; }
  /// False when the queue is full.
  bool submit(std::shared_ptr<Submission> submission);

 private:
  void drive();
  void execute(Submission& submission);

  const Isa& isa_;
  const int threads_;
  Pool pool_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::shared_ptr<Submission>> queue_;
  /// Counts submissions and the stop; what the driver watches before it sleeps.
  std::atomic<uint64_t> signals_{0};
  std::shared_ptr<Submission> running_;
  bool stop_ = false;
  std::thread driver_;
};

}  // namespace tw
