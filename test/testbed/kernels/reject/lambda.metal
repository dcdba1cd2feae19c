#include <metal_stdlib>
using namespace metal;
kernel void k(device float* p [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  auto f = [](float x) { return x * 2; };  // !no-lambda
  p[i] = f(p[i]);
}
