#include "runtime.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <thread>

namespace soft {
namespace {

Settings read_settings() {
  Settings s;
  const char* text = std::getenv("TILEWRIGHT_SOFT_HIP");
  s.text = text == nullptr ? "" : text;
  std::istringstream entries(s.text);
  for (std::string entry; std::getline(entries, entry, ',');) {
    const size_t equals = entry.find('=');
    if (equals == std::string::npos) continue;
    const std::string name = entry.substr(0, equals), value = entry.substr(equals + 1);
    const auto number = [&] { return std::strtoull(value.c_str(), nullptr, 10); };
    if (name == "devices") s.devices = static_cast<int>(number());
    if (name == "arch") s.arch = value;
    if (name == "wave") s.wave = static_cast<uint32_t>(number());
    if (name == "units") s.compute_units = static_cast<int>(number());
    if (name == "memory") s.memory = number();
    if (name == "slow") s.slow = static_cast<int>(number());
    if (name == "seed") s.seed = number();
    if (name == "lost") s.lost_after = static_cast<int>(number());
    if (name == "hang") s.hang_after = static_cast<int>(number());
    if (name == "fail") {
      std::istringstream parts(value);
      Settings::Failure failure;
      std::string call, status;
      std::getline(parts, failure.entry, ':');
      std::getline(parts, call, ':');
      std::getline(parts, status, ':');
      failure.call = std::atoi(call.c_str());
      failure.status = std::atoi(status.c_str());
      s.failures.push_back(failure);
    }
  }
  return s;
}

}  // namespace

double now_ms() {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Runtime& Runtime::get() {
  static Runtime* runtime = new Runtime();  // never destroyed: its thread runs until the process ends
  return *runtime;
}

Runtime::Runtime() {
  std::thread([this] { drive(); }).detach();
}

void Runtime::configure() {
  std::lock_guard<std::mutex> lock(mutex_);
  const Settings settings = read_settings();
  const bool in_use = !streams_.empty() && sticky_ == 0 && settings_.hang_after == 0;
  if (in_use && settings.text == settings_.text) return;
  settings_ = settings;
  calls_.clear();
  launches_ = 0;
  generation_++;
  sticky_ = 0;
  reason_.clear();
  random_ = settings_.seed;
  // What a lost device was still to do is not done any more.
  for (const auto& stream : streams_) stream->operations.clear();
  wake_.notify_all();
}

int Runtime::enter(const char* entry) {
  std::lock_guard<std::mutex> lock(mutex_);
  const int call = ++calls_[entry];
  for (const Settings::Failure& failure : settings_.failures) {
    if (failure.entry == entry && failure.call == call) return failure.status;
  }
  return sticky_;
}

int Runtime::sticky() {
  std::lock_guard<std::mutex> lock(mutex_);
  return sticky_;
}

void Runtime::fail(int status, const std::string& reason) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (sticky_ == 0) sticky_ = status, reason_ = reason;
  idle_.notify_all();
}

int Runtime::allocate(void** address, size_t bytes) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (bytes > settings_.memory - std::min(settings_.memory, allocated_)) return kOutOfMemory;
  void* memory = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  if (memory == nullptr) return kOutOfMemory;
  std::memset(memory, 0xff, bytes);  // NaN: memory of a GPU holds anything at first
  allocations_[reinterpret_cast<uint64_t>(memory)] = {bytes, current_device};
  allocated_ += bytes;
  *address = memory;
  return kSuccess;
}

/// As hipFree promises, not before all streams are done.
int Runtime::release(void* address) {
  std::unique_lock<std::mutex> lock(mutex_);
  idle_.wait(lock, [&] {
    const auto busy = [](const auto& stream) { return !stream->operations.empty(); };
    return sticky_ != 0 || (!running_ && std::none_of(streams_.begin(), streams_.end(), busy));
  });
  const auto found = allocations_.find(reinterpret_cast<uint64_t>(address));
  if (found == allocations_.end()) return kInvalidValue;
  allocated_ -= found->second.bytes;
  allocations_.erase(found);
  std::free(address);
  return kSuccess;
}

size_t Runtime::free_bytes() {
  std::lock_guard<std::mutex> lock(mutex_);
  return settings_.memory - std::min(settings_.memory, allocated_);
}

Stream* Runtime::create_stream() {
  std::lock_guard<std::mutex> lock(mutex_);
  streams_.push_back(std::make_unique<Stream>());
  streams_.back()->device = current_device;
  return streams_.back().get();
}

int Runtime::destroy_stream(Stream* stream) {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto found = std::find_if(streams_.begin(), streams_.end(), [&](const auto& s) { return s.get() == stream; });
  if (found == streams_.end() || stream->device != current_device) return kInvalidHandle;
  streams_.erase(found);
  return kSuccess;
}

int Runtime::push(Stream* stream, Operation operation) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stream->operations.push_back(std::move(operation));
  }
  wake_.notify_one();
  return kSuccess;
}

int Runtime::record(Event* event, Stream* stream) {
  if (stream->device != current_device) return kInvalidHandle;
  auto mark = std::make_shared<Mark>();
  event->mark = mark;
  return push(stream, {[this, mark] {
                         std::lock_guard<std::mutex> lock(mutex_);
                         mark->done = true;
                         mark->ms = now_ms();
                       },
                       nullptr});
}

int Runtime::wait(Stream* stream, Event* event) {
  return push(stream, {[] {}, event->mark});
}

int Runtime::query(Event* event) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (sticky_ != 0) return sticky_;
  return event->mark == nullptr || event->mark->done ? kSuccess : kNotReady;
}

