#include <metal_stdlib>
using namespace metal;
struct S {
  float* q;  // !pointer-space
};
kernel void k(device float* p [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  p[i] = 1;
}
