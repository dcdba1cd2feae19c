#include "fiber.h"

#include <cstdint>

#if defined(__x86_64__) && !defined(SIMT_UCONTEXT)

extern "C" void simt_switch(void** from, void* to);
// System V: rbx, rbp and r12 to r15 belong to the caller. The floating-point control words are the same in all fibres.
asm(R"(
.text
.globl simt_switch
.type simt_switch,@function
simt_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size simt_switch, .-simt_switch
)");

namespace simt {
void fiber_init(Context& context, char* stack, size_t bytes, void (*entry)()) {
  auto top = reinterpret_cast<uintptr_t>(stack + bytes) & ~uintptr_t{15};
  auto* sp = reinterpret_cast<void**>(top);
  *--sp = nullptr;  // alignment: on entry rsp is 8 below a multiple of 16
  *--sp = reinterpret_cast<void*>(entry);
  for (int i = 0; i < 6; i++) *--sp = nullptr;
  context.sp = sp;
}
void fiber_switch(Context& from, Context& to) {
  simt_switch(&from.sp, to.sp);
}
}  // namespace simt

#else
// Anywhere else: correct, and slower by a system call per switch.
#include <ucontext.h>

#include <new>

namespace simt {
void fiber_init(Context& context, char* stack, size_t bytes, void (*entry)()) {
  auto* u = static_cast<ucontext_t*>(context.sp);
  if (u == nullptr) context.sp = u = new ucontext_t;
  getcontext(u);
  u->uc_stack.ss_sp = stack;
  u->uc_stack.ss_size = bytes;
  u->uc_link = nullptr;
  makecontext(u, entry, 0);
}
void fiber_switch(Context& from, Context& to) {
  if (from.sp == nullptr) from.sp = new ucontext_t;
  swapcontext(static_cast<ucontext_t*>(from.sp), static_cast<ucontext_t*>(to.sp));
}
}  // namespace simt
#endif
