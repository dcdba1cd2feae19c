#include <metal_stdlib>
using namespace metal;
inline void f(thread float* x) { *x = 1; }
kernel void k(device float* p [[buffer(0)]], device float4* q [[buffer(1)]], constant float& c [[buffer(2)]],
              uint i [[thread_position_in_grid]]) {
  float4 v = q[i];
  f(&v.x);  // !component-address
  q[i] = v;
}
