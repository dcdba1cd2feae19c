#include "engine.h"

#include <chrono>
#include <cstring>
#include <exception>
#include <new>

namespace tw {
namespace {

// The driver watches for the next submission this long before it sleeps: a caller that awaits one small matmul after
// the other gets an answer in 16 us instead of 56. It yields while it watches, so the caller's own thread can run.
constexpr auto kWatchTime = std::chrono::microseconds(50);

double now_ms() {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Reads the encoded commands; every access is checked, so a damaged encoding cannot reach outside.
class Reader {
 public:
  explicit Reader(const std::vector<uint8_t>& bytes) : at_(bytes.data()), end_(at_ + bytes.size()) {}
  bool empty() const { return at_ == end_; }
  const uint8_t* take(size_t bytes) {
    if (static_cast<size_t>(end_ - at_) < bytes) throw std::runtime_error("truncated command list");
    const uint8_t* start = at_;
    at_ += bytes;
    return start;
  }
  uint32_t u32() {
    uint32_t value;
    std::memcpy(&value, take(4), 4);
    return value;
  }

 private:
  const uint8_t *at_, *end_;
};

constexpr uint32_t kAbsent = 0xffffffffu;

}  // namespace

Engine::Engine(const Isa& isa, int threads, bool pin) : isa_(isa), threads_(threads), pool_(threads, pin) {
  driver_ = std::thread([this] { drive(); });
}

Engine::~Engine() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
    signals_++;
    for (auto& waiting : queue_) waiting->cancel = true;
    if (running_) running_->cancel = true;
  }
  wake_.notify_all();
  driver_.join();
}

bool Engine::submit(std::shared_ptr<Submission> submission) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (queue_.size() >= kMaxQueued) return false;
    queue_.push_back(std::move(submission));
    signals_++;
  }
  wake_.notify_one();
  return true;
}

void Engine::drive() {
  pool_.adopt_driver();
  uint64_t seen = 0;
  for (;;) {
    const auto begin = std::chrono::steady_clock::now();
    while (signals_ == seen && std::chrono::steady_clock::now() - begin < kWatchTime) std::this_thread::yield();
    {
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait(lock, [&] { return stop_ || !queue_.empty(); });
      if (queue_.empty()) return;  // stopped, and everything has been answered
      seen++;
      running_ = std::move(queue_.front());
      queue_.pop_front();
    }
    Submission& submission = *running_;
    pool_.set_cancel(&submission.cancel);
    try {
      execute(submission);
    } catch (const std::bad_alloc&) {
      submission.status = Submission::Status::kOutOfMemory;
    } catch (const std::exception& error) {
      submission.status = Submission::Status::kFailed;
      submission.message = error.what();
    }
    pool_.set_cancel(nullptr);
    if (submission.status == Submission::Status::kDone && submission.cancel) {
      submission.status = Submission::Status::kCancelled;
    }
    std::shared_ptr<Submission> ended;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      ended = std::move(running_);
    }
    ended->ended(ended);
  }
}

void Engine::execute(Submission& submission) {
  for (const auto& storage : submission.storage) {
    if (!storage->intact()) {
      submission.status = Submission::Status::kFileChanged;
      return;
    }
  }
  submission.begin_ms = now_ms();
  Reader reader(submission.commands);
  std::vector<void*> buffers;
  // Parameters are copied to aligned memory: the structs hold 64-bit integers.
  std::vector<uint64_t> params;
  while (!reader.empty() && !submission.cancel) {
    const uint32_t kernel = reader.u32();
    const uint32_t constant_count = reader.u32();
    const uint32_t buffer_count = reader.u32();
    const uint32_t param_bytes = reader.u32();
    if (kernel >= TW_KERNEL_COUNT) throw std::runtime_error("unknown kernel id " + std::to_string(kernel));
    const auto* constants = reinterpret_cast<const tw_u32*>(reader.take(size_t{4} * constant_count));
    buffers.assign(buffer_count, nullptr);
    for (void*& buffer : buffers) {
      const uint32_t index = reader.u32();
      uint64_t offset;
      std::memcpy(&offset, reader.take(8), 8);
      if (index == kAbsent) continue;
      const Storage& storage = *submission.storage.at(index);
      if (offset > storage.bytes()) throw std::runtime_error("buffer offset outside its storage");
      // An empty buffer still counts as bound.
      static char nothing[64];
      buffer = storage.data() == nullptr ? nothing : static_cast<char*>(storage.data()) + offset;
    }
    params.resize((param_bytes + 7) / 8);
    std::memcpy(params.data(), reader.take(param_bytes), param_bytes);
    pool_.limit(0);
    const double begin = submission.timed ? now_ms() : 0;
    isa_.kernels[kernel](Launch{params.data(), constants, buffers.data()}, pool_);
    if (submission.timed) {
      submission.times.push_back(begin);
      submission.times.push_back(now_ms());
    }
  }
  submission.end_ms = now_ms();
}

}  // namespace tw
