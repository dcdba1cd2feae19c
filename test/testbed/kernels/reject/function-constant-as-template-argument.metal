#include <metal_stdlib>
using namespace metal;
constant uint N [[function_constant(0)]];
template <uint M>
void f(device float* p) { p[M] = 1; }
kernel void k(device float* p [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  f<N>(p + i);  // !type
}
