// ROCTX as far as Sources/GpuDriver uses it: ranges are written to the file that TILEWRIGHT_SOFT_ROCTX names, each with
// its depth.
#include <cstdio>
#include <cstdlib>

namespace {
thread_local int depth = 0;
}

extern "C" __attribute__((visibility("default"))) int roctxRangePushA(const char* name) {
  const char* path = std::getenv("TILEWRIGHT_SOFT_ROCTX");
  std::FILE* file = path == nullptr ? nullptr : std::fopen(path, "a");
  if (file != nullptr) {
    std::fprintf(file, "%d %s\n", depth, name);
    std::fclose(file);
  }
  return depth++;
}

extern "C" __attribute__((visibility("default"))) int roctxRangePop() {
  return depth == 0 ? -1 : --depth;
}
