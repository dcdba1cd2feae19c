#include "queue.h"

#include <cmath>

namespace tw::gpu {

Recording::~Recording() {
  if (graph == nullptr) return;
  try {
    context->make_current();
    context->api().graph_exec_destroy(graph);
  } catch (const Error&) {
    // It went with its device.
  }
}

Queue::Queue(std::shared_ptr<const Context> context, std::shared_ptr<Pool> pool, Transfers& transfers, double limit_ms)
    : context_(std::move(context)), pool_(std::move(pool)), transfers_(transfers), limit_ms_(limit_ms) {
  const Api& api = context_->api();
  api.check(api.stream_create(&stream_, Api::kStreamNonBlocking), "StreamCreate");
  if (api.has_graphs()) api.check(api.stream_create(&capture_, Api::kStreamNonBlocking), "StreamCreate");
  pool_->set_quiet([this] { return quiet(); });
  driver_ = std::thread([this] { drive(); });
  waiter_ = std::thread([this] { wait(); });
}

Queue::~Queue() {
  close();
}

bool Queue::close() {
  if (!driver_.joinable()) return !abandoned_.empty();
  pool_->set_quiet(nullptr);
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
    latest_ = now_ms() + kPatienceMs;
    for (const auto& submission : queue_) submission->cancel = true;
    if (starting_) starting_->cancel = true;
  }
  wake_driver_.notify_all();
  driver_.join();
  {
    std::lock_guard<std::mutex> lock(mutex_);
    driver_done_ = true;
  }
  wake_waiter_.notify_all();
  waiter_.join();
  if (!abandoned_.empty()) {
    for (auto& submission : abandoned_) new std::shared_ptr<Submission>(submission);  // for good
    return true;
  }
  const Api& api = context_->api();
  for (Event event : events_) api.event_destroy(event);
  if (capture_ != nullptr) api.stream_destroy(capture_);
  api.stream_destroy(stream_);
  return false;
}

bool Queue::submit(std::shared_ptr<Submission> submission) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (queue_.size() + flying_.size() >= kMaxQueued) return false;
    queue_.push_back(std::move(submission));
  }
  wake_driver_.notify_one();
  return true;
}

std::optional<Error> Queue::lost() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return lost_;
}

bool Queue::quiet() const {
  const double begin = now_ms();
  for (;;) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (lost_) throw *lost_;
      if (flying_.empty() && queue_.empty() && !starting_) return true;
    }
    const double waited = now_ms() - begin;
    if (waited > limit_ms_) return false;
    pause(waited);
  }
}

/// The driver thread: submissions in order, each handed over launch by launch or as one graph.
void Queue::drive() {
  try {
    context_->make_current();
  } catch (const Error& error) {
    std::lock_guard<std::mutex> lock(mutex_);
    lost_ = error;
  }
  for (;;) {
    {
      std::unique_lock<std::mutex> lock(mutex_);
      wake_driver_.wait(lock, [this] {
        if (stop_) return true;
        return !queue_.empty() && (flying_.size() < kFlying || flying_launches_ < kWindow);
      });
      if (queue_.empty()) return;
      starting_ = std::move(queue_.front());
      queue_.pop_front();
    }
    Submission& submission = *starting_;
    if (const auto lost = this->lost()) {
      fail(submission, *lost);
    } else if (submission.cancel) {
      submission.status = Submission::Status::kCancelled;
    } else {
      try {
        start(submission);
      } catch (const Error& error) {
        fail(submission, error);
      } catch (const std::exception& error) {
        fail(submission, Error("ERR_NATIVE_FAILURE", error.what()));
      }
    }
    {
      std::lock_guard<std::mutex> lock(mutex_);
      flying_launches_ += starting_->launches();
      flying_.push_back(std::move(starting_));
    }
    wake_waiter_.notify_one();
  }
}

void Queue::fail(Submission& submission, const Error& error) {
  submission.status = Submission::Status::kFailed;
  submission.error = error;
  if (!error.lost) return;
  std::lock_guard<std::mutex> lock(mutex_);
  if (!lost_) lost_ = error;
}

Event Queue::event() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!events_.empty()) {
      const Event event = events_.back();
      events_.pop_back();
      return event;
    }
  }
  Event event = nullptr;
  context_->api().check(context_->api().event_create(&event, 0), "EventCreate");
  return event;
}

void Queue::record(Submission& submission) {
  const Event at = event();
  submission.events.push_back(at);
  context_->api().check(context_->api().event_record(at, stream_), "EventRecord");
}

void Queue::record_end(Submission& submission) {
  try {
    record(submission);
  } catch (const Error& error) {
    if (error.lost) throw;
    throw Error("ERR_NATIVE_FAILURE",
                std::string(error.what()) + " So nobody can tell when the memory of what was launched is free: the " +
                    "device is lost. Dispose it and open another; where that fails, restart the process.",
                "{\"lost\":true}", true);
  }
}

void Queue::start(Submission& submission) {
  const Api& api = context_->api();
  transfers_.fence(stream_);
  submission.begin_ms = submission.end_ms = now_ms();
  record(submission);
  Recording* recording = submission.recording.get();
  if (recording == nullptr || submission.timed) {
    run_plain(submission, recording == nullptr ? submission.commands : recording->commands);
    return;
  }
  if (recording->graph == nullptr && !recording->plain) capture(*recording);
  if (recording->graph == nullptr) {
    run_plain(submission, recording->commands);
    return;
  }
  {
    const std::string name =
        ranges_ == nullptr ? "" : "replay of " + std::to_string(submission.launches()) + " launches";
    const Ranges::Scope range(ranges_, name.c_str());
    api.check(api.graph_launch(recording->graph, stream_), "GraphLaunch");
  }
  record_end(submission);
}

