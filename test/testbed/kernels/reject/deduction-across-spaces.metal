#include <metal_stdlib>
using namespace metal;
template <typename T>
inline void f(device T* a, device T* b) { *a = *b; }
kernel void k(device float* p [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  threadgroup float s[1];
  f(p, s);  // !type
}
