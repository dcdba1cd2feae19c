// Device memory and the way in and out of it.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <set>

#include "context.h"

namespace tw::gpu {

class Pool;

/// Device memory; it goes back to the pool when the last owner lets go. Submissions own what they use, so nobody can
/// free memory under a running kernel.
class Block {
 public:
  Block(std::shared_ptr<Pool> pool, Pointer address, size_t bytes, size_t reserved)
      : pool_(std::move(pool)), address_(address), bytes_(bytes), reserved_(reserved) {}
  ~Block();
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  Pointer address() const { return address_; }
  size_t bytes() const { return bytes_; }
  /// Up to where kernels read that copy in units of 16 bytes; there always is as much.
  size_t padded() const { return (bytes_ + 15) & ~size_t{15}; }

 private:
  std::shared_ptr<Pool> pool_;
  Pointer address_;
  size_t bytes_, reserved_;
};

/// Keeps what was freed for the next allocation of its size: the drivers' own calls take many microseconds, and freeing
/// waits for the whole device.
class Pool : public std::enable_shared_from_this<Pool> {
 public:
  explicit Pool(std::shared_ptr<const Context> context) : context_(std::move(context)) {}

  /// Contents are undefined. Throws Error. For the thread that sets `quiet`.
  std::shared_ptr<Block> allocate(size_t bytes);
  /// How allocate() waits, bounded, until nothing runs, before it frees what is kept: a driver's own wait would have no
  /// limit. False where it waited in vain; may throw Error.
  void set_quiet(std::function<bool()> quiet) { quiet_ = std::move(quiet); }
  /// Free what is kept beyond a limit. Waits for the device: call it when nothing runs, or when memory is short.
  void trim(size_t keep_bytes);
  /// More is kept than a quiet device should hold on to.
  bool bloated() const;
  /// Free everything, also what blocks still have: they are of no use without their device. Nothing may run any more.
  /// With `hung` everything stays where it is: freeing would wait for the device.
  void close(bool hung);

  static constexpr size_t kKeepBytes = size_t{256} << 20;

 private:
  friend class Block;
  void give_back(Pointer address, size_t reserved);

  std::shared_ptr<const Context> context_;
  std::function<bool()> quiet_;
  mutable std::mutex mutex_;
  std::multimap<size_t, Pointer> free_;
  std::set<Pointer> used_;
  size_t free_bytes_ = 0;
  bool closed_ = false;
};

/// Copies through two pinned buffers on a stream of its own: the copy of one overlaps with filling the other, and the
/// caller's bytes are free as soon as write() returns.
class Transfers {
 public:
  Transfers(std::shared_ptr<const Context> context, double limit_ms);
  ~Transfers();

  /// From `offset` to the end, and what kernels may read behind it.
  void zero(const Block& block, size_t offset);
  void write(const Block& block, size_t offset, const void* source, size_t bytes);
  /// As write(), from a `source` that puts `count` bytes from `at` on into a pinned buffer, and may throw.
  using Source = std::function<void(void* target, size_t at, size_t count)>;
  void fill(const Block& block, size_t offset, size_t bytes, const Source& source);
  /// Returns when everything that was written is there.
  void settle();
  /// Returns when the bytes are there. Waits for transfers, not for kernels.
  void read(const Block& block, size_t offset, void* target, size_t bytes);
  /// Work that `stream` is given after this call sees everything that was written before.
  void fence(Stream stream);

  static constexpr size_t kChunkBytes = size_t{4} << 20;

 private:
  struct Slot {
    void* memory = nullptr;
    Event event = nullptr;
    bool busy = false;
  };
  Slot& next();
  void wait(Slot& slot);

  std::shared_ptr<const Context> context_;
  const double limit_ms_;
  std::mutex mutex_;
  Stream stream_ = nullptr;
  Event fence_ = nullptr;
  Slot slots_[2];
  int turn_ = 0;
  /// Something was written since the last fence.
  bool dirty_ = false;
};

/// Polls until the event has happened; throws Error when the device fails, `limit_ms` has passed or, by now_ms(), it is
/// later than `latest`. A driver's own wait would have no limit.
void wait_for(const Api& api, Event event, double limit_ms, const std::atomic<double>* latest = nullptr);

}  // namespace tw::gpu
