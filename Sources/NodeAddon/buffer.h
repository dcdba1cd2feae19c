// Host memory as JavaScript holds it.
#pragma once

#include <cstring>

#include "arguments.h"
#include "storage.h"

namespace tw {

/// Memory of the device. V8 is told of its size, so that garbage collection runs when handles pile up.
class NativeBuffer : public Napi::ObjectWrap<NativeBuffer> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(
        env, "NativeBuffer",
        {InstanceAccessor<&NativeBuffer::byte_length>("byteLength"), InstanceMethod<&NativeBuffer::write>("write"),
         InstanceMethod<&NativeBuffer::read>("read"), InstanceMethod<&NativeBuffer::release>("release")});
  }
  static Napi::Object create(Napi::Env env, Napi::FunctionReference& constructor, std::shared_ptr<Storage> storage) {
    Napi::Object object = constructor.New({Napi::External<std::shared_ptr<Storage>>::New(env, &storage)});
    return object;
  }

  explicit NativeBuffer(const Napi::CallbackInfo& info) : ObjectWrap(info) {
    if (!info[0].IsExternal()) fail(info.Env(), "ERR_INVALID_ARGUMENT", "use allocate() or a mapping's range()");
    storage_ = *info[0].As<Napi::External<std::shared_ptr<Storage>>>().Data();
    counted_ = storage_->writable() ? static_cast<int64_t>(storage_->bytes()) : 0;
    Napi::MemoryManagement::AdjustExternalMemory(info.Env(), counted_);
  }
  void Finalize(Napi::Env env) override { drop(env); }

  /// Null after release().
  const std::shared_ptr<Storage>& storage() const { return storage_; }

 private:
  void drop(Napi::Env env) {
    if (counted_ != 0) Napi::MemoryManagement::AdjustExternalMemory(env, -counted_);
    counted_ = 0;
    storage_.reset();
  }
  Storage& live(Napi::Env env) {
    if (!storage_) fail(env, "ERR_DISPOSED", "This buffer was disposed.");
    return *storage_;
  }
  Napi::Value byte_length(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), storage_ ? static_cast<double>(storage_->bytes()) : 0);
  }
  void write(const Napi::CallbackInfo& info) {
    Storage& storage = live(info.Env());
    if (!storage.writable()) fail(info.Env(), "ERR_INVALID_ARGUMENT", "This buffer is a read-only mapping of a file.");
    auto source = array_argument<Napi::Uint8Array>(info, 0, napi_uint8_array, "write() takes a Uint8Array");
    const size_t offset = size_argument(info, 1, storage.bytes(), "offset");
    if (source.ByteLength() > storage.bytes() - offset) fail(info.Env(), "ERR_OUT_OF_BOUNDS", "The data do not fit.");
    if (source.ByteLength() > 0) {
      std::memcpy(static_cast<char*>(storage.data()) + offset, source.Data(), source.ByteLength());
    }
  }
  void read(const Napi::CallbackInfo& info) {
    Storage& storage = live(info.Env());
    if (!storage.intact()) fail(info.Env(), "ERR_FILE", "The mapped file became shorter while it was in use.");
    auto target = array_argument<Napi::Uint8Array>(info, 0, napi_uint8_array, "read() takes a Uint8Array");
    const size_t offset = size_argument(info, 1, storage.bytes(), "offset");
    if (target.ByteLength() > storage.bytes() - offset) fail(info.Env(), "ERR_OUT_OF_BOUNDS", "Reads past the end.");
    if (target.ByteLength() > 0) {
      std::memcpy(target.Data(), static_cast<const char*>(storage.data()) + offset, target.ByteLength());
    }
  }
  void release(const Napi::CallbackInfo& info) { drop(info.Env()); }

  std::shared_ptr<Storage> storage_;
  int64_t counted_ = 0;
};

/// Per environment (worker threads load the addon anew).
struct AddonData {
  Napi::FunctionReference buffer;
  Napi::FunctionReference gpu_buffer, gpu_recording;
};

}  // namespace tw
