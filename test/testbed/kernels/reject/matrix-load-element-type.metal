#include <metal_stdlib>
using namespace metal;
kernel void k(device float* p [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  simdgroup_half8x8 m;
  simdgroup_load(m, p, 8);  // !type
  simdgroup_store(m, (device half*)p, 8);
}
