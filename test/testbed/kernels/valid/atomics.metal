// run: {"kernel": "histogram", "grid": {"threads": 1000}, "group": 128, "buffers": {"values": {"type": "uchar", "count": 1000, "random": {"seed": 4, "from": 0, "to": 127}}, "bins": {"type": "uint", "count": 16, "value": 0}}}
#include <metal_stdlib>
using namespace metal;
// Threadgroup atomics, then one device atomic a bin; the last threadgroup is smaller.
kernel void histogram(device const uchar* values [[buffer(0)]], device atomic_uint* bins [[buffer(1)]],
                      uint i [[thread_position_in_grid]], uint t [[thread_position_in_threadgroup]],
                      uint threads [[threads_per_threadgroup]]) {
  threadgroup atomic_uint local[16];
  for (uint b = t; b < 16; b += threads) atomic_store_explicit(&local[b], 0, memory_order_relaxed);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  atomic_fetch_add_explicit(&local[values[i] / 8], 1u, memory_order_relaxed);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  for (uint b = t; b < 16; b += threads) {
    const uint n = atomic_load_explicit(&local[b], memory_order_relaxed);
    if (n > 0) atomic_fetch_add_explicit(&bins[b], n, memory_order_relaxed);
  }
}
