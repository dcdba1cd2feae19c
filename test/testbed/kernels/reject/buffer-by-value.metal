#include <metal_stdlib>
using namespace metal;
struct Args {
  uint n;
};
kernel void k(device float* p [[buffer(0)]], Args a [[buffer(1)]],  // !argument-type
              uint i [[thread_position_in_grid]]) {
  p[i] = a.n;
}
