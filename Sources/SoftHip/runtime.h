// A HIP device that is software: what libamdhip64 does, as far as Sources/GpuDriver uses it, over the SIMT executor of
// the test bed. It exists to test the driver and the kernels without a GPU, and shows nothing about speed.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "../Simt/include/simt.h"

namespace soft {

// Numbers of hipError_t.
enum Status {
  kSuccess = 0,
  kInvalidValue = 1,
  kOutOfMemory = 2,
  kInvalidConfiguration = 9,
  kNoDevice = 100,
  kInvalidDevice = 101,
  kInvalidImage = 200,
  kNoBinaryForGpu = 209,
  kInvalidHandle = 400,
  kNotFound = 500,
  kNotReady = 600,
  kIllegalAddress = 700,
  kLaunchFailure = 719,
};

/// What the environment variable TILEWRIGHT_SOFT_HIP says, `name=value` separated by commas; read at every hipInit.
struct Settings {
  int devices = 1;
  std::string arch = "gfx1100";
  uint32_t wave = 32;
  int compute_units = 4;
  uint64_t memory = 1ull << 30;
  /// What was read.
  std::string text;
  /// Microseconds that every launch takes at least, so that work is in flight.
  int slow = 0;
  /// Order in which streams that could go on do so.
  uint64_t seed = 1;
  /// Launches after which the device is lost, or never ends; 0: none.
  int lost_after = 0, hang_after = 0;
  /// Entry point, its how-manieth call from 1, and what it returns then: `fail=hipMalloc:2:2`.
  struct Failure {
    std::string entry;
    int call = 0, status = 0;
  };
  std::vector<Failure> failures;
};

struct Kernel {
  std::string name;
  simt_module* module = nullptr;
  int device = 0;
  uint32_t max_threads = 0;
  /// Per pointer argument, whether the kernel may only read behind it; a struct by value follows.
  std::vector<bool> read_only;
};

struct Module {
  simt_module* module = nullptr;
  int device = 0;
  std::map<std::string, Kernel> kernels;
  ~Module() { simt_unload(module); }
};

struct Launch {
  const Kernel* kernel = nullptr;
  uint32_t grid[3] = {1, 1, 1}, group[3] = {1, 1, 1}, shared_bytes = 0;
  std::vector<uint64_t> arguments;
  size_t argument_bytes = 0;
};

/// A point in a stream.
struct Mark {
  bool done = false;
  double ms = 0;
};

struct Event {
  std::shared_ptr<Mark> mark;
};

struct Operation {
  std::function<void()> run;
  /// It has to wait for this first.
  std::shared_ptr<Mark> after;
};

struct Graph {
  std::vector<Launch> launches;
};

struct Stream {
  int device = 0;
  std::deque<Operation> operations;
  std::unique_ptr<Graph> capture;
};

/// An allocation.
struct Memory {
  uint64_t bytes = 0;
  int device = 0;
};

/// The calling thread's device. What belongs to another one is refused, where a real driver would do so.
inline thread_local int current_device = 0;

class Runtime {
 public:
  static Runtime& get();

  /// Reads the settings; a device in use goes on as it is, unless they changed.
  void configure();
  const Settings& settings() const { return settings_; }
  /// What an entry point has to return before it does anything: an injected failure, or the device's own.
  int enter(const char* entry);
  /// The error that ended the device, 0 while it lives.
  int sticky();
  const std::string& reason() const { return reason_; }

  int allocate(void** address, size_t bytes);
  int release(void* address);
  size_t free_bytes();

  Stream* create_stream();
  int destroy_stream(Stream* stream);
  int push(Stream* stream, Operation operation);
  int record(Event* event, Stream* stream);
  int wait(Stream* stream, Event* event);
  int query(Event* event);
  int launch(Stream* stream, Launch launch);
  int replay(Stream* stream, const Graph& graph);

 private:
  Runtime();
  void drive();
  Stream* pick();
  void execute(Launch& launch);
  void fail(int status, const std::string& reason);
  bool bind(const Launch& launch, std::vector<simt_binding>& bindings);

  Settings settings_;
  std::mutex mutex_;
  std::condition_variable wake_, idle_;
  /// An operation is under way.
  bool running_ = false;
  std::map<std::string, int> calls_;
  /// By address.
  std::map<uint64_t, Memory> allocations_;
  uint64_t allocated_ = 0, random_ = 1;
  std::vector<std::unique_ptr<Stream>> streams_;
  int launches_ = 0, sticky_ = 0;
  std::atomic<int> generation_{0};
  std::string reason_;
};

double now_ms();
/// Reads the text that ts/testbed/soft-hip.ts makes of a compiled kernel file.
int load_module(const char* image, uint32_t wave, std::unique_ptr<Module>& module, std::string& problem);

}  // namespace soft
