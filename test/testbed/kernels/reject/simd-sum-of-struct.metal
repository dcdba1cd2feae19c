#include <metal_stdlib>
using namespace metal;
struct S {
  float a, b;
};
kernel void k(device float* p [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  p[i] = simd_sum(S{1, 2}).a;  // !simd-type !type
}
