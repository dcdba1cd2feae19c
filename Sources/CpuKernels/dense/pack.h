// Packs pieces of an operand for the GEMM: row panels [rows][kKBlock], whose elements the microkernel broadcasts, and
// column panels [k][width], whose rows it loads as vectors. Sources that lie the other way are transposed in registers.
#pragma once

#include "../simd/transpose.h"
#include "operand.h"

namespace tw {
namespace TW_ISA {
namespace {

/// k per packed panel: a multiple of every format's block. A row panel of the microkernel's height fits in L1 beside
/// what streams past it.
constexpr int64_t kKBlock = 256;

/// Room for pack_*'s intermediate tiles.
constexpr int64_t kPackScratch = 64 * kKBlock;

/// `rows` consecutive elements of row-contiguous storage at each of `count` values of k: out[k * out_stride + row].
inline void read_columns(const Operand& x, int64_t row, int64_t rows, int64_t k0, int64_t count, float* out,
                         int64_t out_stride) {
  with_element(x.type, [&](auto element) {
    using T = typename decltype(element)::T;
    for (int64_t k = 0; k < count; k++) {
      const T* p = reinterpret_cast<const T*>(x.base) + row + (k0 + k) * x.k_stride;
      float* to = out + k * out_stride;
      int64_t i = 0;
      for (; i + kLanes <= rows; i += kLanes) store(to + i, element.load(p + i));
      if (i < rows) store(to + i, element.load_n(p + i, rows - i));
    }
  });
}

/// out[i * kKBlock + k], i < rows; columns beyond `count` are not defined.
/// @param scratch  kPackScratch floats
inline void pack_rows(const Operand& x, int64_t row, int64_t rows, int64_t k0, int64_t count, float* out,
                      float* scratch) {
  if (!x.row_contiguous() || x.k_contiguous()) {
    for (int64_t i = 0; i < rows; i++) read_row(x, row + i, k0, count, out + i * kKBlock);
    return;
  }
  // kLanes rows at a time; `out` has no room for padding rows, so a tile goes through scratch when it is ragged.
  for (int64_t i = 0; i < rows; i += kLanes) {
    const int64_t height = min_of(kLanes, rows - i);
    read_columns(x, row + i, height, k0, count, scratch, kLanes);
    float* to = height == kLanes ? out + i * kKBlock : scratch + kLanes * kKBlock;
    for (int64_t k = 0; k < count; k += kLanes) transpose_tile(scratch + k * kLanes, kLanes, to + k, kKBlock);
    if (height < kLanes) {
      memcpy(out + i * kKBlock, to, static_cast<size_t>(height * kKBlock) * sizeof(float));
    }
    if (x.affine.any()) {
      for (int64_t r = i; r < i + height; r++) apply_affine(x.affine, row + r, k0, count, out + r * kKBlock);
    }
  }
}

/// Fetches the `part`-th of `parts` shares of what pack_rows will read, where that is worth it: short pieces of dense
/// rows, which the hardware's own prefetcher comes to late (1.5 % of a 512 x 4096 x 14336 product).
inline void prefetch_rows(const Operand& x, int64_t row, int64_t rows, int64_t k0, int64_t count, int64_t part,
                          int64_t parts) {
  if (x.quantized() || x.k_stride != 1) return;
  const int64_t bytes = dtype_bytes(x.type);
  for (int64_t r = rows * part / parts; r < rows * (part + 1) / parts; r++) {
    const char* p = x.base + ((row + r) * x.row_stride + k0) * bytes;
    for (int64_t at = 0; at < count * bytes; at += 64) __builtin_prefetch(p + at);
  }
}

/// One column panel: out[k * width + j], j < width, zero beyond `rows`; room for `count` rounded up to kLanes.
/// @param width    a multiple of kLanes
/// @param scratch  kPackScratch floats
inline void pack_panel(const Operand& x, int64_t row, int64_t rows, int64_t width, int64_t k0, int64_t count,
                       float* out, float* scratch) {
  float* tile = scratch;
  float* inner = scratch + kLanes * kKBlock;
  for (int64_t j = 0; j < width; j += kLanes) {
    const int64_t height = max_of(0, min_of(kLanes, rows - j));
    if (height > 0) pack_rows(x, row + j, height, k0, count, tile, inner);
    if (height < kLanes) {
      memset(tile + height * kKBlock, 0, static_cast<size_t>((kLanes - height) * kKBlock) * sizeof(float));
    }
    for (int64_t k = 0; k < count; k += kLanes) transpose_tile(tile + k, kKBlock, out + k * width + j, width);
  }
}

/// Column panels of kColumns each, the last one as narrow as kLanes allows, `panel_floats` apart.
template <int64_t kColumns>
inline void pack_columns(const Operand& x, int64_t row, int64_t rows, int64_t k0, int64_t count, float* out,
                         int64_t panel_floats, float* scratch) {
  if (!x.row_contiguous() || x.k_stride == 1 || x.affine.any()) {
    for (int64_t j = 0; j < rows; j += kColumns) {
      const int64_t now = min_of(kColumns, rows - j);
      pack_panel(x, row + j, now, round_up(now, kLanes), k0, count, out + j / kColumns * panel_floats, scratch);
    }
    return;
  }
  constexpr int64_t kAhead = 4;
  // All panels at each k: the source is read in runs as long as they are wide together.
  const int64_t whole = rows / kColumns * kColumns;
  const int64_t width = round_up(rows - whole, kLanes);
  with_element(x.type, [&](auto element) {
    using T = typename decltype(element)::T;
    for (int64_t k = 0; k < count; k++) {
      const T* p = reinterpret_cast<const T*>(x.base) + row + (k0 + k) * x.k_stride;
      float* to = out + k * kColumns;
      const T* ahead = k + kAhead < count ? p + kAhead * x.k_stride : p;
      for (int64_t j = 0; j < whole; j += kColumns, to += panel_floats) {
        for (int64_t i = 0; i < kColumns; i += 64 / static_cast<int64_t>(sizeof(T))) __builtin_prefetch(ahead + j + i);
#pragma GCC unroll 4
        for (int64_t i = 0; i < kColumns; i += kLanes) store(to + i, element.load(p + j + i));
      }
      to += k * (width - kColumns);
      for (int64_t i = whole; i < rows; i += kLanes, to += kLanes) {
        const int64_t rest = rows - i;
        store(to, rest >= kLanes ? element.load(p + i) : element.load_n(p + i, rest));
      }
    }
  });
}

}  // namespace
}  // namespace TW_ISA
}  // namespace tw