int Runtime::launch(Stream* stream, Launch launch) {
  uint64_t threads = 1;
  for (int i = 0; i < 3; i++) {
    if (launch.grid[i] == 0 || launch.group[i] == 0) return kInvalidConfiguration;
    threads *= launch.group[i];
  }
  const uint32_t most = launch.kernel->max_threads != 0 ? launch.kernel->max_threads : 1024;
  if (threads > most || launch.shared_bytes > 65536) return kInvalidConfiguration;
  if (stream->device != current_device || launch.kernel->device != current_device) return kInvalidHandle;
  if (launch.argument_bytes < 8 * launch.kernel->read_only.size()) return kInvalidValue;
  if (stream->capture != nullptr) {
    stream->capture->launches.push_back(std::move(launch));
    return kSuccess;
  }
  auto shared = std::make_shared<Launch>(std::move(launch));
  return push(stream, {[this, shared] { execute(*shared); }, nullptr});
}

int Runtime::replay(Stream* stream, const Graph& graph) {
  if (stream->device != current_device) return kInvalidHandle;
  for (const Launch& one : graph.launches) {
    auto shared = std::make_shared<Launch>(one);
    push(stream, {[this, shared] { execute(*shared); }, nullptr});
  }
  return kSuccess;
}

/// A stream whose next operation may run, at random: streams are ordered by events alone, and what forgets one fails.
Stream* Runtime::pick() {
  std::vector<Stream*> ready;
  for (const auto& stream : streams_) {
    if (stream->operations.empty()) continue;
    const auto& after = stream->operations.front().after;
    if (after == nullptr || after->done) ready.push_back(stream.get());
  }
  if (ready.empty()) return nullptr;
  random_ = random_ * 6364136223846793005ull + 1442695040888963407ull;
  return ready[(random_ >> 33) % ready.size()];
}

void Runtime::drive() {
  for (;;) {
    Operation next;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      Stream* stream = nullptr;
      wake_.wait(lock, [&] { return sticky_ == 0 && (stream = pick()) != nullptr; });
      next = std::move(stream->operations.front());
      stream->operations.pop_front();
      running_ = true;
    }
    next.run();
    {
      std::lock_guard<std::mutex> lock(mutex_);
      running_ = false;
    }
    idle_.notify_all();
  }
}

/// Buffers of a dispatch: the allocations that the pointers point into, each once.
bool Runtime::bind(const Launch& launch, std::vector<simt_binding>& bindings) {
  std::lock_guard<std::mutex> lock(mutex_);
  std::map<uint64_t, uint32_t> owners;
  for (uint32_t i = 0; i < launch.kernel->read_only.size(); i++) {
    simt_binding b{};
    b.index = i;
    b.same_as = -1;
    const uint64_t pointer = launch.arguments[i];
    if (pointer == 0) {
      b.flags = SIMT_BUFFER_NULL;
      bindings.push_back(b);
      continue;
    }
    auto found = allocations_.upper_bound(pointer);
    if (found == allocations_.begin()) return false;
    --found;
    if (pointer > found->first + found->second.bytes || found->second.device != launch.kernel->device) return false;
    b.data = reinterpret_cast<void*>(found->first);
    b.size = found->second.bytes;
    b.offset = pointer - found->first;
    b.flags = launch.kernel->read_only[i] ? SIMT_BUFFER_READ_ONLY : 0;
    const auto owner = owners.emplace(found->first, i);
    if (!owner.second) {
      b.same_as = static_cast<int32_t>(owner.first->second);
      // The one that owns the memory must be writable if any is.
      if (b.flags == 0) bindings[owner.first->second].flags = 0;
    }
    bindings.push_back(b);
  }
  return true;
}

void Runtime::execute(Launch& launch) {
  const Settings settings = this->settings();
  if (settings.slow > 0) std::this_thread::sleep_for(std::chrono::microseconds(settings.slow));
  launches_++;
  if (settings.lost_after != 0 && launches_ > settings.lost_after) {
    fail(kLaunchFailure, "the device was told to be lost");
    return;
  }
  if (settings.hang_after != 0 && launches_ > settings.hang_after) {
    // Until the next hipInit; by then nobody waits for this launch.
    for (const int now = generation_; generation_ == now;) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return;
  }
  std::vector<simt_binding> bindings;
  if (!bind(launch, bindings)) {
    fail(kIllegalAddress, launch.kernel->name + " is given an address that was not allocated");
    return;
  }
  const size_t pointers = launch.kernel->read_only.size();
  simt_binding params{};
  params.index = static_cast<uint32_t>(pointers);
  params.flags = SIMT_BUFFER_READ_ONLY | SIMT_BUFFER_CONSTANT;
  params.data = launch.arguments.data() + pointers;
  params.size = launch.argument_bytes - 8 * pointers;
  params.same_as = -1;
  if (params.size > 0) bindings.push_back(params);
  simt_dispatch d{};
  d.kernel = launch.kernel->name.c_str();
  std::copy(launch.grid, launch.grid + 3, d.grid);
  std::copy(launch.group, launch.group + 3, d.group);
  d.order = SIMT_FORWARD;
  d.binding_count = static_cast<uint32_t>(bindings.size());
  d.bindings = bindings.data();
  d.threadgroup_count = launch.shared_bytes > 0 ? 1 : 0;
  d.threadgroup_bytes = &launch.shared_bytes;
  char* report = simt_run(launch.kernel->module, &d);
  const std::string text = report == nullptr ? "no memory for the report" : report;
  simt_free(report);
  if (text.find("\"findings\":[]") != std::string::npos && text.find("\"refused\"") == std::string::npos) return;
  const bool address = text.find("out-of-bounds") != std::string::npos;
  fail(address ? kIllegalAddress : kLaunchFailure, launch.kernel->name + ": " + text);
}

}  // namespace soft
