#include "pool.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <pthread.h>
#include <sched.h>
#endif

namespace tw {
namespace {

// A worker looks this long for the next kernel before it sleeps. Kernels of one list follow each other within a few
// microseconds, so it hardly ever sleeps within one; spinning longer would take the processor from the JavaScript
// thread that the end of the list wakes (0.4 ms of spinning cost a caller 0.25 ms a matmul on two cores).
constexpr auto kSpinTime = std::chrono::microseconds(40);

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Counts down kSpinTime; reads the clock rarely.
class SpinLimit {
 public:
  bool spin() {
    relax();
    if (++count_ % 32 != 0) return true;
    return std::chrono::steady_clock::now() - begin_ < kSpinTime;
  }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  unsigned count_ = 0;
};

class Scratch {
 public:
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { std::free(memory_); }
  void reserve(size_t bytes) {
    if (bytes <= size_) return;
    const size_t rounded = (bytes + 4095) / 4096 * 4096;
    void* grown = std::aligned_alloc(4096, rounded);
    if (grown == nullptr) throw std::bad_alloc();
    std::free(memory_);
    memory_ = grown;
    size_ = rounded;
  }
  void* get() const { return memory_; }

 private:
  void* memory_ = nullptr;
  size_t size_ = 0;
};

#if defined(__linux__)
std::vector<int> usable_cpus() {
  std::vector<int> cpus;
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
      if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
    }
  }
  return cpus;
}
#endif

}  // namespace

struct Pool::State {
  static constexpr uint64_t kGenerationStep = 1 << 16;

  // The job of the current generation; written by the driver before the generation is published.
  Task task = nullptr;
  const void* context = nullptr;
  int64_t count = 0;
  int64_t chunk = 1;
  alignas(64) std::atomic<int64_t> next{0};
  // Count of jobs, times 2^16, plus the threads that take part in the last one. Both in one word: a thread that takes
  // no part is not waited for, so it may look while the next job is being written, and must not read anything else
  // then.
  alignas(64) std::atomic<uint64_t> generation{0};
  alignas(64) std::atomic<int> active{0};
  std::atomic<bool> stop{false};

  std::mutex mutex;
  std::condition_variable wake;
  int sleepers = 0;  // guarded by mutex

  std::vector<std::thread> workers;
  std::vector<Scratch> scratch;
  Scratch shared;
  std::vector<int> cpus;  // empty: not pinned

  void bind(int thread) const {
#if defined(__linux__)
    if (cpus.empty()) return;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpus[static_cast<size_t>(thread)], &set);
    pthread_setaffinity_np(pthread_self(), sizeof set, &set);  // a refusal only costs speed
#else
    (void)thread;
#endif
  }

  void work(const Pool& pool, int thread) {
    for (;;) {
      const int64_t first = next.fetch_add(chunk, std::memory_order_relaxed);
      if (first >= count || pool.cancelled()) return;
      task(context, first, std::min(first + chunk, count), thread);
    }
  }

  /// Waits for a job that `thread` takes part in; `seen` is the word of the last one that it looked at.
  void await_job(uint64_t& seen, int thread) {
    const auto mine = [&] {
      const uint64_t now = generation.load(std::memory_order_acquire);
      if (now == seen) return false;
      seen = now;
      return static_cast<uint64_t>(thread) < now % kGenerationStep;
    };
    SpinLimit limit;
    do {
      if (mine()) return;
    } while (limit.spin());
    std::unique_lock<std::mutex> lock(mutex);
    sleepers++;
    wake.wait(lock, mine);
    sleepers--;
  }

  void publish(int threads) {
    bool asleep;
    {
      std::lock_guard<std::mutex> lock(mutex);
      const uint64_t count = generation.load(std::memory_order_relaxed) / kGenerationStep + 1;
      generation.store(count * kGenerationStep + static_cast<uint64_t>(threads), std::memory_order_release);
      asleep = sleepers > 0;
    }
    if (asleep) wake.notify_all();
  }
};

Pool::Pool(int threads, bool pin)
    : threads_(std::max(threads, 1)), limit_(threads_), state_(std::make_unique<State>()) {
  state_->scratch = std::vector<Scratch>(static_cast<size_t>(threads_));
#if defined(__linux__)
  if (pin) {
    state_->cpus = usable_cpus();
    // More threads than CPUs: pinning would stack them.
    if (state_->cpus.size() < static_cast<size_t>(threads_)) state_->cpus.clear();
  }
#else
  (void)pin;
#endif
  try {
    for (int thread = 1; thread < threads_; thread++) {
      state_->workers.emplace_back([this, thread] {
        state_->bind(thread);
        uint64_t seen = 0;
        for (;;) {
          state_->await_job(seen, thread);
          if (state_->stop.load(std::memory_order_acquire)) return;
          state_->work(*this, thread);
          state_->active.fetch_sub(1, std::memory_order_release);
        }
      });
    }
  } catch (...) {
    end();  // no destructor runs for what was not constructed, and a thread that is not joined ends the process
    throw;
  }
}

Pool::~Pool() {
  end();
}

void Pool::end() {
  state_->stop.store(true, std::memory_order_release);
  state_->publish(threads_);
  for (std::thread& worker : state_->workers) worker.join();
}

void Pool::adopt_driver() {
  state_->bind(0);
}

void Pool::limit(int64_t threads) {
  limit_ = threads <= 0 ? threads_ : static_cast<int>(std::min<int64_t>(threads, threads_));
}

void Pool::run(int64_t count, int64_t chunk, Task task, const void* context) {
  if (count <= 0 || cancelled()) return;
  chunk = std::max<int64_t>(chunk, 1);
  if (limit_ == 1 || count <= chunk) {
    for (int64_t first = 0; first < count && !cancelled(); first += chunk) {
      task(context, first, std::min(first + chunk, count), 0);
    }
    return;
  }
  State& state = *state_;
  state.task = task;
  state.context = context;
  state.count = count;
  state.chunk = chunk;
  state.next.store(0, std::memory_order_relaxed);
  state.active.store(limit_ - 1, std::memory_order_relaxed);
  state.publish(limit_);
  state.work(*this, 0);
  SpinLimit limit;
  while (state.active.load(std::memory_order_acquire) != 0) {
    // A worker that lost its CPU to another process needs ours: give it up after a while.
    if (!limit.spin()) std::this_thread::yield();
  }
}

void Pool::reserve_scratch(size_t bytes) {
  for (Scratch& scratch : state_->scratch) scratch.reserve(bytes);
}

void* Pool::scratch(int thread) const {
  return state_->scratch[static_cast<size_t>(thread)].get();
}

void* Pool::reserve_shared(size_t bytes) {
  state_->shared.reserve(bytes);
  return state_->shared.get();
}

}  // namespace tw
