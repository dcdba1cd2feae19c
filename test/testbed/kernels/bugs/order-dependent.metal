// run: {"kernel": "k", "grid": {"threadgroups": 1}, "group": 64, "buffers": {"n": {"type": "uint", "count": 1}, "dst": {"type": "uint", "count": 64, "output": true}}}
#include <metal_stdlib>
using namespace metal;
kernel void k(device atomic_uint* n [[buffer(0)]], device uint* dst [[buffer(1)]], uint i [[thread_position_in_grid]]) {  // !order-dependent
  dst[i] = atomic_fetch_add_explicit(n, 1, memory_order_relaxed);
}
