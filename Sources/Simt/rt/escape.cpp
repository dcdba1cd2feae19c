// Leaving a dispatch from wherever it is. In a file of its own: glibc's fortified longjmp takes the jump from one stack
// to another for an attack, and a program that includes this runtime may be compiled so.
#undef _FORTIFY_SOURCE
#include "machine.h"

namespace simt {

void Machine::leave() {
  siglongjmp(escape, 1);
}

}  // namespace simt