void Queue::capture(Recording& recording) {
  const Api& api = context_->api();
  // Whatever fails here, launching piece by piece either works or says more.
  recording.plain = true;
  if (!api.has_graphs() || recording.commands.launches.empty()) return;
  if (api.begin_capture(capture_, Api::kCaptureThreadLocal) != 0) return;
  int status = 0;
  for (const Launch& launch : recording.commands.launches) {
    if (status == 0) status = recording.commands.launch(api, launch, capture_);
  }
  Graph graph = nullptr;
  const int ended = api.end_capture(capture_, &graph);
  GraphExec exec = nullptr;
  if (status == 0 && ended == 0) status = api.instantiate(&exec, graph);
  if (graph != nullptr) api.graph_destroy(graph);
  if (status != 0 || ended != 0) return;
  recording.graph = exec;
  recording.plain = false;
}

void Queue::run_plain(Submission& submission, Commands& commands) {
  const Api& api = context_->api();
  std::deque<Event> marks;
  const auto hold = [&](Event mark) {
    // Waits without a limit of its own: the waiter sees to that, and a cancelled list stops here.
    const double begin = now_ms();
    for (;;) {
      const int status = api.event_query(mark);
      if (status == 0) return;
      if (status != Api::kNotReady) throw api.error(status, "EventQuery");
      const double waited = now_ms() - begin;
      if (submission.cancel || waited > limit_ms_) return;
      pause(waited);
    }
  };
  size_t count = 0;
  std::optional<Error> error;
  try {
    for (const Launch& launch : commands.launches) {
      if (submission.cancel) {
        submission.status = Submission::Status::kCancelled;
        break;
      }
      {
        const bool named = count < commands.labels.size();
        const Ranges::Scope range(named ? ranges_ : nullptr, named ? commands.labels[count].c_str() : "");
        api.check(commands.launch(api, launch, stream_), "ModuleLaunchKernel");
      }
      if (submission.timed) record(submission);
      if (++count % (kWindow / 4) == 0) {
        marks.push_back(event());
        api.check(api.event_record(marks.back(), stream_), "EventRecord");
        if (marks.size() > 3) {
          hold(marks.front());
          std::lock_guard<std::mutex> lock(mutex_);
          events_.push_back(marks.front());
          marks.pop_front();
        }
      }
    }
  } catch (const Error& failed) {
    error = failed;
  }
  {
    std::lock_guard<std::mutex> lock(mutex_);
    events_.insert(events_.end(), marks.begin(), marks.end());
  }
  if (error) fail(submission, *error);
  // The end of what was launched, also of a list that was cut short. A lost device records nothing any more.
  if (!error || !error->lost) {
    if (!submission.timed || submission.status != Submission::Status::kDone) record_end(submission);
  }
}

/// The waiting thread: ends submissions in order.
void Queue::wait() {
  try {
    context_->make_current();
  } catch (const Error&) {
    // The driver thread says so to every submission.
  }
  for (;;) {
    std::shared_ptr<Submission> submission;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      wake_waiter_.wait(lock, [this] { return driver_done_ || !flying_.empty(); });
      if (flying_.empty()) return;
      submission = flying_.front();
    }
    finish(*submission);
    // Whoever cancels is told so, also where the device was faster.
    if (submission->status == Submission::Status::kDone && submission->cancel) {
      submission->status = Submission::Status::kCancelled;
    }
    complete(std::move(submission));
  }
}

void Queue::finish(Submission& submission) {
  if (submission.events.size() < 2) return;  // nothing was launched
  const Api& api = context_->api();
  try {
    const auto lost = this->lost();
    // A lost device finishes nothing more: what has not ended by now never will.
    if (lost && api.event_query(submission.events.back()) != 0) throw *lost;
    wait_for(api, submission.events.back(), limit_ms_, &latest_);
    if (submission.status == Submission::Status::kFailed) return;
    const auto since = [&](Event event) {
      float ms = 0;
      api.check(api.event_elapsed(&ms, submission.events.front(), event), "EventElapsedTime");
      return submission.begin_ms + static_cast<double>(ms);
    };
    submission.end_ms = since(submission.events.back());
    if (!submission.timed || submission.status != Submission::Status::kDone) return;
    double before = submission.begin_ms;
    for (size_t i = 1; i < submission.events.size(); i++) {
      const double at = since(submission.events[i]);
      submission.times.push_back(before);
      submission.times.push_back(at);
      before = at;
    }
  } catch (const Error& error) {
    if (submission.status == Submission::Status::kFailed && submission.error->lost) return;
    fail(submission, error);
  }
}

void Queue::complete(std::shared_ptr<Submission> submission) {
  bool idle = false;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    flying_.pop_front();
    flying_launches_ -= submission->launches();
    // A lost device frees nothing: it might wait for ever.
    idle = flying_.empty() && queue_.empty() && !starting_ && !lost_;
    if (submission->error && submission->error->lost && !submission->events.empty()) {
      abandoned_.push_back(submission);
    } else {
      events_.insert(events_.end(), submission->events.begin(), submission->events.end());
      submission->events.clear();
    }
  }
  wake_driver_.notify_one();
  if (!submission->error || !submission->error->lost) {
    // What only this submission held goes back before the caller hears of its end.
    submission->commands.blocks.clear();
    submission->recording.reset();
  }
  if (idle && pool_->bloated()) pool_->trim(Pool::kKeepBytes / 2);
  const auto ended = std::move(submission->ended);
  ended(std::move(submission));
}

}  // namespace tw::gpu
