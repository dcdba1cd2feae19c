// Checks of what JavaScript passes in, shared by the classes of the addon.
#pragma once

#include <napi.h>

#include <string>

namespace tw {

[[noreturn]] inline void fail(Napi::Env env, const char* code, const std::string& message) {
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", code);
  throw error;
}

/// A whole number in [0, limit] from a JS number.
inline size_t size_argument(const Napi::CallbackInfo& info, size_t index, size_t limit, const char* what) {
  const double value = info[index].IsNumber() ? info[index].As<Napi::Number>().DoubleValue() : -1;
  if (!(value >= 0) || value != static_cast<double>(static_cast<uint64_t>(value)) ||
      value > static_cast<double>(limit)) {
    fail(info.Env(), "ERR_OUT_OF_BOUNDS",
         std::string(what) + " must be a whole number from 0 to " + std::to_string(limit));
  }
  return static_cast<size_t>(value);
}

template <class Array>
Array array_argument(const Napi::CallbackInfo& info, size_t index, napi_typedarray_type type, const char* what) {
  if (!info[index].IsTypedArray() || info[index].As<Napi::TypedArray>().TypedArrayType() != type) {
    fail(info.Env(), "ERR_INVALID_ARGUMENT", std::string(what));
  }
  return info[index].As<Array>();
}

}  // namespace tw
