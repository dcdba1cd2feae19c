// The handlers that clang's -fsanitize=alignment,array-bounds,integer-divide-by-zero calls, in place of its runtime:
// they carry the source position and let the kernel go on. The layouts are clang's ABI (compiler-rt, ubsan_handlers.h).
// Not in a program that is itself built with a sanitizer: that one brings its own.
#ifndef SIMT_WITHOUT_HOOKS
#include <cstdint>
#include <string>

#include "machine.h"

namespace {

struct SourceLocation {
  const char* file;
  uint32_t line, column;
};
struct TypeDescriptor {
  uint16_t kind, info;
  char name[1];
};
struct TypeMismatch {
  SourceLocation location;
  const TypeDescriptor* type;
  unsigned char log_alignment, check_kind;
};
struct Overflow {
  SourceLocation location;
  const TypeDescriptor* type;
};
struct OutOfBounds {
  SourceLocation location;
  const TypeDescriptor *array, *index;
};

void report(const char* rule, const std::string& message, const SourceLocation& at, uint64_t pc) {
  auto& m = simt::g_machine;
  if (!m.running || m.current == nullptr) return;
  simt::Finding f;
  f.rule = rule;
  f.message = message;
  f.pc = pc;
  if (at.file != nullptr) f.file = at.file;
  f.line = at.line;
  f.column = at.column;
  f.has_thread = true;
  for (int d = 0; d < 3; d++) f.group[d] = m.group[d], f.thread[d] = m.current->position[d];
  m.report.add(std::move(f));
}

}  // namespace

#define PC reinterpret_cast<uint64_t>(__builtin_return_address(0))

extern "C" {

void __ubsan_handle_type_mismatch_v1(TypeMismatch* data, uintptr_t pointer) {
  const uintptr_t alignment = uintptr_t{1} << data->log_alignment;
  if (pointer % alignment == 0) return;  // a null pointer: the access itself will fault
  report("misaligned",
         std::string("access to ") + data->type->name + " needs an address that is a multiple of " +
             std::to_string(alignment) + "; this one is " + std::to_string(pointer % alignment) + " above one",
         data->location, PC);
}

void __ubsan_handle_divrem_overflow(Overflow* data, uintptr_t, uintptr_t) {
  report("integer-division", "integer division by zero, or of the smallest integer by -1", data->location, PC);
  // The machine instruction would trap: this is where the kernel ends.
  if (simt::g_machine.running) simt::g_machine.leave();
}

void __ubsan_handle_out_of_bounds(OutOfBounds* data, uintptr_t index) {
  report("array-bounds",
         "index " + std::to_string(static_cast<intptr_t>(index)) + " is outside of " + data->array->name,
         data->location, PC);
}
}
#endif
