// The worker pool of the CPU back end. The thread that submits work is itself thread 0 of the pool and never changes
// for a device, so no work is ever handed to a cold thread: decode through a fresh thread per token costs half the
// speed.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace tw {

class Pool {
 public:
  /// @param threads  total, the driver included; at least 1
  /// @param pin      bind thread i to the i-th CPU that the process may use (Linux; ignored elsewhere)
  /// Throws std::system_error where the process may have no more threads.
  Pool(int threads, bool pin);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  /// Threads that the kernel at hand may use.
  int threads() const { return limit_; }
  /// Lets the kernel at hand use so many threads at most; 0: all. Driver thread only, outside parallel_for. Whoever
  /// runs kernels lifts it before the next one: a guard object would give the kernels' objects weak symbols (kernel.h).
  void limit(int64_t threads);

  /// Call from the driver thread before anything else; binds it to its CPU.
  void adopt_driver();

  /// Runs `body(index, thread)` for every index in [0, count), handing out `chunk` consecutive indices at a time, and
  /// returns when all are done. Driver thread only; does not nest. Indices that were not started when cancel was
  /// requested are skipped.
  template <class Body>
  void parallel_for(int64_t count, int64_t chunk, const Body& body) {
    run(
        count, chunk,
        [](const void* context, int64_t first, int64_t last, int thread) {
          const Body& call = *static_cast<const Body*>(context);
          for (int64_t i = first; i < last; i++) call(i, thread);
        },
        &body);
  }

  /// Makes `scratch(t)` hold at least `bytes` for every thread. Driver thread only, outside parallel_for; throws
  /// std::bad_alloc. The memory stays with the pool and is reused by later kernels.
  void reserve_scratch(size_t bytes);
  /// 64-byte aligned memory of that thread, with the size that reserve_scratch made; contents are undefined.
  void* scratch(int thread) const;
  /// As above, one area shared by all threads.
  void* reserve_shared(size_t bytes);

  /// Where the driver puts the cancellation flag of the submission that runs, or null.
  void set_cancel(const std::atomic<bool>* flag) { cancel_ = flag; }
  bool cancelled() const { return cancel_ != nullptr && cancel_->load(std::memory_order_relaxed); }

 private:
  void end();
  using Task = void (*)(const void* context, int64_t first, int64_t last, int thread);
  void run(int64_t count, int64_t chunk, Task task, const void* context);

  struct State;
  int threads_;
  int limit_;
  const std::atomic<bool>* cancel_ = nullptr;
  std::unique_ptr<State> state_;
};

}  // namespace tw
