// run: {"kernel": "row_sum_f32", "grid": {"threadgroups": 3}, "group": 256, "constants": {"FC_scale": 2.0}, "buffers": {"src": {"type": "float", "count": 3000, "value": 0.5}, "dst": {"type": "float", "count": 3, "output": true, "expect": {"values": [1000, 1000, 1000], "absolute": 0.001}}, "n": {"type": "uint", "values": [1000]}}}
// run: {"kernel": "row_sum_f16", "name": "row_sum_f16 unscaled", "grid": {"threadgroups": 2}, "group": 64, "buffers": {"src": {"type": "half", "count": 66, "value": 1}, "dst": {"type": "float", "count": 2, "output": true, "expect": {"values": [33, 33]}}, "n": {"type": "uint", "values": [33]}}}
#include <metal_stdlib>
using namespace metal;
constant float FC_scale [[function_constant(0)]];
constant float scale = is_function_constant_defined(FC_scale) ? FC_scale : 1.0f;

// One threadgroup a row: simdgroup sums, then one sum of the sums.
template <typename T>
kernel void row_sum(device const T* src [[buffer(0)]], device float* dst [[buffer(1)]], constant uint& n [[buffer(2)]],
                    uint row [[threadgroup_position_in_grid]], uint t [[thread_position_in_threadgroup]],
                    uint threads [[threads_per_threadgroup]], ushort lane [[thread_index_in_simdgroup]],
                    ushort simd [[simdgroup_index_in_threadgroup]], ushort simds [[simdgroups_per_threadgroup]]) {
  threadgroup float part[32];
  float sum = 0;
  for (uint i = t; i < n; i += threads) sum += float(src[row * n + i]);
  sum = simd_sum(sum);
  if (lane == 0) part[simd] = sum;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  if (t == 0) {
    float total = 0;
    for (ushort i = 0; i < simds; i++) total += part[i];
    dst[row] = total * scale;
  }
}
template [[host_name("row_sum_f32")]] kernel void row_sum<float>(device const float*, device float*, constant uint&, uint,
                                                                 uint, uint, ushort, ushort, ushort);
template [[host_name("row_sum_f16")]] [[kernel]] decltype(row_sum<half>) row_sum<half>;
