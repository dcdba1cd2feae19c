// What a weight format is to the kernels; they are templates over it.
//
//   block, bytes        weights and bytes of a block; these and `parts` come from BLOCK_READING in
//                       ts/kernels/metal/weights.ts, by TW_<format>_BLOCK
//   run                 weights side by side that one `decode` gives
//   parts, runs, step   a block split over `parts` lanes: lane `part` has `runs` runs, at start(part), then `step`
//   apart.
//                       Neighbouring lanes read neighbouring bytes, and the runs of one lane share their loads.
//   element             bytes of one unit of the row stride (1: rows of blocks have byte strides)
//   pitch(stride)       bytes from one block to the next along k
//   decode(at, position, wide, w)
//                       w[run] from weight `position` (a multiple of `run`) of the block at `at`; `wide` says that
//                       blocks are aligned as BLOCK_READING asks. The compiler merges
//                       the loads that calls for several runs have in common.
//
// The scalar meaning of each format stands in Sources/CpuKernels/formats.
#pragma once
#include "../common/memory.h"
#include "../generated/weights.h"

namespace tw {

/// Byte `i` of two words.
METAL_FUNC uint byte_of(uint2 words, uint i) {
  return ((i < 4 ? words.x : words.y) >> (8 * (i % 4))) & 255u;
}

}  // namespace tw
