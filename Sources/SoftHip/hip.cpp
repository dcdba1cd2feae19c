// The entry points, with the signatures of hip_runtime_api.h. Handles are pointers to our own objects.
#include <cstring>

#include "runtime.h"

using soft::Event;
using soft::Graph;
using soft::Kernel;
using soft::Module;
using soft::Runtime;
using soft::Stream;

namespace {
std::string g_problem;  // of the last module that did not load
}

#define HIP_ENTRY extern "C" __attribute__((visibility("default")))
#define HIP_ENTER(name) \
  if (const int status_ = Runtime::get().enter(name)) return status_

HIP_ENTRY int hipInit(unsigned) {
  Runtime::get().configure();
  HIP_ENTER("hipInit");
  return soft::kSuccess;
}
HIP_ENTRY int hipDriverGetVersion(int* version) {
  HIP_ENTER("hipDriverGetVersion");
  *version = 0;
  return soft::kSuccess;
}
HIP_ENTRY int hipGetDeviceCount(int* count) {
  HIP_ENTER("hipGetDeviceCount");
  *count = Runtime::get().settings().devices;
  return *count == 0 ? soft::kNoDevice : soft::kSuccess;
}
HIP_ENTRY int hipDeviceGet(int* device, int ordinal) {
  HIP_ENTER("hipDeviceGet");
  *device = ordinal;
  return ordinal < Runtime::get().settings().devices ? soft::kSuccess : soft::kInvalidDevice;
}
HIP_ENTRY int hipDeviceGetName(char* name, int length, int) {
  HIP_ENTER("hipDeviceGetName");
  std::strncpy(name, "software device (tilewright test bed)", static_cast<size_t>(length) - 1);
  return soft::kSuccess;
}
HIP_ENTRY int hipDeviceTotalMem(size_t* bytes, int) {
  HIP_ENTER("hipDeviceTotalMem");
  *bytes = Runtime::get().settings().memory;
  return soft::kSuccess;
}
HIP_ENTRY int hipDeviceGetAttribute(int* value, int attribute, int) {
  HIP_ENTER("hipDeviceGetAttribute");
  const soft::Settings& settings = Runtime::get().settings();
  switch (attribute) {
    case 19:  // L2CacheSize
      *value = 4 << 20;
      return soft::kSuccess;
    case 56:  // MaxThreadsPerBlock
      *value = 1024;
      return soft::kSuccess;
    case 63:  // MultiprocessorCount
      *value = settings.compute_units;
      return soft::kSuccess;
    case 74:  // MaxSharedMemoryPerBlock
      *value = 65536;
      return soft::kSuccess;
    case 87:  // WarpSize
      *value = static_cast<int>(settings.wave);
      return soft::kSuccess;
    default:
      return soft::kInvalidValue;
  }
}
/// Where hipDeviceProp_t of ROCm 6 has the architecture's name.
HIP_ENTRY int hipGetDevicePropertiesR0600(void* properties, int) {
  HIP_ENTER("hipGetDevicePropertiesR0600");
  constexpr size_t kSize = 1472, kArchitecture = 1160;
  std::memset(properties, 0, kSize);
  std::strcpy(static_cast<char*>(properties), "software device");
  const std::string name = Runtime::get().settings().arch + ":sramecc+:xnack-";
  std::strncpy(static_cast<char*>(properties) + kArchitecture, name.c_str(), 255);
  return soft::kSuccess;
}
HIP_ENTRY int hipSetDevice(int device) {
  HIP_ENTER("hipSetDevice");
  if (device >= Runtime::get().settings().devices) return soft::kInvalidDevice;
  soft::current_device = device;
  return soft::kSuccess;
}
HIP_ENTRY int hipMalloc(void** address, size_t bytes) {
  HIP_ENTER("hipMalloc");
  return Runtime::get().allocate(address, bytes);
}
HIP_ENTRY int hipFree(void* address) {
  HIP_ENTER("hipFree");
  return Runtime::get().release(address);
}
HIP_ENTRY int hipMemGetInfo(size_t* free, size_t* total) {
  HIP_ENTER("hipMemGetInfo");
  *free = Runtime::get().free_bytes();
  *total = Runtime::get().settings().memory;
  return soft::kSuccess;
}
HIP_ENTRY int hipHostMalloc(void** address, size_t bytes, unsigned) {
  HIP_ENTER("hipHostMalloc");
  *address = std::malloc(bytes);
  return *address == nullptr ? soft::kOutOfMemory : soft::kSuccess;
}
HIP_ENTRY int hipHostFree(void* address) {
  HIP_ENTER("hipHostFree");
  std::free(address);
  return soft::kSuccess;
}
HIP_ENTRY int hipMemcpyHtoDAsync(void* to, const void* from, size_t bytes, Stream* stream) {
  HIP_ENTER("hipMemcpyHtoDAsync");
  return Runtime::get().push(stream, {[=] { std::memcpy(to, from, bytes); }, nullptr});
}
HIP_ENTRY int hipMemcpyDtoHAsync(void* to, const void* from, size_t bytes, Stream* stream) {
  HIP_ENTER("hipMemcpyDtoHAsync");
  return Runtime::get().push(stream, {[=] { std::memcpy(to, from, bytes); }, nullptr});
}
HIP_ENTRY int hipMemsetD8Async(void* to, unsigned char value, size_t bytes, Stream* stream) {
  HIP_ENTER("hipMemsetD8Async");
  return Runtime::get().push(stream, {[=] { std::memset(to, value, bytes); }, nullptr});
}
HIP_ENTRY int hipStreamCreateWithFlags(Stream** stream, unsigned) {
  HIP_ENTER("hipStreamCreateWithFlags");
  *stream = Runtime::get().create_stream();
  return soft::kSuccess;
}
HIP_ENTRY int hipStreamDestroy(Stream* stream) {
  return Runtime::get().destroy_stream(stream);
}
HIP_ENTRY int hipStreamWaitEvent(Stream* stream, Event* event, unsigned) {
  HIP_ENTER("hipStreamWaitEvent");
  return Runtime::get().wait(stream, event);
}
HIP_ENTRY int hipEventCreateWithFlags(Event** event, unsigned) {
  HIP_ENTER("hipEventCreateWithFlags");
  *event = new Event();
  return soft::kSuccess;
}
HIP_ENTRY int hipEventDestroy(Event* event) {
  delete event;
  return soft::kSuccess;
}
HIP_ENTRY int hipEventRecord(Event* event, Stream* stream) {
  HIP_ENTER("hipEventRecord");
  return Runtime::get().record(event, stream);
}
HIP_ENTRY int hipEventQuery(Event* event) {
  HIP_ENTER("hipEventQuery");
  return Runtime::get().query(event);
}
HIP_ENTRY int hipEventElapsedTime(float* ms, Event* begin, Event* end) {
  HIP_ENTER("hipEventElapsedTime");
  if (!begin->mark || !end->mark || !begin->mark->done || !end->mark->done) return soft::kInvalidHandle;
  *ms = static_cast<float>(end->mark->ms - begin->mark->ms);
  return soft::kSuccess;
}
HIP_ENTRY int hipModuleLoadData(Module** module, const void* image) {
  HIP_ENTER("hipModuleLoadData");
  std::unique_ptr<Module> loaded;
  const int status =
      soft::load_module(static_cast<const char*>(image), Runtime::get().settings().wave, loaded, g_problem);
  *module = loaded.release();
  return status;
}
HIP_ENTRY int hipModuleUnload(Module* module) {
  delete module;
  return soft::kSuccess;
}
HIP_ENTRY int hipModuleGetFunction(const Kernel** function, Module* module, const char* name) {
  HIP_ENTER("hipModuleGetFunction");
  const auto found = module->kernels.find(name);
  if (found == module->kernels.end()) return soft::kNotFound;
  *function = &found->second;
  return soft::kSuccess;
}
HIP_ENTRY int hipModuleLaunchKernel(const Kernel* kernel, unsigned gx, unsigned gy, unsigned gz, unsigned bx,
                                    unsigned by, unsigned bz, unsigned shared_bytes, Stream* stream, void** params,
                                    void** extra) {
  HIP_ENTER("hipModuleLaunchKernel");
  // HIP_LAUNCH_PARAM_BUFFER_POINTER, address, HIP_LAUNCH_PARAM_BUFFER_SIZE, address of the size, HIP_LAUNCH_PARAM_END.
  const auto tag = [](const void* p) { return reinterpret_cast<uintptr_t>(p); };
  if (params != nullptr || extra == nullptr || tag(extra[0]) != 1 || tag(extra[2]) != 2 || tag(extra[4]) != 3) {
    return soft::kInvalidValue;
  }
  soft::Launch launch;
  launch.kernel = kernel;
  const uint32_t grid[] = {gx, gy, gz}, group[] = {bx, by, bz};
  std::memcpy(launch.grid, grid, sizeof(grid));
  std::memcpy(launch.group, group, sizeof(group));
  launch.shared_bytes = shared_bytes;
  launch.argument_bytes = *static_cast<size_t*>(extra[3]);
  launch.arguments.resize((launch.argument_bytes + 7) / 8);
  std::memcpy(launch.arguments.data(), extra[1], launch.argument_bytes);
  return Runtime::get().launch(stream, std::move(launch));
}
HIP_ENTRY int hipStreamBeginCapture(Stream* stream, int) {
  HIP_ENTER("hipStreamBeginCapture");
  stream->capture = std::make_unique<Graph>();
  return soft::kSuccess;
}
HIP_ENTRY int hipStreamEndCapture(Stream* stream, Graph** graph) {
  HIP_ENTER("hipStreamEndCapture");
  *graph = stream->capture.release();
  return soft::kSuccess;
}
HIP_ENTRY int hipGraphInstantiate(Graph** exec, const Graph* graph, void**, char*, size_t) {
  HIP_ENTER("hipGraphInstantiate");
  *exec = new Graph(*graph);
  return soft::kSuccess;
}
HIP_ENTRY int hipGraphLaunch(const Graph* exec, Stream* stream) {
  HIP_ENTER("hipGraphLaunch");
  return Runtime::get().replay(stream, *exec);
}
HIP_ENTRY int hipGraphDestroy(Graph* graph) {
  delete graph;
  return soft::kSuccess;
}
HIP_ENTRY int hipGraphExecDestroy(Graph* exec) {
  delete exec;
  return soft::kSuccess;
}
HIP_ENTRY const char* hipGetErrorName(int status) {
  switch (status) {
    case soft::kSuccess:
      return "hipSuccess";
    case soft::kInvalidValue:
      return "hipErrorInvalidValue";
    case soft::kOutOfMemory:
      return "hipErrorOutOfMemory";
    case soft::kInvalidConfiguration:
      return "hipErrorInvalidConfiguration";
    case soft::kNoDevice:
      return "hipErrorNoDevice";
    case soft::kInvalidDevice:
      return "hipErrorInvalidDevice";
    case soft::kInvalidImage:
      return "hipErrorInvalidImage";
    case soft::kNoBinaryForGpu:
      return "hipErrorNoBinaryForGpu";
    case soft::kInvalidHandle:
      return "hipErrorInvalidHandle";
    case soft::kNotFound:
      return "hipErrorNotFound";
    case soft::kNotReady:
      return "hipErrorNotReady";
    case soft::kIllegalAddress:
      return "hipErrorIllegalAddress";
    case soft::kLaunchFailure:
      return "hipErrorLaunchFailure";
    default:
      return "hipErrorUnknown";
  }
}
/// Says more than a real one: what the executor found.
HIP_ENTRY const char* hipGetErrorString(int status) {
  if (status == Runtime::get().sticky()) return Runtime::get().reason().c_str();
  if (status == soft::kInvalidImage || status == soft::kNoBinaryForGpu) return g_problem.c_str();
  return hipGetErrorName(status);
}
