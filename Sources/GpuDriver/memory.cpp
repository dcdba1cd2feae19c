#include "memory.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace tw::gpu {
namespace {

/// What is reserved for `bytes`: steps of an eighth for small blocks, so that results of similar shapes share them, and
/// of 64 KiB for large ones, which are weights and stay.
size_t reserved_for(size_t bytes) {
  if (bytes <= 256) return 256;
  if (bytes > (size_t{1} << 20)) return (bytes + 0xffff) & ~size_t{0xffff};
  size_t step = 256;
  while (step * 16 < bytes) step *= 2;
  return (bytes + step - 1) / step * step;
}

}  // namespace

Block::~Block() {
  pool_->give_back(address_, reserved_);
}

std::shared_ptr<Block> Pool::allocate(size_t bytes) {
  const size_t reserved = reserved_for(bytes);
  if (reserved < bytes) throw context_->api().error(2, "Malloc");
  {
    std::lock_guard<std::mutex> lock(mutex_);
    const auto kept = free_.find(reserved);
    if (kept != free_.end()) {
      const Pointer address = kept->second;
      free_.erase(kept);
      free_bytes_ -= reserved;
      used_.insert(address);
      return std::make_shared<Block>(shared_from_this(), address, bytes, reserved);
    }
  }
  Pointer address = 0;
  int status = context_->api().allocate(&address, reserved);
  if (status == 2 && (!quiet_ || quiet_())) {
    trim(0);
    status = context_->api().allocate(&address, reserved);
  }
  context_->api().check(status, "Malloc");
  {
    std::lock_guard<std::mutex> lock(mutex_);
    used_.insert(address);
  }
  return std::make_shared<Block>(shared_from_this(), address, bytes, reserved);
}

void Pool::give_back(Pointer address, size_t reserved) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (closed_) return;
  used_.erase(address);
  free_.emplace(reserved, address);
  free_bytes_ += reserved;
}

void Pool::trim(size_t keep_bytes) {
  std::multimap<size_t, Pointer> surplus;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    // The largest first: few calls, and small blocks are the ones that come again.
    while (free_bytes_ > keep_bytes && !free_.empty()) {
      const auto largest = std::prev(free_.end());
      free_bytes_ -= largest->first;
      surplus.insert(*largest);
      free_.erase(largest);
    }
  }
  for (const auto& [bytes, address] : surplus) context_->api().release(address);
}

bool Pool::bloated() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return free_bytes_ > kKeepBytes;
}

void Pool::close(bool hung) {
  std::set<Pointer> all;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
    all.swap(used_);
    for (const auto& [bytes, address] : free_) all.insert(address);
    free_.clear();
    free_bytes_ = 0;
  }
  if (hung) return;
  for (const Pointer address : all) context_->api().release(address);
}

void wait_for(const Api& api, Event event, double limit_ms, const std::atomic<double>* latest) {
  const double begin = now_ms();
  for (;;) {
    const int status = api.event_query(event);
    if (status == 0) return;
    if (status != Api::kNotReady) throw api.error(status, "EventQuery");
    const double waited = now_ms() - begin;
    if (waited > limit_ms || (latest != nullptr && now_ms() > *latest)) {
      throw Error("ERR_NATIVE_FAILURE",
                  "The device has not finished within " +
                      std::to_string(std::lround(std::min(waited, limit_ms) / 1000)) +
                      " s. It is lost: dispose it and open another; where that fails, restart the process.",
                  "{\"lost\":true}", true);
    }
    pause(waited);
  }
}

Transfers::Transfers(std::shared_ptr<const Context> context, double limit_ms)
    : context_(std::move(context)), limit_ms_(limit_ms) {
  const Api& api = context_->api();
  api.check(api.stream_create(&stream_, Api::kStreamNonBlocking), "StreamCreate");
  api.check(api.event_create(&fence_, 0), "EventCreate");
}

Transfers::~Transfers() {
  const Api& api = context_->api();
  try {
    api.check(api.event_record(fence_, stream_), "EventRecord");
    wait_for(api, fence_, limit_ms_);
  } catch (const Error&) {
    // A lost device: what it may still write to is kept below.
  }
  for (Slot& slot : slots_) {
    try {
      wait(slot);
    } catch (const Error&) {
      continue;  // the device may still write to it
    }
    if (slot.memory != nullptr) api.host_release(slot.memory);
    if (slot.event != nullptr) api.event_destroy(slot.event);
  }
  api.event_destroy(fence_);
  api.stream_destroy(stream_);
}

void Transfers::wait(Slot& slot) {
  if (!slot.busy) return;
  wait_for(context_->api(), slot.event, limit_ms_);
  slot.busy = false;
}

Transfers::Slot& Transfers::next() {
  Slot& slot = slots_[turn_];
  turn_ ^= 1;
  const Api& api = context_->api();
  if (slot.event == nullptr) api.check(api.event_create(&slot.event, 0), "EventCreate");
  if (slot.memory == nullptr) api.check(api.host_allocate(&slot.memory, kChunkBytes, 0), "HostMalloc");
  wait(slot);
  return slot;
}

void Transfers::zero(const Block& block, size_t offset) {
  if (block.padded() == offset) return;
  std::lock_guard<std::mutex> lock(mutex_);
  const Api& api = context_->api();
  api.check(api.fill(block.address() + offset, 0, block.padded() - offset, stream_), "MemsetD8Async");
  dirty_ = true;
}

void Transfers::write(const Block& block, size_t offset, const void* source, size_t bytes) {
  fill(block, offset, bytes, [source](void* target, size_t at, size_t count) {
    std::memcpy(target, static_cast<const char*>(source) + at, count);
  });
}

void Transfers::fill(const Block& block, size_t offset, size_t bytes, const Source& source) {
  std::lock_guard<std::mutex> lock(mutex_);
  const Api& api = context_->api();
  for (size_t done = 0; done < bytes;) {
    const size_t count = std::min(kChunkBytes, bytes - done);
    Slot& slot = next();
    source(slot.memory, done, count);
    api.check(api.copy_to_device(block.address() + offset + done, slot.memory, count, stream_), "MemcpyHtoDAsync");
    api.check(api.event_record(slot.event, stream_), "EventRecord");
    slot.busy = true;
    dirty_ = true;
    done += count;
  }
}

void Transfers::settle() {
  std::lock_guard<std::mutex> lock(mutex_);
  for (Slot& slot : slots_) wait(slot);
}

void Transfers::read(const Block& block, size_t offset, void* target, size_t bytes) {
  std::lock_guard<std::mutex> lock(mutex_);
  const Api& api = context_->api();
  Slot* before = nullptr;
  size_t before_at = 0, before_count = 0;
  const auto take = [&] {
    if (before == nullptr) return;
    wait(*before);
    std::memcpy(static_cast<char*>(target) + before_at, before->memory, before_count);
  };
  for (size_t done = 0; done < bytes;) {
    const size_t count = std::min(kChunkBytes, bytes - done);
    Slot& slot = next();
    api.check(api.copy_to_host(slot.memory, block.address() + offset + done, count, stream_), "MemcpyDtoHAsync");
    api.check(api.event_record(slot.event, stream_), "EventRecord");
    slot.busy = true;
    take();
    before = &slot;
    before_at = done;
    before_count = count;
    done += count;
  }
  take();
}

void Transfers::fence(Stream stream) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!dirty_) return;
  const Api& api = context_->api();
  api.check(api.event_record(fence_, stream_), "EventRecord");
  api.check(api.stream_wait(stream, fence_, 0), "StreamWaitEvent");
  dirty_ = false;
}

}  // namespace tw::gpu
