// The Node-API surface of the CPU back end; its TypeScript view is ts/backends/native.ts. It checks types and ranges
// and leaves policy to TypeScript. Errors carry the `code` of ts/errors.ts.
#include <system_error>

#include "../CpuKernels/formats/codec.h"
#include "buffer.h"
#include "engine.h"
#include "gpu.h"
#include "submitter.h"

namespace {

using tw::AddonData;
using tw::array_argument;
using tw::Engine;
using tw::fail;
using tw::Mapping;
using tw::NativeBuffer;
using tw::size_argument;
using tw::Storage;
using tw::Submission;
using tw::Submitter;

class NativeMapping : public Napi::ObjectWrap<NativeMapping> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(
        env, "NativeMapping",
        {InstanceAccessor<&NativeMapping::byte_length>("byteLength"), InstanceMethod<&NativeMapping::range>("range"),
         InstanceMethod<&NativeMapping::release>("release")});
  }

  explicit NativeMapping(const Napi::CallbackInfo& info) : ObjectWrap(info) {
    if (!info[0].IsString()) fail(info.Env(), "ERR_INVALID_ARGUMENT", "A path is a string.");
    try {
      mapping_ = Mapping::open(info[0].As<Napi::String>().Utf8Value());
    } catch (const std::system_error& error) {
      fail(info.Env(), "ERR_FILE", error.code().message());
    }
  }

 private:
  Napi::Value byte_length(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), mapping_ ? static_cast<double>(mapping_->bytes()) : 0);
  }
  Napi::Value range(const Napi::CallbackInfo& info);
  void release(const Napi::CallbackInfo&) { mapping_.reset(); }

  std::shared_ptr<Mapping> mapping_;
};

/// A command list queue with its thread pool.
class NativeEngine : public Submitter<NativeEngine, Submission> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(
        env, "NativeEngine",
        {InstanceAccessor<&NativeEngine::isa>("isa"), InstanceAccessor<&NativeEngine::threads>("threads"),
         InstanceMethod<&NativeEngine::submit>("submit"), InstanceMethod<&NativeEngine::cancel>("cancel"),
         InstanceMethod<&NativeEngine::close>("close")});
  }

  explicit NativeEngine(const Napi::CallbackInfo& info) : Submitter(info) {
    const std::string name = info[0].IsString() ? info[0].As<Napi::String>().Utf8Value() : "";
    const tw::Isa* isa = tw::find_isa(name);
    if (isa == nullptr) {
      fail(info.Env(), "ERR_BACKEND_UNAVAILABLE", "This machine does not run the instruction set \"" + name + "\".");
    }
    const size_t threads = size_argument(info, 1, 1024, "threads");
    try {
      engine_ = std::make_unique<Engine>(*isa, static_cast<int>(threads), info[2].ToBoolean().Value());
    } catch (const std::system_error& error) {
      fail(info.Env(), "ERR_BACKEND_UNAVAILABLE", "The thread pool could not be started: " + error.code().message());
    }
    open(info.Env(), "tilewright completions");
  }

 private:
  friend class tw::Submitter<NativeEngine, Submission>;
  bool opened() const { return engine_ != nullptr; }
  void shut() { engine_.reset(); }
  static std::vector<napi_value> report(Napi::Env env, const Submission& ended) {
    Napi::Value times = env.Null();
    if (ended.timed) {
      Napi::Float64Array array = Napi::Float64Array::New(env, ended.times.size());
      std::copy(ended.times.begin(), ended.times.end(), array.Data());
      times = array;
    }
    const char* const status[] = {"done", "cancelled", "out of memory", "file changed", "failed"};
    return {Napi::String::New(env, status[static_cast<int>(ended.status)]), Napi::String::New(env, ended.message),
            Napi::Number::New(env, ended.begin_ms), Napi::Number::New(env, ended.end_ms), times};
  }

  Napi::Value isa(const Napi::CallbackInfo& info) {
    return Napi::String::New(info.Env(), engine_ ? engine_->isa().name : "");
  }
  Napi::Value threads(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), engine_ ? engine_->threads() : 0);
  }

  /// submit(commands, buffers, timed, done) -> id for cancel()
  Napi::Value submit(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    if (!engine_) fail(env, "ERR_DISPOSED", "The device was disposed.");
    auto commands = array_argument<Napi::Uint8Array>(info, 0, napi_uint8_array, "commands must be a Uint8Array");
    if (!info[1].IsArray() || !info[3].IsFunction())
      fail(env, "ERR_INVALID_ARGUMENT", "submit(commands, buffers, timed, done)");
    auto submission = std::make_shared<Submission>();
    submission->commands.assign(commands.Data(), commands.Data() + commands.ByteLength());
    submission->timed = info[2].ToBoolean().Value();
    Napi::Array buffers = info[1].As<Napi::Array>();
    for (uint32_t i = 0; i < buffers.Length(); i++) {
      NativeBuffer* buffer = NativeBuffer::Unwrap(buffers.Get(i).As<Napi::Object>());
      if (!buffer->storage()) fail(env, "ERR_DISPOSED", "A buffer of this command list was disposed.");
      submission->storage.push_back(buffer->storage());
    }
    return start(env, std::move(submission), info[3], Engine::kMaxQueued,
                 [&](const std::shared_ptr<Submission>& own) { return engine_->submit(own); });
  }

  void cancel(const Napi::CallbackInfo& info) { cancel_submission(info); }
  void close(const Napi::CallbackInfo& info) { stop(info.Env()); }

  std::unique_ptr<Engine> engine_;
};

