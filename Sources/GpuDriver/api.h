// The entry points of a GPU driver that this package uses, bound when a device is opened. AMD's libamdhip64 and
// NVIDIA's libcuda answer call by call to the same table, so everything above this file is written once; no SDK takes
// part in the build, and a machine without either library only loses this back end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace tw::gpu {

/// An address in the device's memory.
using Pointer = uint64_t;
using Stream = void*;
using Event = void*;
using Module = void*;
using Function = void*;
using Graph = void*;
using GraphExec = void*;

/// What went wrong, as ts/errors.ts knows it.
class Error : public std::runtime_error {
 public:
  Error(std::string code, const std::string& message, std::string details = "{}", bool lost = false)
      : std::runtime_error(message), code(std::move(code)), details(std::move(details)), lost(lost) {}
  std::string code;
  /// JSON.
  std::string details;
  /// No further call on this device can succeed.
  bool lost;
};

enum class Attribute { kComputeUnits, kWaveSize, kMaxThreads, kLdsBytes, kL2Bytes, kMajor, kMinor };

class Api {
 public:
  enum class Dialect { kHip, kCuda };

  /// One library that may be the driver.
  struct Attempt {
    std::string library;
    /// Why it is not the one; empty for the one that is.
    std::string problem;
  };

  /// The libraries that are tried when none is named.
  static std::vector<std::string> default_libraries();
  /// The first of `libraries` that loads and has a device; null when there is none. `attempts` says what became of
  /// each. Libraries stay loaded: drivers keep threads of their own.
  static std::shared_ptr<const Api> open(const std::vector<std::string>& libraries, std::vector<Attempt>& attempts);

  Dialect dialect = Dialect::kHip;
  std::string library;

  /// Throws Error unless `status` is 0. `call` is the entry point without its prefix: "ModuleLoadData".
  void check(int status, const char* call) const;
  /// The error of a failed call, without throwing it.
  Error error(int status, const char* call) const;
  int attribute(Attribute which, int device) const;
  /// `gfx90a`, `sm_90`: the name that code objects are built for.
  std::string architecture(int device) const;
  /// Makes the device current for the calling thread.
  void make_current(int device, void* context) const;
  void* retain_context(int device) const;
  void release_context(int device) const;
  int instantiate(GraphExec* exec, Graph graph) const;
  /// Launches with one block of arguments.
  int launch(Function function, const uint32_t grid[3], const uint32_t block[3], uint32_t shared_bytes, Stream stream,
             void* arguments, size_t bytes) const;
  bool has_graphs() const { return begin_capture != nullptr && graph_launch != nullptr; }

  static constexpr int kNotReady = 600;
  static constexpr unsigned kStreamNonBlocking = 1;
  static constexpr int kCaptureThreadLocal = 1;

  // The same signature in both libraries.
  int (*init)(unsigned) = nullptr;
  int (*driver_version)(int*) = nullptr;
  int (*device_count)(int*) = nullptr;
  int (*device_get)(int*, int) = nullptr;
  int (*device_name)(char*, int, int) = nullptr;
  int (*device_memory)(size_t*, int) = nullptr;
  int (*device_attribute)(int*, int, int) = nullptr;
  int (*allocate)(Pointer*, size_t) = nullptr;
  int (*release)(Pointer) = nullptr;
  int (*host_allocate)(void**, size_t, unsigned) = nullptr;
  int (*host_release)(void*) = nullptr;
  int (*copy_to_device)(Pointer, const void*, size_t, Stream) = nullptr;
  int (*copy_to_host)(void*, Pointer, size_t, Stream) = nullptr;
  int (*fill)(Pointer, unsigned char, size_t, Stream) = nullptr;
  int (*stream_create)(Stream*, unsigned) = nullptr;
  int (*stream_destroy)(Stream) = nullptr;
  int (*stream_wait)(Stream, Event, unsigned) = nullptr;
  int (*event_create)(Event*, unsigned) = nullptr;
  int (*event_destroy)(Event) = nullptr;
  int (*event_record)(Event, Stream) = nullptr;
  int (*event_query)(Event) = nullptr;
  int (*event_elapsed)(float*, Event, Event) = nullptr;
  int (*module_load)(Module*, const void*) = nullptr;
  int (*module_unload)(Module) = nullptr;
  int (*module_function)(Function*, Module, const char*) = nullptr;
  // Null where the driver is too old for graphs.
  int (*begin_capture)(Stream, int) = nullptr;
  int (*end_capture)(Stream, Graph*) = nullptr;
  int (*graph_launch)(GraphExec, Stream) = nullptr;
  int (*graph_destroy)(Graph) = nullptr;
  int (*graph_exec_destroy)(GraphExec) = nullptr;

 private:
  std::string bind(const std::string& name);
  std::string error_name(int status) const;
  std::string error_text(int status) const;

  // One signature each; which are bound depends on the dialect.
  int (*launch_)(Function, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, Stream, void**,
                 void**) = nullptr;
  int (*hip_set_device_)(int) = nullptr;
  int (*hip_properties_)(void*, int) = nullptr;
  const char* (*hip_error_name_)(int) = nullptr;
  const char* (*hip_error_string_)(int) = nullptr;
  int (*hip_instantiate_)(GraphExec*, Graph, void**, char*, size_t) = nullptr;
  int (*cuda_retain_)(void**, int) = nullptr;
  int (*cuda_release_)(int) = nullptr;
  int (*cuda_set_context_)(void*) = nullptr;
  int (*cuda_error_name_)(int, const char**) = nullptr;
  int (*cuda_error_string_)(int, const char**) = nullptr;
  int (*cuda_instantiate_)(GraphExec*, Graph, unsigned long long) = nullptr;
};

/// `"text"` with what JSON wants escaped.
std::string json_text(const std::string& text);

}  // namespace tw::gpu
