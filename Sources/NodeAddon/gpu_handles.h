// What JavaScript holds of a GPU beside the device itself: its memory, and recorded command lists.
#pragma once

#include "gpu_work.h"

namespace tw {

/// Memory of the device.
class GpuBuffer : public Napi::ObjectWrap<GpuBuffer> {
 public:
  struct Handle {
    std::shared_ptr<State> state;
    std::shared_ptr<gpu::Block> block;
  };
  static Napi::Function define(Napi::Env env) {
    return DefineClass(
        env, "NativeGpuBuffer",
        {InstanceAccessor<&GpuBuffer::byte_length>("byteLength"), InstanceMethod<&GpuBuffer::write>("write"),
         InstanceMethod<&GpuBuffer::read>("read"), InstanceMethod<&GpuBuffer::release>("release")});
  }
  static Napi::Object create(Napi::Env env, Handle handle) {
    return env.GetInstanceData<AddonData>()->gpu_buffer.New({Napi::External<Handle>::New(env, &handle)});
  }

  explicit GpuBuffer(const Napi::CallbackInfo& info) : ObjectWrap(info) {
    if (!info[0].IsExternal()) fail(info.Env(), "ERR_INVALID_ARGUMENT", "use a device's allocate()");
    handle_ = *info[0].As<Napi::External<Handle>>().Data();
    counted_ = static_cast<int64_t>(handle_.block->bytes());
    Napi::MemoryManagement::AdjustExternalMemory(info.Env(), counted_);
  }
  void Finalize(Napi::Env env) override { drop(env); }

  /// Null after release().
  const std::shared_ptr<gpu::Block>& block() const { return handle_.block; }

 private:
  void drop(Napi::Env env) {
    if (counted_ != 0) Napi::MemoryManagement::AdjustExternalMemory(env, -counted_);
    counted_ = 0;
    handle_.block.reset();
    handle_.state.reset();
  }
  gpu::Transfers& live(Napi::Env env) {
    if (!handle_.block) fail(env, "ERR_DISPOSED", "This buffer was disposed.");
    if (!handle_.state->transfers) fail(env, "ERR_DISPOSED", "The device was disposed.");
    return *handle_.state->transfers;
  }
  Napi::Value byte_length(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), handle_.block ? static_cast<double>(handle_.block->bytes()) : 0);
  }
  void write(const Napi::CallbackInfo& info) {
    gpu::Transfers& transfers = live(info.Env());
    auto source = array_argument<Napi::Uint8Array>(info, 0, napi_uint8_array, "write() takes a Uint8Array");
    const size_t offset = size_argument(info, 1, handle_.block->bytes(), "offset");
    if (source.ByteLength() > handle_.block->bytes() - offset) {
      fail(info.Env(), "ERR_OUT_OF_BOUNDS", "The data do not fit.");
    }
    guarded(info.Env(), [&] {
      handle_.state->context->make_current();
      transfers.write(*handle_.block, offset, source.Data(), source.ByteLength());
    });
  }
  void read(const Napi::CallbackInfo& info) {
    gpu::Transfers& transfers = live(info.Env());
    auto target = array_argument<Napi::Uint8Array>(info, 0, napi_uint8_array, "read() takes a Uint8Array");
    const size_t offset = size_argument(info, 1, handle_.block->bytes(), "offset");
    if (target.ByteLength() > handle_.block->bytes() - offset) {
      fail(info.Env(), "ERR_OUT_OF_BOUNDS", "Reads past the end.");
    }
    guarded(info.Env(), [&] {
      handle_.state->context->make_current();
      transfers.read(*handle_.block, offset, target.Data(), target.ByteLength());
    });
  }
  void release(const Napi::CallbackInfo& info) { drop(info.Env()); }

  Handle handle_;
  int64_t counted_ = 0;
};

/// A command list that is kept for replaying.
class GpuRecording : public Napi::ObjectWrap<GpuRecording> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "NativeGpuRecording", {InstanceMethod<&GpuRecording::release>("release")});
  }
  static Napi::Object create(Napi::Env env, std::shared_ptr<gpu::Recording> recording) {
    auto external = Napi::External<std::shared_ptr<gpu::Recording>>::New(env, &recording);
    return env.GetInstanceData<AddonData>()->gpu_recording.New({external});
  }
  explicit GpuRecording(const Napi::CallbackInfo& info) : ObjectWrap(info) {
    if (!info[0].IsExternal()) fail(info.Env(), "ERR_INVALID_ARGUMENT", "use a device's record()");
    recording_ = *info[0].As<Napi::External<std::shared_ptr<gpu::Recording>>>().Data();
  }
  const std::shared_ptr<gpu::Recording>& recording() const { return recording_; }

 private:
  void release(const Napi::CallbackInfo&) { recording_.reset(); }
  std::shared_ptr<gpu::Recording> recording_;
};

}  // namespace tw
