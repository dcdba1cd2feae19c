#include <metal_stdlib>
using namespace metal;
kernel void k(device float* p [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  simdgroup_matrix<float, 16, 16> m;  // !simdgroup-matrix
  p[i] = 1;
}
