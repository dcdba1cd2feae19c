#include <metal_stdlib>
using namespace metal;
struct S {
  virtual float f() { return 1; }  // !no-virtual
};
kernel void k(device float* p [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  p[i] = 1;
}
