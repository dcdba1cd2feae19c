// run: {"kernel": "simd_functions", "grid": {"threadgroups": 1}, "group": 32, "buffers": {"dst": {"type": "float", "count": 14, "output": true, "expect": {"values": [496, 31, 0, 30, 1, 31, 7, 10, 65535, 1, 2, -2, 1, 100]}}}}
#include <metal_stdlib>
using namespace metal;
kernel void simd_functions(device float* dst [[buffer(0)]], ushort lane [[thread_index_in_simdgroup]]) {
  const float x = lane;
  const float sum = simd_sum(x), most = simd_max(x), least = simd_min(x);
  const float up = simd_shuffle_up(x, 1), down = simd_shuffle_down(x, 1), other = simd_shuffle_xor(x, 31);
  const float seven = simd_broadcast(x, 7), prefix = simd_prefix_exclusive_sum(x);
  const ulong votes = ulong(simd_vote::vote_t(simd_ballot(lane < 16)));
  const bool all = simd_all(lane < 32), none = simd_any(lane > 31);
  if (lane == 0) {
    dst[0] = sum, dst[1] = most, dst[2] = least, dst[4] = down, dst[5] = other, dst[6] = seven, dst[8] = votes;
    dst[9] = all && !none ? 1 : 0;
  }
  const float2 v = simd_shuffle_down(float2(x, -x), 2) + simd_shuffle_up(half2(x).xy.x, 1) + simd_sum(float2(0));
  const int3 w = simd_shuffle_and_fill_down(int3(lane), int3(100), 3);
  if (lane == 31) dst[3] = up;
  if (lane == 0) dst[10] = v.x, dst[11] = v.y, dst[12] = 1;
  if (lane == 31) dst[13] = w.y;
  if (lane == 5) dst[7] = prefix;
}
