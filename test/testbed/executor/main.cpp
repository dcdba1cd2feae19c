// A program that uses the executor as a library does: many dispatches, several threads, kernels that never end and
// kernels that fault, in one process. Prints what differs from what it should be; the exit code is the number of that.
#include <pthread.h>
#include <simt.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <string>
#include <thread>
#include <vector>

namespace {

std::atomic<int> g_failures{0};
volatile sig_atomic_t g_other_signals = 0;

void expect(bool right, const std::string& what) {
  if (right) return;
  std::printf("%s\n", what.c_str());
  g_failures++;
}

simt_binding binding(uint32_t index, std::vector<uint32_t>& data, uint32_t flags, uint64_t offset = 0) {
  simt_binding b{};
  b.index = index;
  b.flags = flags;
  b.data = data.data();
  b.size = data.size() * 4;
  b.same_as = -1;
  b.offset = offset;
  return b;
}

std::string run(simt_module* module, const char* kernel, const std::vector<simt_binding>& bindings, uint32_t threads,
                uint64_t timeout_ms, const std::vector<simt_constant>& constants = {}) {
  simt_dispatch d{};
  d.kernel = kernel;
  d.grid[0] = d.grid[1] = d.grid[2] = 1;
  d.group[0] = threads;
  d.group[1] = d.group[2] = 1;
  d.bindings = bindings.data();
  d.binding_count = static_cast<uint32_t>(bindings.size());
  d.constants = constants.data();
  d.constant_count = static_cast<uint32_t>(constants.size());
  d.timeout_ms = timeout_ms;
  char* report = simt_run(module, &d);
  const std::string text = report;
  simt_free(report);
  return text;
}

bool has(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

/// `dst[i] = src[i] * factor` for 64 elements, with `flags` on both buffers and the pointers `skip` elements in.
void scale(simt_module* module, uint32_t factor, uint32_t flags, uint32_t skip) {
  std::vector<uint32_t> src(64 + skip), dst(64 + skip, 7);
  for (uint32_t i = 0; i < src.size(); i++) src[i] = i;
  const std::string report =
      run(module, "scale", {binding(0, src, flags | SIMT_BUFFER_READ_ONLY, 4 * skip), binding(1, dst, flags, 4 * skip)},
          64, 1000, {{0, 4, &factor}});
  expect(has(report, "\"findings\":[]"), "scale: " + report);
  for (uint32_t i = 0; i < dst.size(); i++) {
    const uint32_t right = i < skip ? 7 : i * factor;
    if (dst[i] != right) {
      expect(false, "scale: " + std::to_string(i) + " is " + std::to_string(dst[i]));
      return;
    }
  }
}

void hang(simt_module* module, const char* kernel) {
  std::vector<uint32_t> dst(64);
  timespec before, after;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
  const std::string report = run(module, kernel, {binding(0, dst, 0)}, 64, 30);
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
  expect(has(report, "\"rule\":\"hang\""), std::string(kernel) + ": " + report);
  const double ms = 1e3 * (after.tv_sec - before.tv_sec) + 1e-6 * (after.tv_nsec - before.tv_nsec);
  expect(ms < 1000, std::string(kernel) + " took " + std::to_string(ms) + " ms");
}

void other_signal(int) {
  g_other_signals = g_other_signals + 1;
}

}  // namespace

int main(int, char** arguments) {
  char error[512];
  simt_module* plain = simt_load(arguments[1], error, sizeof(error));
  simt_module* hooked = simt_load(arguments[2], error, sizeof(error));
  if (plain == nullptr || hooked == nullptr) {
    std::printf("%s\n", error);
    return 99;
  }
  struct sigaction own {};
  own.sa_handler = other_signal;
  sigaction(SIGVTALRM, &own, nullptr);

  for (simt_module* module : {plain, hooked}) {
    scale(module, 3, 0, 0);
    scale(module, 3, 0, 5);
    for (const char* kernel : {"spin", "spin_at_barriers", "spin_in_functions"}) hang(module, kernel);
    // A dispatch that was left has no influence on the next.
    scale(module, 5, 0, 1);
    std::vector<uint32_t> dst(64);
    expect(has(run(module, "write_far", {binding(0, dst, 0)}, 64, 1000), "out-of-bounds"), "write_far is not reported");
    scale(module, 6, 0, 0);
  }

  // In place, and only where nothing is checked.
  scale(plain, 9, SIMT_BUFFER_IN_PLACE, 3);
  std::vector<uint32_t> words(64);
  const uint32_t one = 1;
  expect(has(run(hooked, "write_far", {binding(0, words, SIMT_BUFFER_IN_PLACE)}, 64, 0), "needs its own copy"),
         "a module with hooks takes buffers in place");
  expect(has(run(plain, "write_far", {binding(0, words, SIMT_BUFFER_IN_PLACE | SIMT_BUFFER_OUTPUT)}, 1, 0), "refused"),
         "flags that exclude each other");
  // What a driver refuses.
  expect(has(run(plain, "write_far", {binding(0, words, 0, 257)}, 1, 0), "behind its end"), "an offset behind the end");
  expect(has(run(plain, "scale", {}, 1, 0, {{5, 4, &one}}), "no function constant 5"), "an unknown constant");
  expect(has(run(plain, "scale", {}, 1, 0, {{0, 2, &one}}), "has 4 bytes, not 2"), "a constant of another size");

  // Several threads: each dispatch sees its own constants and buffers, and the others' signals do not meet it.
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < 4; t++) {
    threads.emplace_back([=] {
      for (uint32_t i = 0; i < 25; i++) scale(i % 2 ? plain : hooked, 10 * t + i, 0, t);
      if (t == 0) hang(plain, "spin");
    });
  }
  for (std::thread& thread : threads) thread.join();

  // The handlers of before are back, also while another thread runs.
  raise(SIGVTALRM);
  expect(g_other_signals == 1, "the process's own handler is gone");
  std::atomic<bool> done{false};
  std::thread runner([&] {
    hang(plain, "spin");
    done = true;
  });
  while (!done) {
    pthread_kill(pthread_self(), SIGVTALRM);
    std::this_thread::yield();
  }
  runner.join();
  expect(g_other_signals > 1, "signals of other threads are not passed on");
  simt_unload(plain);
  simt_unload(hooked);
  return g_failures;
}
