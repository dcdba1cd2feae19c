#include "context.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

namespace tw::gpu {

Context::Context(std::shared_ptr<const Api> api, int ordinal) : api_(std::move(api)) {
  int count = 0;
  api_->check(api_->device_count(&count), "GetDeviceCount");
  if (ordinal < 0 || ordinal >= count) {
    throw Error("ERR_BACKEND_UNAVAILABLE", "There is no device " + std::to_string(ordinal) + ": " + api_->library +
                                               " has " + std::to_string(count) + ", counted from 0.");
  }
  api_->check(api_->device_get(&device_, ordinal), "DeviceGet");
  char name[256] = {};
  api_->check(api_->device_name(name, sizeof(name) - 1, device_), "DeviceGetName");
  info_.name = name;
  info_.architecture = api_->architecture(device_);
  info_.compute_units = api_->attribute(Attribute::kComputeUnits, device_);
  info_.wave_size = api_->attribute(Attribute::kWaveSize, device_);
  info_.max_threads = api_->attribute(Attribute::kMaxThreads, device_);
  info_.lds_bytes = api_->attribute(Attribute::kLdsBytes, device_);
  info_.l2_bytes = api_->attribute(Attribute::kL2Bytes, device_);
  api_->check(api_->device_memory(&info_.memory_bytes, device_), "DeviceTotalMem");
  api_->check(api_->driver_version(&info_.driver_version), "DriverGetVersion");
  context_ = api_->retain_context(device_);
  try {
    make_current();
  } catch (const Error&) {
    api_->release_context(device_);
    throw;
  }
}

Context::~Context() {
  if (context_ != nullptr) api_->release_context(device_);
}

double now_ms() {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void pause(double waited_ms) {
  if (waited_ms < 0.02) {
    std::this_thread::yield();
    return;
  }
  const double ms = std::min(0.5, std::max(0.005, waited_ms / 16));
  std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(ms));
}

}  // namespace tw::gpu
