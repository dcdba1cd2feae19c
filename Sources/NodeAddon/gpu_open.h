// Finding a GPU.
#pragma once

#include "gpu_work.h"

namespace tw {

/// What became of each library.
inline gpu::Error no_driver(const std::vector<gpu::Api::Attempt>& attempts) {
  std::string message = "No GPU driver with a device was found. Looked for:", details;
  for (const auto& [library, problem] : attempts) {
    message += "\n  - " + library + ": " + problem;
    details += (details.empty() ? "" : ",") + ("{\"library\":" + gpu::json_text(library)) +
               ",\"problem\":" + gpu::json_text(problem) + "}";
  }
  return gpu::Error("ERR_BACKEND_UNAVAILABLE", message, "{\"attempts\":[" + details + "]}");
}

/// Which device: of the first of these libraries that has one.
struct Place {
  std::vector<std::string> libraries;
  int ordinal;

  /// From the arguments (libraries, ordinal): an empty list of libraries stands for the drivers' own names.
  static Place of(const Napi::CallbackInfo& info) {
    if (!info[0].IsArray()) fail(info.Env(), "ERR_INVALID_ARGUMENT", "libraries must be an array of strings");
    const Napi::Array names = info[0].As<Napi::Array>();
    Place place;
    for (uint32_t i = 0; i < names.Length(); i++) {
      place.libraries.push_back(names.Get(i).ToString().Utf8Value());
    }
    if (place.libraries.empty()) place.libraries = gpu::Api::default_libraries();
    place.ordinal = static_cast<int>(size_argument(info, 1, 1024, "device"));
    return place;
  }

  /// Throws Error.
  std::shared_ptr<gpu::Context> open() const {
    std::vector<gpu::Api::Attempt> attempts;
    const auto api = gpu::Api::open(libraries, attempts);
    if (api == nullptr) throw no_driver(attempts);
    return std::make_shared<gpu::Context>(api, ordinal);
  }
};

/// Loads a driver and makes a device's context, which takes it a good part of a second. While the result is held, doing
/// so again takes next to nothing.
class Reach final : public DriverWork {
 public:
  Reach(Napi::Env env, Place place) : DriverWork(env, "tilewright GPU driver"), place_(std::move(place)) {}

 private:
  using Held = std::shared_ptr<gpu::Context>;
  void run() override { context_ = place_.open(); }
  Napi::Value result(Napi::Env env) override {
    return Napi::External<Held>::New(env, new Held(std::move(context_)), [](Napi::Env, Held* held) { delete held; });
  }

  const Place place_;
  Held context_;
};

/// reachGpu(libraries, ordinal) -> Promise of something to hold until the device is open
inline Napi::Value reach_gpu(const Napi::CallbackInfo& info) {
  return start_work(new Reach(info.Env(), Place::of(info)));
}

}  // namespace tw
