// The Node-API surface of GpuDriver: devices, their memory, recorded command lists.
#pragma once

#include "buffer.h"

namespace tw {

/// Adds the class NativeGpu to the addon.
void define_gpu(Napi::Env env, Napi::Object exports, AddonData& data);

}  // namespace tw
