// How a command list crosses from TypeScript to the Metal back end: the fixed parts of its records, little-endian.
//
// One launch is a `tilewright_launch`; then, each without padding, the byte lengths of its threadgroup allocations
// (uint32_t each), its `tilewright_binding`s, the argument index of its parameters (uint32_t), and the bytes of the
// parameters.
#ifndef TILEWRIGHT_LAUNCH_H
#define TILEWRIGHT_LAUNCH_H

#include <stdint.h>

typedef struct {
  uint32_t pipeline; /* id that the device gave */
  uint32_t binding_count;
  uint32_t parameter_bytes; /* a multiple of 4 */
  uint32_t threadgroup_memory_count;
  uint32_t threadgroups[3];
  uint32_t threads[3]; /* per threadgroup */
} tilewright_launch;

typedef struct {
  uint32_t argument; /* [[buffer(n)]] */
  uint32_t buffer;   /* index into the buffers of the list */
  uint64_t offset;   /* bytes */
} tilewright_binding;

#endif
