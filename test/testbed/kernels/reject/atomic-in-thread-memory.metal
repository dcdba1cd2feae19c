#include <metal_stdlib>
using namespace metal;
kernel void k(device float* p [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  atomic_uint n;
  atomic_store_explicit(&n, 1, memory_order_relaxed);  // !type
  p[i] = 1;
}
