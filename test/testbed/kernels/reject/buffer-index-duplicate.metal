#include <metal_stdlib>
using namespace metal;
kernel void k(device float* p [[buffer(0)]],
              device float* q [[buffer(0)]],  // !buffer-duplicate
              uint i [[thread_position_in_grid]]) {
  p[i] = q[i];
}
