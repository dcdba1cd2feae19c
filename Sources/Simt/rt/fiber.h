// Switching between GPU threads: one stack each, all on one OS thread.
#pragma once
#include <cstddef>

namespace simt {

/// A suspended stack.
struct Context {
  void* sp = nullptr;
};

constexpr size_t kStackBytes = 256 * 1024;  // touched lazily; kernels with large local arrays need some 10 KB

/// Prepare `context` to run `entry` on a stack; `entry` must not return.
void fiber_init(Context& context, char* stack, size_t bytes, void (*entry)());
/// Save the running stack in `from` and continue `to`.
void fiber_switch(Context& from, Context& to);

}  // namespace simt