Napi::Value NativeMapping::range(const Napi::CallbackInfo& info) {
  if (!mapping_) fail(info.Env(), "ERR_DISPOSED", "This mapping was disposed.");
  const size_t offset = size_argument(info, 0, mapping_->bytes(), "offset");
  const size_t length = size_argument(info, 1, mapping_->bytes() - offset, "length");
  return NativeBuffer::create(info.Env(), info.Env().GetInstanceData<AddonData>()->buffer,
                              mapping_->range(offset, length));
}

Napi::Value allocate(const Napi::CallbackInfo& info) {
  const size_t bytes = size_argument(info, 0, size_t{1} << 52, "byteLength");
  try {
    return NativeBuffer::create(info.Env(), info.Env().GetInstanceData<AddonData>()->buffer,
                                tw::allocate_storage(bytes));
  } catch (const std::bad_alloc&) {
    fail(info.Env(), "ERR_OUT_OF_MEMORY", "This machine cannot give " + std::to_string(bytes) + " bytes.");
  }
}

Napi::Value isas(const Napi::CallbackInfo& info) {
  Napi::Array list = Napi::Array::New(info.Env());
  for (const tw::Isa& isa : tw::isas()) {
    Napi::Object entry = Napi::Object::New(info.Env());
    entry.Set("name", isa.name);
    entry.Set("supported", isa.supported);
    list.Set(list.Length(), entry);
  }
  return list;
}

/// dequantize(format id, bytes, weights) -> Float32Array
Napi::Value dequantize(const Napi::CallbackInfo& info) {
  const int format = info[0].As<Napi::Number>().Int32Value();
  auto bytes = array_argument<Napi::Uint8Array>(info, 1, napi_uint8_array, "dequantize() takes a Uint8Array");
  const size_t count = size_argument(info, 2, size_t{1} << 40, "count");
  Napi::Float32Array values = Napi::Float32Array::New(info.Env(), count);
  tw_dequantize(format, bytes.Data(), values.Data(), static_cast<int64_t>(count));
  return values;
}

/// quantize(format id, values, bytes) -> Uint8Array
Napi::Value quantize(const Napi::CallbackInfo& info) {
  const int format = info[0].As<Napi::Number>().Int32Value();
  auto values = array_argument<Napi::Float32Array>(info, 1, napi_float32_array, "quantize() takes a Float32Array");
  const size_t bytes = size_argument(info, 2, size_t{1} << 40, "bytes");
  Napi::Uint8Array blocks = Napi::Uint8Array::New(info.Env(), bytes);
  tw_quantize(format, values.Data(), blocks.Data(), static_cast<int64_t>(values.ElementLength()));
  return blocks;
}

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  auto* data = new AddonData{Napi::Persistent(NativeBuffer::define(env)), {}, {}};
  env.SetInstanceData(data);
  tw::define_gpu(env, exports, *data);
  exports.Set("NativeMapping", NativeMapping::define(env));
  exports.Set("NativeEngine", NativeEngine::define(env));
  exports.Set("allocate", Napi::Function::New(env, allocate));
  exports.Set("isas", Napi::Function::New(env, isas));
  exports.Set("dequantize", Napi::Function::New(env, dequantize));
  exports.Set("quantize", Napi::Function::New(env, quantize));
  exports.Set("version", TILEWRIGHT_VERSION);
  return exports;
}

}  // namespace

NODE_API_MODULE(tilewright, initialise)
