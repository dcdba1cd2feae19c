#include "ranges.h"

#include <dlfcn.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>

namespace tw::gpu {
namespace {

/// The library of ROCprofiler-SDK, and its predecessor's.
constexpr const char* kLibraries[] = {"librocprofiler-sdk-roctx.so.1", "librocprofiler-sdk-roctx.so.0",
                                      "librocprofiler-sdk-roctx.so", "libroctx64.so.4", "libroctx64.so"};

}  // namespace

bool Ranges::bind(void* library) {
  push_ = reinterpret_cast<int (*)(const char*)>(dlsym(library, "roctxRangePushA"));
  pop_ = reinterpret_cast<int (*)()>(dlsym(library, "roctxRangePop"));
  return push_ != nullptr && pop_ != nullptr;
}

const Ranges* Ranges::active() {
  static std::mutex mutex;
  static std::map<std::string, std::unique_ptr<const Ranges>> loaded;
  const char* asked = std::getenv("TILEWRIGHT_ROCTX");
  const std::string named = asked == nullptr ? "" : asked;
  if (named == "0") return nullptr;
  std::lock_guard<std::mutex> lock(mutex);
  auto& known = loaded[named];
  if (known != nullptr) return known.get();
  auto ranges = std::make_unique<Ranges>();
  bool found = ranges->bind(RTLD_DEFAULT);
  const auto open = [&](const char* library) {
    void* handle = found ? nullptr : dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (handle != nullptr) found = ranges->bind(handle);
  };
  if (named == "1") {
    for (const char* library : kLibraries) open(library);
  } else if (!named.empty()) {
    open(named.c_str());
  }
  if (!found) return nullptr;
  known = std::move(ranges);
  return known.get();
}

}  // namespace tw::gpu
