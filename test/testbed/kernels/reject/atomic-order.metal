#include <metal_stdlib>
using namespace metal;
kernel void k(device atomic_uint* n [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  atomic_fetch_add_explicit(&n[i], 1, memory_order_seq_cst);  // !memory-order !undeclared
}
