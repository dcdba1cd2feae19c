// A class of JavaScript that hands submissions to threads of its own, and is told by them when one has ended.
#pragma once

#include <map>
#include <memory>

#include "arguments.h"

namespace tw {

/// `Self` has `opened()`; `shut()`, which joins the threads and after which opened() is false; and `report(env,
/// submission)`, the arguments for the callback. A `Submission` has `cancel` and `ended`.
template <class Self, class Submission>
class Submitter : public Napi::ObjectWrap<Self> {
 public:
  explicit Submitter(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Self>(info) {}
  void Finalize(Napi::Env env) override { stop(env); }

 protected:
  /// To be called once, when the threads run.
  void open(Napi::Env env, const char* name) {
    completions_ = Completions::New(env, name, 0, 1, this);
    completions_.Unref(env);  // an idle device does not keep the process alive
    // Hooks run last in, first out: before Node's own, which frees `completions_` under a thread that calls it.
    napi_add_env_cleanup_hook(env, at_exit, this);
  }

  /// Gives the submission to `queue`, which says whether there was room; `done` is called when it has ended.
  template <class Queue>
  Napi::Value start(Napi::Env env, std::shared_ptr<Submission> submission, Napi::Value done, size_t most,
                    const Queue& queue) {
    if (!done.IsFunction()) fail(env, "ERR_INVALID_ARGUMENT", "the last argument is a function");
    const uint32_t id = ++last_id_;
    Completions completions = completions_;
    submission->ended = [completions, id](std::shared_ptr<Submission> ended) mutable {
      auto* completion = new Completion{id, std::move(ended)};
      // Refused only while the environment is torn down: nobody is left to be told.
      if (completions.NonBlockingCall(completion) != napi_ok) delete completion;
    };
    if (!queue(submission)) {
      fail(env, "ERR_QUEUE_FULL",
           "More than " + std::to_string(most) +
               " command lists are waiting: await earlier ones before submitting more.");
    }
    if (pending_.empty()) {
      completions_.Ref(env);
      this->Ref();  // completions come back to this object, so it must not be collected before they have
    }
    pending_.emplace(id, Pending{std::move(submission), Napi::Persistent(done.As<Napi::Function>())});
    return Napi::Number::New(env, id);
  }

  /// cancel(id)
  void cancel_submission(const Napi::CallbackInfo& info) {
    const auto found = pending_.find(info[0].As<Napi::Number>().Uint32Value());
    if (found != pending_.end()) found->second.submission->cancel = true;
  }
  void stop(Napi::Env env) {
    if (!self().opened()) return;
    napi_remove_env_cleanup_hook(env, at_exit, this);
    release();
  }

 private:
  struct Completion {
    uint32_t id;
    std::shared_ptr<Submission> submission;
  };
  struct Pending {
    std::shared_ptr<Submission> submission;
    Napi::FunctionReference done;
  };

  static void complete(Napi::Env env, Napi::Function, Submitter* self, Completion* completion) {
    const std::unique_ptr<Completion> owned(completion);
    if (env == nullptr) return;  // the environment is gone
    const auto found = self->pending_.find(completion->id);
    if (found == self->pending_.end()) return;
    Napi::FunctionReference done = std::move(found->second.done);
    self->pending_.erase(found);
    if (self->pending_.empty()) {
      if (self->self().opened()) self->completions_.Unref(env);
      self->Unref();
    }
    done.Call(Self::report(env, *completion->submission));
  }
  using Completions = Napi::TypedThreadSafeFunction<Submitter, Completion, complete>;

  Self& self() { return *static_cast<Self*>(this); }
  static void at_exit(void* self) { static_cast<Submitter*>(self)->release(); }
  void release() {
    self().shut();  // completions still queued are delivered or dropped by Node
    completions_.Release();
  }

  Completions completions_;
  std::map<uint32_t, Pending> pending_;
  uint32_t last_id_ = 0;
};

}  // namespace tw
