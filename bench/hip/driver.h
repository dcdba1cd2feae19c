// The part of libcuda that the benchmark needs, bound at run time: it is compiled where there is no CUDA.
#pragma once
#include <dlfcn.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

typedef uint64_t Address;
typedef void *Module, *Function, *Stream, *Event, *Graph, *GraphExec, *Context;

#define DRIVER_FUNCTIONS(X)                                                                                   \
  X(cuInit, (unsigned))                                                                                       \
  X(cuDeviceGet, (int*, int))                                                                                 \
  X(cuDeviceGetName, (char*, int, int))                                                                       \
  X(cuDriverGetVersion, (int*))                                                                               \
  X(cuDevicePrimaryCtxRetain, (Context*, int))                                                                \
  X(cuCtxSetCurrent, (Context))                                                                               \
  X(cuModuleLoad, (Module*, const char*))                                                                     \
  X(cuModuleGetFunction, (Function*, Module, const char*))                                                    \
  X(cuFuncGetAttribute, (int*, int, Function))                                                                \
  X(cuMemAlloc_v2, (Address*, size_t))                                                                        \
  X(cuMemFree_v2, (Address))                                                                                  \
  X(cuMemcpyHtoD_v2, (Address, const void*, size_t))                                                          \
  X(cuMemcpyDtoH_v2, (void*, Address, size_t))                                                                \
  X(cuMemcpyDtoDAsync_v2, (Address, Address, size_t, Stream))                                                 \
  X(cuMemsetD8Async, (Address, unsigned char, size_t, Stream))                                                \
  X(cuLaunchKernel,                                                                                           \
    (Function, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, Stream, void**, void**)) \
  X(cuStreamCreate, (Stream*, unsigned))                                                                      \
  X(cuStreamSynchronize, (Stream))                                                                            \
  X(cuStreamBeginCapture_v2, (Stream, int))                                                                   \
  X(cuStreamEndCapture, (Stream, Graph*))                                                                     \
  X(cuGraphInstantiateWithFlags, (GraphExec*, Graph, unsigned long long))                                     \
  X(cuGraphLaunch, (GraphExec, Stream))                                                                       \
  X(cuGraphExecDestroy, (GraphExec))                                                                          \
  X(cuGraphDestroy, (Graph))                                                                                  \
  X(cuEventCreate, (Event*, unsigned))                                                                        \
  X(cuEventRecord, (Event, Stream))                                                                           \
  X(cuEventSynchronize, (Event))                                                                              \
  X(cuEventElapsedTime, (float*, Event, Event))                                                               \
  X(cuGetErrorName, (int, const char**))

struct Driver {
#define X(name, args) int(*name) args;
  DRIVER_FUNCTIONS(X)
#undef X
  Driver() {
    void* library = dlopen("libcuda.so.1", RTLD_NOW);
    if (library == nullptr) {
      std::fprintf(stderr, "%s\n", dlerror());
      std::exit(1);
    }
#define X(name, args)                                          \
  name = reinterpret_cast<int(*) args>(dlsym(library, #name)); \
  if (name == nullptr) {                                       \
    std::fprintf(stderr, "libcuda has no " #name "\n");        \
    std::exit(1);                                              \
  }
    DRIVER_FUNCTIONS(X)
#undef X
  }
};

inline Driver& driver() {
  static Driver d;
  return d;
}

inline void check(int code, const char* what) {
  if (code == 0) return;
  const char* name = "?";
  driver().cuGetErrorName(code, &name);
  std::fprintf(stderr, "%s: %s (%d)\n", what, name, code);
  std::exit(1);
}
#define DO(call) check(driver().call, #call)
