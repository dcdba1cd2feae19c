// A kernel that faults ends its dispatch with a finding, not the process.
#include <dlfcn.h>
#include <sys/time.h>
#include <ucontext.h>

#include <csignal>
#include <cstdlib>
#include <string>

#include "machine.h"

namespace simt {
namespace {

alignas(16) char g_signal_stack[64 * 1024];

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

void on_fault(int signal, siginfo_t* info, void* context) {
  Machine& m = g_machine;
  if (!m.running) {  // not a kernel's: die as usual
    std::signal(signal, SIG_DFL);
    raise(signal);
    return;
  }
  // Faults are synchronous here, in code of the kernel: allocating for the report is safe.
  const uint64_t pc = program_counter(context) + 1;  // the symbolizer looks one before, as for return addresses
  if (signal == SIGFPE) {
    m.find("integer-division", "integer division by zero, or of the smallest integer by -1", pc);
  } else if (signal == SIGVTALRM) {
    // Only in the kernel's own code is it safe to leave; the runtime looks at the flag itself.
    Dl_info where;
    const bool in_kernel = m.current != nullptr && dladdr(reinterpret_cast<void*>(pc), &where) != 0 &&
                           reinterpret_cast<uint64_t>(where.dli_fbase) == m.module_base;
    if (in_kernel) m.expire(pc);
    m.expired = true;
    itimerval soon{};
    soon.it_value.tv_usec = 20000;
    setitimer(ITIMER_VIRTUAL, &soon, nullptr);
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
  siglongjmp(m.escape, 1);
}

}  // namespace

void install_fault_handlers() {
  stack_t stack{};
  stack.ss_sp = g_signal_stack;
  stack.ss_size = sizeof(g_signal_stack);
  sigaltstack(&stack, nullptr);
  struct sigaction action {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  for (int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGVTALRM}) sigaction(signal, &action, nullptr);
}

}  // namespace simt
