// Runs command lists on a device: one thread hands launches to the driver, another waits for their end.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <limits>
#include <optional>
#include <thread>

#include "commands.h"
#include "ranges.h"

namespace tw::gpu {

/// A command list that is kept: the first run captures it, and the driver replays it as one graph.
struct Recording {
  Recording(std::shared_ptr<const Context> context, Commands commands)
      : context(std::move(context)), commands(std::move(commands)) {}
  ~Recording();
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  const std::shared_ptr<const Context> context;
  Commands commands;
  GraphExec graph = nullptr;
  /// The driver cannot capture it; it is launched piece by piece.
  bool plain = false;
};

struct Submission {
  enum class Status { kDone, kCancelled, kFailed };

  /// One of both.
  Commands commands;
  std::shared_ptr<Recording> recording;
  bool timed = false;
  std::atomic<bool> cancel{false};
  /// Called on a thread of the queue when the submission has ended.
  std::function<void(std::shared_ptr<Submission>)> ended;

  Status status = Status::kDone;
  std::optional<Error> error;
  double begin_ms = 0, end_ms = 0;
  /// Begin and end of each launch, when timed; same clock.
  std::vector<double> times;

  size_t launches() const { return recording ? recording->commands.launches.size() : commands.launches.size(); }

  /// Events around the launches: one more than launches when timed, else two.
  std::vector<Event> events;
};

class Queue {
 public:
  /// Submissions that wait at most; a caller that is further ahead is doing something wrong.
  static constexpr size_t kMaxQueued = 4096;
  /// Launches that are handed to the device ahead of their turn, so that what is behind them can still be cancelled. A
  /// few submissions always are, however long: the device shall not run dry between them.
  static constexpr size_t kWindow = 256;
  static constexpr size_t kFlying = 4;
  /// How long close() waits for the device: nobody is left who wants the results.
  static constexpr double kPatienceMs = 2000;

  /// `limit_ms`: how long one submission may take. Throws Error.
  Queue(std::shared_ptr<const Context> context, std::shared_ptr<Pool> pool, Transfers& transfers, double limit_ms);
  ~Queue();
  /// Cancels what is queued, waits for what runs (bounded), joins the threads. True if the device hangs: then nothing
  /// may be freed that it could still use, and no call be made that waits for it.
  bool close();

  /// False when the queue is full.
  bool submit(std::shared_ptr<Submission> submission);
  /// The error that ended the device, if one has.
  std::optional<Error> lost() const;

 private:
  void drive();
  void wait();
  void start(Submission& submission);
  void capture(Recording& recording);
  void run_plain(Submission& submission, Commands& commands);
  void finish(Submission& submission);
  void complete(std::shared_ptr<Submission> submission);
  void fail(Submission& submission, const Error& error);
  /// Waits until nothing runs, as long as a submission may take. Throws Error when the device is lost.
  bool quiet() const;
  Event event();
  void record(Submission& submission);
  /// The event behind the last launch.
  void record_end(Submission& submission);

  const std::shared_ptr<const Context> context_;
  const std::shared_ptr<Pool> pool_;
  Transfers& transfers_;
  const double limit_ms_;
  /// Nothing is waited for after this.
  std::atomic<double> latest_{std::numeric_limits<double>::infinity()};
  const Ranges* const ranges_ = Ranges::active();
  Stream stream_ = nullptr, capture_ = nullptr;

  mutable std::mutex mutex_;
  std::condition_variable wake_driver_, wake_waiter_;
  std::deque<std::shared_ptr<Submission>> queue_, flying_;
  std::shared_ptr<Submission> starting_;
  size_t flying_launches_ = 0;
  std::vector<Event> events_;
  /// Memory that a lost device may still write to: kept for good.
  std::vector<std::shared_ptr<Submission>> abandoned_;
  std::optional<Error> lost_;
  bool stop_ = false, driver_done_ = false;
  std::thread driver_, waiter_;
};

}  // namespace tw::gpu
