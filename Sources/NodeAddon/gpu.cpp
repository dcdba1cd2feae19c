#include "gpu.h"

#include <algorithm>

#include "gpu_handles.h"
#include "gpu_open.h"
#include "submitter.h"

namespace tw {
namespace {

using gpu::Block;
using gpu::Commands;
using gpu::Context;
using gpu::Queue;
using gpu::Recording;
using gpu::Submission;

class NativeGpu : public Submitter<NativeGpu, Submission> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "NativeGpu",
                       {InstanceMethod<&NativeGpu::info>("info"), InstanceMethod<&NativeGpu::allocate>("allocate"),
                        InstanceMethod<&NativeGpu::upload>("upload"), InstanceMethod<&NativeGpu::reserve>("reserve"),
                        InstanceMethod<&NativeGpu::stage>("stage"), InstanceMethod<&NativeGpu::load>("load"),
                        InstanceMethod<&NativeGpu::function>("function"), InstanceMethod<&NativeGpu::submit>("submit"),
                        InstanceMethod<&NativeGpu::record>("record"), InstanceMethod<&NativeGpu::replay>("replay"),
                        InstanceMethod<&NativeGpu::cancel>("cancel"), InstanceMethod<&NativeGpu::close>("close"),
                        InstanceMethod<&NativeGpu::profiled>("profiled")});
  }

  /// new NativeGpu(libraries, ordinal, seconds)
  explicit NativeGpu(const Napi::CallbackInfo& info) : Submitter(info) {
    Napi::Env env = info.Env();
    const Place place = Place::of(info);
    const double seconds = static_cast<double>(size_argument(info, 2, 86400, "timeout"));
    guarded(env, [&] { state_ = std::make_shared<State>(place.open(), seconds * 1000); });
    open(env, "tilewright GPU completions");
  }

 private:
  friend class Submitter<NativeGpu, Submission>;
  bool opened() const { return state_ != nullptr; }
  void shut() {
    state_->close();
    state_.reset();
  }
  static std::vector<napi_value> report(Napi::Env env, const Submission& ended) {
    Napi::Value times = env.Null(), error = env.Null();
    if (ended.timed) {
      Napi::Float64Array array = Napi::Float64Array::New(env, ended.times.size());
      std::copy(ended.times.begin(), ended.times.end(), array.Data());
      times = array;
    }
    if (ended.error) error = to_js(env, *ended.error).Value();
    return {Napi::Boolean::New(env, ended.status == Submission::Status::kCancelled), error,
            Napi::Number::New(env, ended.begin_ms), Napi::Number::New(env, ended.end_ms), times};
  }

  State& live(Napi::Env env) {
    if (!state_) fail(env, "ERR_DISPOSED", "The device was disposed.");
    return *state_;
  }

  /// JSON.
  Napi::Value info(const Napi::CallbackInfo& info) {
    const Context& context = *live(info.Env()).context;
    const gpu::DeviceInfo& device = context.info();
    const bool hip = context.api().dialect == gpu::Api::Dialect::kHip;
    const auto number = [](const char* name, double value) {
      return std::string(",\"") + name + "\":" + std::to_string(static_cast<int64_t>(value));
    };
    return Napi::String::New(
        info.Env(),
        "{\"name\":" + gpu::json_text(device.name) + ",\"architecture\":" + gpu::json_text(device.architecture) +
            ",\"driver\":" + gpu::json_text(context.api().library) + ",\"api\":\"" + (hip ? "hip" : "cuda") + "\"" +
            number("driverVersion", device.driver_version) + number("computeUnits", device.compute_units) +
            number("waveSize", device.wave_size) + number("maxThreads", device.max_threads) +
            number("ldsBytes", device.lds_bytes) + number("l2Bytes", device.l2_bytes) +
            number("memoryBytes", static_cast<double>(device.memory_bytes)) +
            ",\"graphs\":" + (context.api().has_graphs() ? "true" : "false") + "}");
  }

  /// allocate(bytes): zeroed memory
  Napi::Value allocate(const Napi::CallbackInfo& info) {
    State& state = live(info.Env());
    const size_t bytes = size_argument(info, 0, size_t{1} << 52, "byteLength");
    return guarded(info.Env(), [&]() -> Napi::Value {
      state.context->make_current();
      auto block = state.pool->allocate(bytes);
      state.transfers->zero(*block, 0);
      return GpuBuffer::create(info.Env(), {state_, std::move(block)});
    });
  }

  /// upload(host buffer): device memory with its contents
  Napi::Value upload(const Napi::CallbackInfo& info) {
    State& state = live(info.Env());
    const std::shared_ptr<Storage> source = source_argument(info, 0);
    return guarded(info.Env(), [&]() -> Napi::Value {
      state.context->make_current();
      auto block = state.pool->allocate(source->bytes());
      state.transfers->zero(*block, block->bytes());
      state.transfers->fill(*block, 0, source->bytes(), reader_of(*source, 0));
      return GpuBuffer::create(info.Env(), {state_, std::move(block)});
    });
  }

  /// reserve(bytes): memory with undefined contents, to be staged
  Napi::Value reserve(const Napi::CallbackInfo& info) {
    State& state = live(info.Env());
    const size_t bytes = size_argument(info, 0, size_t{1} << 52, "byteLength");
    return guarded(info.Env(), [&]() -> Napi::Value {
      state.context->make_current();
      auto block = state.pool->allocate(bytes);
      state.transfers->zero(*block, bytes);
      return GpuBuffer::create(info.Env(), {state_, std::move(block)});
    });
  }

  /// stage(target, source, offset, bytes) -> Promise: copies a part to the same place of `target` on another thread
  Napi::Value stage(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    live(env);
    const std::shared_ptr<Block> target = GpuBuffer::Unwrap(info[0].As<Napi::Object>())->block();
    const std::shared_ptr<Storage> source = source_argument(info, 1);
    if (!target) fail(env, "ERR_DISPOSED", "This buffer was disposed.");
    const size_t most = std::min(source->bytes(), target->bytes());
    const size_t offset = size_argument(info, 2, most, "offset");
    const size_t bytes = size_argument(info, 3, most - offset, "bytes");
    return start_work(new Upload(env, state_, target, source, offset, bytes));
  }

  static std::shared_ptr<Storage> source_argument(const Napi::CallbackInfo& info, size_t index) {
    std::shared_ptr<Storage> source = NativeBuffer::Unwrap(info[index].As<Napi::Object>())->storage();
    if (!source) fail(info.Env(), "ERR_DISPOSED", "This buffer was disposed.");
    return source;
  }

  /// load(code object or PTX) -> Promise of a number for function(). PTX is compiled by the driver: not on this thread.
  Napi::Value load(const Napi::CallbackInfo& info) {
    live(info.Env());
    auto bytes = array_argument<Napi::Uint8Array>(info, 0, napi_uint8_array, "load() takes a Uint8Array");
    return start_work(new ModuleLoad(info.Env(), state_, std::string(bytes.Data(), bytes.Data() + bytes.ByteLength())));
  }

  /// function(module, name) -> number for command lists
  Napi::Value function(const Napi::CallbackInfo& info) {
    State& state = live(info.Env());
    std::lock_guard<std::mutex> lock(state.mutex);
    const size_t module = size_argument(info, 0, SIZE_MAX / 2, "module");
    if (module >= state.modules.size()) fail(info.Env(), "ERR_INVALID_ARGUMENT", "there is no such module");
    const std::string name = info[1].ToString().Utf8Value();
    return guarded(info.Env(), [&]() -> Napi::Value {
      state.context->make_current();
      gpu::Function found = nullptr;
      const gpu::Api& api = state.context->api();
      api.check(api.module_function(&found, state.modules[module], name.c_str()), "ModuleGetFunction");
      state.functions.push_back(found);
      return Napi::Number::New(info.Env(), static_cast<double>(state.functions.size() - 1));
    });
  }

  Commands decode(const Napi::CallbackInfo& info, State& state) {
    Napi::Env env = info.Env();
    auto bytes = array_argument<Napi::Uint8Array>(info, 0, napi_uint8_array, "commands must be a Uint8Array");
    if (!info[1].IsArray()) fail(env, "ERR_INVALID_ARGUMENT", "buffers must be an array");
    Napi::Array buffers = info[1].As<Napi::Array>();
    std::vector<std::shared_ptr<Block>> blocks;
    for (uint32_t i = 0; i < buffers.Length(); i++) {
      GpuBuffer* buffer = GpuBuffer::Unwrap(buffers.Get(i).As<Napi::Object>());
      if (!buffer->block()) fail(env, "ERR_DISPOSED", "A buffer of this command list was disposed.");
      blocks.push_back(buffer->block());
    }
    return guarded(
        env, [&] { return Commands::decode(bytes.Data(), bytes.ByteLength(), std::move(blocks), state.functions); });
  }

  /// Labels of launches, in order, where a profiler asked for them: see profiled().
  void name(const Napi::CallbackInfo& info, size_t at, Commands& commands) {
    if (!info[at].IsArray()) return;
    Napi::Array labels = info[at].As<Napi::Array>();
    for (uint32_t i = 0; i < labels.Length(); i++) commands.labels.push_back(labels.Get(i).ToString().Utf8Value());
  }

  /// profiled() -> whether a profiler wants names of launches
  Napi::Value profiled(const Napi::CallbackInfo& info) {
    return Napi::Boolean::New(info.Env(), gpu::Ranges::active() != nullptr);
  }

  /// submit(commands, buffers, timed, done, labels?) -> id for cancel()
  Napi::Value submit(const Napi::CallbackInfo& info) {
    State& state = live(info.Env());
    auto submission = std::make_shared<Submission>();
    submission->commands = decode(info, state);
    name(info, 4, submission->commands);
    return run(info, std::move(submission), 2);
  }

  /// record(commands, buffers, labels?) -> recording
  Napi::Value record(const Napi::CallbackInfo& info) {
    State& state = live(info.Env());
    Commands commands = decode(info, state);
    name(info, 2, commands);
    return GpuRecording::create(info.Env(), std::make_shared<Recording>(state.context, std::move(commands)));
  }

  /// replay(recording, timed, done) -> id for cancel()
  Napi::Value replay(const Napi::CallbackInfo& info) {
    live(info.Env());
    auto submission = std::make_shared<Submission>();
    submission->recording = GpuRecording::Unwrap(info[0].As<Napi::Object>())->recording();
    if (!submission->recording) fail(info.Env(), "ERR_DISPOSED", "This recording was disposed.");
    return run(info, std::move(submission), 1);
  }

  /// `rest` is where `timed` and `done` stand among the arguments.
  Napi::Value run(const Napi::CallbackInfo& info, std::shared_ptr<Submission> submission, size_t rest) {
    submission->timed = info[rest].ToBoolean().Value();
    return start(info.Env(), std::move(submission), info[rest + 1], Queue::kMaxQueued,
                 [&](const std::shared_ptr<Submission>& own) { return state_->queue->submit(own); });
  }

  void cancel(const Napi::CallbackInfo& info) { cancel_submission(info); }
  void close(const Napi::CallbackInfo& info) { stop(info.Env()); }

  std::shared_ptr<State> state_;
};

}  // namespace

void define_gpu(Napi::Env env, Napi::Object exports, AddonData& data) {
  data.gpu_buffer = Napi::Persistent(GpuBuffer::define(env));
  data.gpu_recording = Napi::Persistent(GpuRecording::define(env));
  exports.Set("NativeGpu", NativeGpu::define(env));
  exports.Set("reachGpu", Napi::Function::New<reach_gpu>(env, "reachGpu"));
}

}  // namespace tw
