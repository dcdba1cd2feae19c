// What the handles of one GPU share, and what is done for it on other threads than JavaScript's.
#pragma once

#include <optional>

#include "../GpuDriver/queue.h"
#include "buffer.h"

namespace tw {

/// It outlives the device's own handle while buffers are left.
struct State {
  State(std::shared_ptr<gpu::Context> opened, double limit_ms)
      : context(std::move(opened)),
        pool(std::make_shared<gpu::Pool>(context)),
        transfers(std::make_unique<gpu::Transfers>(context, limit_ms)),
        queue(std::make_unique<gpu::Queue>(context, pool, *transfers, limit_ms)),
        limit_ms(limit_ms) {}
  ~State() { close(); }

  /// Waits for what runs, bounded, and frees everything.
  void close() {
    if (!queue) return;
    bool hung = false;
    try {
      context->make_current();
    } catch (const gpu::Error&) {
      hung = true;  // a lost device has nothing to give back
    }
    hung = queue->close() || hung;
    queue.reset();
    std::lock_guard<std::mutex> loads(load_mutex);
    std::lock_guard<std::mutex> lock(mutex);
    closed = true;
    if (hung) {
      (void)transfers.release();
      (void)loads_.release();
    } else {
      transfers.reset();
      loads_.reset();
    }
    pool->close(hung);
    if (!hung) {
      for (gpu::Module module : modules) context->api().module_unload(module);
    }
    modules.clear();
    functions.clear();
  }

  /// Copies of files: a stream and pinned buffers of their own, so that nothing else waits for the disk. For the holder
  /// of `load_mutex`. Throws Error.
  gpu::Transfers& loads() {
    if (closed) throw gpu::Error("ERR_DISPOSED", "The device was disposed.");
    if (!loads_) loads_ = std::make_unique<gpu::Transfers>(context, limit_ms);
    return *loads_;
  }

  const std::shared_ptr<gpu::Context> context;
  const std::shared_ptr<gpu::Pool> pool;
  std::unique_ptr<gpu::Transfers> transfers;
  std::unique_ptr<gpu::Queue> queue;
  const double limit_ms;
  std::mutex load_mutex;
  /// Modules are loaded on other threads.
  std::mutex mutex;
  std::vector<gpu::Module> modules;
  std::vector<gpu::Function> functions;
  bool closed = false;

 private:
  std::unique_ptr<gpu::Transfers> loads_;
};

inline Napi::Error to_js(Napi::Env env, const gpu::Error& error) {
  Napi::Error thrown = Napi::Error::New(env, error.what());
  thrown.Set("code", error.code);
  thrown.Set("details", error.details);
  return thrown;
}

/// Runs a call of the driver; its errors become JavaScript's.
template <class F>
auto guarded(Napi::Env env, const F& call) {
  try {
    return call();
  } catch (const gpu::Error& error) {
    throw to_js(env, error);
  } catch (const std::bad_alloc&) {
    fail(env, "ERR_OUT_OF_MEMORY", "This machine has no memory left for the command list.");
  }
}

/// Bytes of host memory, or of a file, from `offset` on.
inline gpu::Transfers::Source reader_of(const Storage& storage, size_t offset) {
  return [&storage, offset](void* target, size_t at, size_t count) {
    if (storage.copy_out(offset + at, target, count)) return;
    throw gpu::Error("ERR_FILE", "The mapped file became shorter while it was in use; load it again.");
  };
}

/// Calls of a driver on a thread of the event loop's pool; ends in a promise.
class DriverWork : public Napi::AsyncWorker {
 public:
  DriverWork(Napi::Env env, const char* name) : AsyncWorker(env, name), deferred_(Napi::Promise::Deferred::New(env)) {}
  Napi::Promise promise() const { return deferred_.Promise(); }

  void Execute() final {
    try {
      run();
    } catch (const gpu::Error& error) {
      error_ = error;
    } catch (const std::bad_alloc&) {
      error_.emplace("ERR_OUT_OF_MEMORY", "This machine has no memory left for the device's work.");
    } catch (const std::exception& error) {
      // Node-API's own handling would leave the promise as it is, for ever.
      error_.emplace("ERR_NATIVE_FAILURE", error.what());
    }
  }
  void OnOK() final {
    if (error_) {
      deferred_.Reject(to_js(Env(), *error_).Value());
    } else {
      deferred_.Resolve(result(Env()));
    }
  }

 protected:
  /// May throw Error.
  virtual void run() = 0;
  virtual Napi::Value result(Napi::Env env) = 0;

 private:
  Napi::Promise::Deferred deferred_;
  std::optional<gpu::Error> error_;
};

inline Napi::Value start_work(DriverWork* work) {
  const Napi::Promise promise = work->promise();
  work->Queue();
  return promise;
}

/// Work for a device that is open; its promise gives a number.
class DeviceWork : public DriverWork {
 public:
  DeviceWork(Napi::Env env, const char* name, std::shared_ptr<State> state)
      : DriverWork(env, name), state_(std::move(state)) {}

 protected:
  /// May throw Error.
  virtual void work() = 0;

  const std::shared_ptr<State> state_;
  size_t result_ = 0;

 private:
  void run() final {
    state_->context->make_current();
    work();
  }
  Napi::Value result(Napi::Env env) final { return Napi::Number::New(env, static_cast<double>(result_)); }
};

/// A code object, or PTX, which the driver compiles.
class ModuleLoad final : public DeviceWork {
 public:
  ModuleLoad(Napi::Env env, std::shared_ptr<State> state, std::string image)
      : DeviceWork(env, "tilewright GPU module", std::move(state)), image_(std::move(image)) {}

 private:
  void work() override {
    gpu::Module module = nullptr;
    const gpu::Api& api = state_->context->api();
    api.check(api.module_load(&module, image_.c_str()), "ModuleLoadData");
    std::lock_guard<std::mutex> lock(state_->mutex);
    if (state_->closed) {
      api.module_unload(module);
      throw gpu::Error("ERR_DISPOSED", "The device was disposed.");
    }
    result_ = state_->modules.size();
    state_->modules.push_back(module);
  }

  std::string image_;
};

/// Part of a file or of host memory, copied to the same place of device memory.
class Upload final : public DeviceWork {
 public:
  Upload(Napi::Env env, std::shared_ptr<State> state, std::shared_ptr<gpu::Block> target,
         std::shared_ptr<Storage> source, size_t offset, size_t bytes)
      : DeviceWork(env, "tilewright upload", std::move(state)),
        target_(std::move(target)),
        source_(std::move(source)),
        offset_(offset),
        bytes_(bytes) {}

 private:
  void work() override {
    try {
      copy();
    } catch (...) {
      // Whoever is told gives the memory back: nothing may be on its way there any more.
      try {
        settle();
      } catch (const gpu::Error&) {
        // The first error says what is wrong.
      }
      throw;
    }
    // Whoever is told launches kernels on it, on another stream.
    settle();
  }
  /// A chunk at a time: closing the device waits for one at most.
  void copy() {
    for (size_t done = 0; done < bytes_;) {
      const size_t count = std::min(gpu::Transfers::kChunkBytes, bytes_ - done);
      std::lock_guard<std::mutex> lock(state_->load_mutex);
      state_->loads().fill(*target_, offset_ + done, count, reader_of(*source_, offset_ + done));
      done += count;
    }
  }
  void settle() {
    std::lock_guard<std::mutex> lock(state_->load_mutex);
    state_->loads().settle();
  }

  const std::shared_ptr<gpu::Block> target_;
  const std::shared_ptr<Storage> source_;
  const size_t offset_, bytes_;
};

}  // namespace tw
