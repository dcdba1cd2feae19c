#include <metal_stdlib>
using namespace metal;
kernel void k(device float* p [[buffer(0)]], device float4* q [[buffer(1)]], constant float& c [[buffer(2)]],
              uint i [[thread_position_in_grid]]) {
  float4 v = q[i];
  v.xx = float2(1, 2);  // !constant-write
  q[i] = v;
}
