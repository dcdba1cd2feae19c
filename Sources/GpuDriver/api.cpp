#include "api.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <initializer_list>
#include <map>
#include <mutex>

namespace tw::gpu {
namespace {

template <class F>
bool find(void* handle, F& function, const char* name) {
  function = reinterpret_cast<F>(dlsym(handle, name));
  return function != nullptr;
}

std::string first_line(const char* text) {
  const std::string all = text == nullptr ? "" : text;
  return all.substr(0, all.find('\n'));
}

bool one_of(int status, std::initializer_list<int> statuses) {
  return std::find(statuses.begin(), statuses.end(), status) != statuses.end();
}

// Numbers that both libraries share, or that one of them has, by what they mean for us.

/// No further call can succeed: deinitialized, a hardware fault, a fault or timeout of a kernel, a context that is
/// gone.
bool is_lost(int status) {
  return one_of(status, {4, 214, 220, 226, 700, 702, 709, 710, 714, 715, 716, 717, 718, 719, 999});
}

const char* code_of(int status, const char* call) {
  // No device, or one that another process has to itself; a driver that is not initialised, too old or not ready.
  if (one_of(status, {3, 34, 35, 36, 46, 100, 101, 102, 802, 803, 804, 805, 806, 807, 808, 809})) {
    return "ERR_BACKEND_UNAVAILABLE";
  }
  // Images that are damaged, or of another GPU or a newer compiler; symbols that they lack.
  if (one_of(status, {200, 209, 218, 221, 222, 223, 225, 300, 301, 302, 303, 500})) return "ERR_KERNEL_UNKNOWN";
  if (status == 2) return "ERR_OUT_OF_MEMORY";
  // Invalid value, configuration, function or handle; too many resources.
  const bool launch = std::strstr(call, "Launch") != nullptr;
  if (one_of(status, {701, 720}) || (launch && one_of(status, {1, 9, 98, 400}))) return "ERR_KERNEL_LAUNCH";
  return "ERR_NATIVE_FAILURE";
}

/// What to do about it, after the sentence that says what it is.
const char* advice(const std::string& code, bool lost) {
  if (lost) return " The device is lost: dispose it and open another; where that fails, restart the process.";
  if (code == "ERR_OUT_OF_MEMORY") return " Dispose of tensors that are not needed any more, or load fewer weights.";
  if (code == "ERR_KERNEL_UNKNOWN") return " The code object does not suit this GPU or its driver: install both anew.";
  return "";
}

/// CUDA's name of an entry point, where it has another one than HIP.
std::string cuda_symbol(const std::string& call) {
  static const std::map<std::string, std::string> names = {
      {"Malloc", "MemAlloc"},
      {"HostMalloc", "MemHostAlloc"},
      {"GetDeviceCount", "DeviceGetCount"},
      {"ModuleLaunchKernel", "LaunchKernel"},
  };
  const auto found = names.find(call);
  return "cu" + (found == names.end() ? call : found->second);
}

}  // namespace

std::string json_text(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escaped[8];
      std::snprintf(escaped, sizeof(escaped), "\\u%04x", c);
      out += escaped;
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::vector<std::string> Api::default_libraries() {
  return {"libamdhip64.so.7", "libamdhip64.so.6", "libamdhip64.so.5", "libamdhip64.so", "libcuda.so.1"};
}

std::shared_ptr<const Api> Api::open(const std::vector<std::string>& libraries, std::vector<Attempt>& attempts) {
  static std::mutex mutex;
  static std::map<std::string, std::shared_ptr<const Api>> loaded;
  std::lock_guard<std::mutex> lock(mutex);
  for (const std::string& name : libraries) {
    std::shared_ptr<const Api> api = loaded[name];
    if (api == nullptr) {
      auto fresh = std::make_shared<Api>();
      if (const std::string problem = fresh->bind(name); !problem.empty()) {
        attempts.push_back({name, problem});
        continue;
      }
      loaded[name] = api = fresh;
    }
    int count = 0;
    int status = api->init(0);
    if (status == 0) status = api->device_count(&count);
    if (status == 0 && count > 0) {
      attempts.push_back({name, ""});
      return api;
    }
    attempts.push_back({name, status == 0 ? "no device" : "no device: " + api->error_name(status)});
  }
  return nullptr;
}

std::string Api::bind(const std::string& name) {
  void* handle = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) return first_line(dlerror());
  library = name;
  const bool hip = dlsym(handle, "hipInit") != nullptr;
  if (!hip && dlsym(handle, "cuInit") == nullptr) return "neither a HIP nor a CUDA driver: no hipInit, no cuInit";
  dialect = hip ? Dialect::kHip : Dialect::kCuda;
  const char* missing = nullptr;
  const auto need = [&](auto& function, const char* hip_name, const char* cuda_name) {
    const char* symbol = hip ? hip_name : cuda_name;
    if (symbol != nullptr && !find(handle, function, symbol) && missing == nullptr) missing = symbol;
  };
  const auto want = [&](auto& function, const char* hip_name, const char* cuda_name) {
    if (const char* symbol = hip ? hip_name : cuda_name) find(handle, function, symbol);
  };
  need(init, "hipInit", "cuInit");
  need(driver_version, "hipDriverGetVersion", "cuDriverGetVersion");
  need(device_count, "hipGetDeviceCount", "cuDeviceGetCount");
  need(device_get, "hipDeviceGet", "cuDeviceGet");
  need(device_name, "hipDeviceGetName", "cuDeviceGetName");
  need(device_memory, "hipDeviceTotalMem", "cuDeviceTotalMem_v2");
  need(device_attribute, "hipDeviceGetAttribute", "cuDeviceGetAttribute");
  need(allocate, "hipMalloc", "cuMemAlloc_v2");
  need(release, "hipFree", "cuMemFree_v2");
  need(host_allocate, "hipHostMalloc", "cuMemHostAlloc");
  need(host_release, "hipHostFree", "cuMemFreeHost");
  need(copy_to_device, "hipMemcpyHtoDAsync", "cuMemcpyHtoDAsync_v2");
  need(copy_to_host, "hipMemcpyDtoHAsync", "cuMemcpyDtoHAsync_v2");
  need(fill, "hipMemsetD8Async", "cuMemsetD8Async");
  need(stream_create, "hipStreamCreateWithFlags", "cuStreamCreate");
  need(stream_destroy, "hipStreamDestroy", "cuStreamDestroy_v2");
  need(stream_wait, "hipStreamWaitEvent", "cuStreamWaitEvent");
  need(event_create, "hipEventCreateWithFlags", "cuEventCreate");
  need(event_destroy, "hipEventDestroy", "cuEventDestroy_v2");
  need(event_record, "hipEventRecord", "cuEventRecord");
  need(event_query, "hipEventQuery", "cuEventQuery");
  need(event_elapsed, "hipEventElapsedTime", "cuEventElapsedTime");
  need(module_load, "hipModuleLoadData", "cuModuleLoadData");
  need(module_unload, "hipModuleUnload", "cuModuleUnload");
  need(module_function, "hipModuleGetFunction", "cuModuleGetFunction");
  need(launch_, "hipModuleLaunchKernel", "cuLaunchKernel");
  need(hip_set_device_, "hipSetDevice", nullptr);
  need(hip_error_name_, "hipGetErrorName", nullptr);
  need(hip_error_string_, "hipGetErrorString", nullptr);
  // Since ROCm 6 the plain name has the struct of ROCm 5; either serves, see architecture().
  want(hip_properties_, "hipGetDevicePropertiesR0600", nullptr);
  if (hip && hip_properties_ == nullptr) need(hip_properties_, "hipGetDeviceProperties", nullptr);
  need(cuda_retain_, nullptr, "cuDevicePrimaryCtxRetain");
  need(cuda_release_, nullptr, "cuDevicePrimaryCtxRelease_v2");
  need(cuda_set_context_, nullptr, "cuCtxSetCurrent");
  need(cuda_error_name_, nullptr, "cuGetErrorName");
  need(cuda_error_string_, nullptr, "cuGetErrorString");
  want(begin_capture, "hipStreamBeginCapture", "cuStreamBeginCapture_v2");
  want(end_capture, "hipStreamEndCapture", "cuStreamEndCapture");
  want(graph_launch, "hipGraphLaunch", "cuGraphLaunch");
  want(graph_destroy, "hipGraphDestroy", "cuGraphDestroy");
  want(graph_exec_destroy, "hipGraphExecDestroy", "cuGraphExecDestroy");
  want(hip_instantiate_, "hipGraphInstantiate", nullptr);
  want(cuda_instantiate_, nullptr, "cuGraphInstantiateWithFlags");
  const bool graphs = end_capture && graph_launch && graph_destroy && graph_exec_destroy &&
                      (hip ? hip_instantiate_ != nullptr : cuda_instantiate_ != nullptr);
  if (!graphs) begin_capture = nullptr;
  return missing == nullptr ? "" : std::string("too old: it lacks ") + missing;
}

std::string Api::error_name(int status) const {
  const char* name = nullptr;
  if (dialect == Dialect::kHip) {
    name = hip_error_name_(status);
  } else {
    cuda_error_name_(status, &name);
  }
  return name == nullptr ? "error " + std::to_string(status) : name;
}

std::string Api::error_text(int status) const {
  const char* text = nullptr;
  if (dialect == Dialect::kHip) {
    text = hip_error_string_(status);
  } else {
    cuda_error_string_(status, &text);
  }
  return text == nullptr ? "" : text;
}

Error Api::error(int status, const char* call) const {
  const std::string name = error_name(status), text = error_text(status);
  const std::string symbol = dialect == Dialect::kHip ? std::string("hip") + call : cuda_symbol(call);
  const bool lost = is_lost(status);
  std::string message = symbol + " failed: " + name;
  if (!text.empty() && text != name) message += " (" + text + ")";
  message += '.';
  const std::string code = code_of(status, call);
  return Error(code, message + advice(code, lost),
               "{\"driver\":" + json_text(library) + ",\"call\":" + json_text(symbol) +
                   ",\"error\":" + std::to_string(status) + ",\"name\":" + json_text(name) +
                   ",\"lost\":" + (lost ? "true" : "false") + "}",
               lost);
}

void Api::check(int status, const char* call) const {
  if (status != 0) throw error(status, call);
}

int Api::attribute(Attribute which, int device) const {
  // HIP's numbers are the same in ROCm 5.2 to 7; CUDA's never change.
  static const int hip[] = {63, 87, 56, 74, 19, 23, 61};
  static const int cuda[] = {16, 10, 1, 8, 38, 75, 76};
  int value = 0;
  const int number = (dialect == Dialect::kHip ? hip : cuda)[static_cast<int>(which)];
  check(device_attribute(&value, number, device), "DeviceGetAttribute");
  return value;
}

std::string Api::architecture(int device) const {
  if (dialect == Dialect::kCuda) {
    return "sm_" + std::to_string(attribute(Attribute::kMajor, device)) +
           std::to_string(attribute(Attribute::kMinor, device));
  }
  // The name is in a struct that has grown from release to release (792 bytes in ROCm 5.2, 1472 in ROCm 6): looked for
  // by its form instead of by its place.
  std::vector<char> properties(16384);
  check(hip_properties_(properties.data(), device), "GetDeviceProperties");
  for (size_t at = 256; at + 8 < properties.size(); at++) {  // behind the marketing name
    if (std::memcmp(&properties[at], "gfx", 3) != 0) continue;
    const std::string name(&properties[at], strnlen(&properties[at], std::min<size_t>(64, properties.size() - at)));
    return name.substr(0, name.find(':'));  // without features: gfx90a:sramecc+:xnack-
  }
  return "unknown";
}

void Api::make_current(int device, void* context) const {
  if (dialect == Dialect::kHip) {
    check(hip_set_device_(device), "SetDevice");
  } else {
    check(cuda_set_context_(context), "CtxSetCurrent");
  }
}

void* Api::retain_context(int device) const {
  void* context = nullptr;
  if (dialect == Dialect::kCuda) check(cuda_retain_(&context, device), "DevicePrimaryCtxRetain");
  return context;
}

void Api::release_context(int device) const {
  if (dialect == Dialect::kCuda) cuda_release_(device);
}

int Api::instantiate(GraphExec* exec, Graph graph) const {
  return dialect == Dialect::kHip ? hip_instantiate_(exec, graph, nullptr, nullptr, 0)
                                  : cuda_instantiate_(exec, graph, 0);
}

int Api::launch(Function function, const uint32_t grid[3], const uint32_t block[3], uint32_t shared_bytes,
                Stream stream, void* arguments, size_t bytes) const {
  const auto tag = [](uintptr_t value) { return reinterpret_cast<void*>(value); };
  // LAUNCH_PARAM_BUFFER_POINTER, _SIZE and _END; the last differs.
  void* extra[] = {tag(1), arguments, tag(2), &bytes, tag(dialect == Dialect::kHip ? 3 : 0)};
  return launch_(function, grid[0], grid[1], grid[2], block[0], block[1], block[2], shared_bytes, stream, nullptr,
                 extra);
}

}  // namespace tw::gpu
