// Kernels for the executor's own test: several dispatches in one process, from several threads.
#include <metal_stdlib>
using namespace metal;

constant uint factor [[function_constant(0)]];

kernel void scale(device const uint* src [[buffer(0)]], device uint* dst [[buffer(1)]],
                  uint i [[thread_position_in_grid]]) {
  dst[i] = src[i] * factor;
}

kernel void spin(device uint* dst [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  uint x = i + 1;
  while (x != 0) x = x * 3u | 1u;
  dst[i] = x;
}

kernel void spin_at_barriers(device uint* dst [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  uint x = i + 1;
  while (x != 0) {
    x = x * 3u | 1u;
    threadgroup_barrier(mem_flags::mem_none);
  }
  dst[i] = x;
}

kernel void spin_in_functions(device float* dst [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  float x = float(i);
  while (x >= 0.0f) x = abs(sin(x)) + exp(-x);
  dst[i] = x;
}

kernel void write_far(device uint* dst [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  dst[i + 4096] = i;
}
