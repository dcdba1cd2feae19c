// A kernel that faults, or that does not end, ends its dispatch with a finding, not the process.
#include "faults.h"

#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <ctime>
#include <string>

#include "machine.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

namespace simt {
namespace {

constexpr int kSignals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGVTALRM};
constexpr int kSignalCount = 4;
constexpr uint64_t kAgain = 10;  // milliseconds until the timer strikes again, when it struck in the runtime

alignas(16) char g_signal_stack[64 * 1024];
struct sigaction g_before[kSignalCount];
volatile pid_t g_thread = 0;  // that runs the dispatch

pid_t thread_id() {
  return static_cast<pid_t>(syscall(SYS_gettid));
}

uint64_t program_counter(const void* context) {
#if defined(__x86_64__)
  return static_cast<uint64_t>(static_cast<const ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP]);
#elif defined(__aarch64__)
  return static_cast<const ucontext_t*>(context)->uc_mcontext.pc;
#else
  (void)context;
  return 0;
#endif
}

/// A signal of another thread, or of the runtime itself: to whoever handled it before.
void pass_on(int signal, siginfo_t* info, void* context) {
  int i = 0;
  while (kSignals[i] != signal) i++;
  const struct sigaction& before = g_before[i];
  if (before.sa_flags & SA_SIGINFO) {
    before.sa_sigaction(signal, info, context);
  } else if (before.sa_handler == SIG_DFL) {
    std::signal(signal, SIG_DFL);
    raise(signal);
  } else if (before.sa_handler != SIG_IGN) {
    before.sa_handler(signal);
  }
}

void on_signal(int signal, siginfo_t* info, void* context) {
  Machine& m = g_machine;
  const bool timer = signal == SIGVTALRM && info->si_code == SI_TIMER && info->si_value.sival_ptr == &g_machine;
  if (timer && !m.running) return;
  if (!m.running || thread_id() != g_thread || (signal == SIGVTALRM && !timer)) {
    pass_on(signal, info, context);
    return;
  }
  // Faults are synchronous here, in code of the kernel: allocating for the report is safe.
  const uint64_t pc = program_counter(context) + 1;  // the symbolizer looks one before, as for return addresses
  if (signal == SIGFPE) {
    m.find("integer-division", "integer division by zero, or of the smallest integer by -1", pc);
  } else if (signal == SIGVTALRM) {
    // Only in the kernel's own code is it safe to leave; the runtime looks at the flag itself.
    if (m.current != nullptr && pc > m.module_base && pc <= m.module_end) m.expire(pc);
    m.expired = true;
    return;
  } else if (signal == SIGSEGV && info->si_code == SI_KERNEL) {
    // x86 has aligned 16-byte moves, and a general protection fault does not tell the address.
    m.find("misaligned", "access to a vector at an address that is no multiple of its size", pc);
  } else {
    const auto address = reinterpret_cast<uint64_t>(info->si_addr);
    const char* stack = reinterpret_cast<const char*>(address);
    if (Slot* slot = m.arena.find(address)) {
      m.find("out-of-bounds", "access to " + describe(*slot, address), pc);
    } else if (m.stacks != nullptr && stack >= m.stacks && stack < m.stacks + kMaxThreads * kStackBytes) {
      m.find("stack-overflow", "the thread's variables need more than " + std::to_string(kStackBytes) + " bytes", pc);
    } else {
      m.find("out-of-bounds", "access to an address outside of every buffer", pc);
    }
  }
  m.leave();
}

timespec to_time(uint64_t milliseconds) {
  return {static_cast<time_t>(milliseconds / 1000), static_cast<long>(milliseconds % 1000 * 1000000)};
}

}  // namespace

FaultGuard::FaultGuard() {
  g_thread = thread_id();
  stack_t own{};
  own.ss_sp = g_signal_stack;
  own.ss_size = sizeof(g_signal_stack);
  sigaltstack(&own, &stack_before_);
  struct sigaction action {};
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigset_t unblocked;
  sigemptyset(&unblocked);
  for (int i = 0; i < kSignalCount; i++) {
    // Known before ours can run: a handler of another thread may be called at once.
    sigaction(kSignals[i], nullptr, &g_before[i]);
    sigaction(kSignals[i], &action, nullptr);
    sigaddset(&unblocked, kSignals[i]);
  }
  pthread_sigmask(SIG_UNBLOCK, &unblocked, &mask_before_);
}

FaultGuard::~FaultGuard() {
  // A signal of the timer that is still to come is delivered when this call returns.
  if (timed_) timer_delete(timer_);
  for (int i = 0; i < kSignalCount; i++) sigaction(kSignals[i], &g_before[i], nullptr);
  pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr);
  sigaltstack(&stack_before_, nullptr);
}

bool FaultGuard::stop_after(uint64_t milliseconds) {
  sigevent event{};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = SIGVTALRM;
  event.sigev_value.sival_ptr = &g_machine;
  event.sigev_notify_thread_id = thread_id();
  // Processor time of this thread: other work on the machine does not count.
  if (timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer_) != 0) return false;
  timed_ = true;
  itimerspec when{};
  when.it_value = to_time(milliseconds);
  when.it_interval = to_time(kAgain);
  return timer_settime(timer_, 0, &when, nullptr) == 0;
}

}  // namespace simt
