#include <metal_stdlib>
using namespace metal;
kernel void k(device float* p [[buffer(0)]], device float4* q [[buffer(1)]], constant float& c [[buffer(2)]],
              uint i [[thread_position_in_grid]]) {
  simdgroup_float8x8 m;
  simdgroup_load(m, &c, 8);  // !type
  simdgroup_store(m, p, 8);
}
