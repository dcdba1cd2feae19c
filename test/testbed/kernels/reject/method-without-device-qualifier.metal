#include <metal_stdlib>
using namespace metal;
struct S {
  float a, b;
  float sum() threadgroup { return a + b; }
  float sum_thread() thread { return a + b; }
};
kernel void k(device float* p [[buffer(0)]], device S* s [[buffer(1)]], uint i [[thread_position_in_grid]]) {
  p[i] = s[i].sum();  // !address-space
}
