// Tiles of operands in threadgroup memory. An operand is a matrix [rows, k]: a, or the weights, whose rows run along n.
#pragma once
#include "../formats/format.h"

namespace tw {

/// 8x8 blocks one after the other: simdgroup_load reads 64 neighbours, whatever the size of the tile.
template <uint BK>
struct Blocks8 {
  static uint at(uint row, uint k) { return ((row / 8) * (BK / 8) + k / 8) * 64 + (row % 8) * 8 + k % 8; }
  /// N elements along k, from a multiple of N on: N divides 8, or is a multiple of it.
  template <uint N, class T>
  static void put(threadgroup T* tile, uint row, uint k, thread const float* w) {
    if (N % 4 == 0) {
      for (uint i = 0; i < N; i += 4) {
        threadgroup vec<T, 4>* const to = (threadgroup vec<T, 4>*)(tile + at(row, k + i));
        const vec<T, 4> v = vec<T, 4>(T(w[i]), T(w[i + 1]), T(w[i + 2]), T(w[i + 3]));
        *to = v;
      }
    } else if (N == 2) {
      threadgroup vec<T, 2>* const to = (threadgroup vec<T, 2>*)(tile + at(row, k));
      const vec<T, 2> v = vec<T, 2>(T(w[0]), T(w[N - 1]));
      *to = v;
    } else {
      for (uint i = 0; i < N; i++) tile[at(row, k + i)] = T(w[i]);
    }
  }
};

/// Rows with one element between them, so that threads in a column meet different banks.
template <uint BK>
struct PaddedRows {
  static uint at(uint row, uint k) { return row * (BK + 1) + k; }
  template <uint N, class T>
  static void put(threadgroup T* tile, uint row, uint k, thread const float* w) {
    for (uint i = 0; i < N; i++) tile[at(row, k + i)] = T(w[i]);
  }
};

/// Part of an operand: where it begins, how it lies, and its end.
struct Slab {
  device const uchar* base;
  long row_stride, k_stride;
  uint row, rows;  // first row of the tile, number of rows of the matrix
  uint k, k_end;
  uint vectors;  // 0: any strides; 1: four elements along k at once; 2: four along the rows
};

/// Plain elements of a dtype that is a function constant. What lies outside of the matrix becomes 0.
struct Plain {
  template <class Layout, class T, uint ROWS, uint BK, uint THREADS>
  static void load(Slab s, uint dtype, bool, bool whole, threadgroup T* tile, uint thread_index) {
    if (s.vectors == 1) {
      for (uint u = thread_index; u < ROWS * BK / 4; u += THREADS) {
        const uint row = u / (BK / 4);
        const uint k = u % (BK / 4) * 4;
        float4 v = float4(0.0f);
        if (whole || (s.row + row < s.rows && s.k + k < s.k_end)) {
          v = load_vector(s.base, dtype, long(s.row + row) * s.row_stride + long(s.k + k));
        }
        const float w[4] = {v.x, v.y, v.z, v.w};
        Layout::template put<4>(tile, row, k, w);
      }
    } else if (s.vectors == 2) {
      for (uint u = thread_index; u < ROWS * BK / 4; u += THREADS) {
        const uint row = u % (ROWS / 4) * 4;
        const uint k = u / (ROWS / 4);
        float4 v = float4(0.0f);
        if (whole || (s.row + row < s.rows && s.k + k < s.k_end)) {
          v = load_vector(s.base, dtype, long(s.row + row) + long(s.k + k) * s.k_stride);
        }
        for (uint i = 0; i < 4; i++) tile[Layout::at(row + i, k)] = T(v[i]);
      }
    } else {
      // Neighbouring threads follow the smaller stride.
      const bool along_rows = abs(s.row_stride) < abs(s.k_stride);
      for (uint u = thread_index; u < ROWS * BK; u += THREADS) {
        uint row = u / BK;
        uint k = u % BK;
        if (along_rows) {
          row = u % ROWS;
          k = u / ROWS;
        }
        float v = 0.0f;
        if (whole || (s.row + row < s.rows && s.k + k < s.k_end)) {
          v = load_element(s.base, dtype, long(s.row + row) * s.row_stride + long(s.k + k) * s.k_stride);
        }
        tile[Layout::at(row, k)] = T(v);
      }
    }
  }
  static long unit(uint dtype) { return long(dtype_bytes(dtype)); }
};

/// Block-quantized weights: `row_stride` is in bytes, k is a whole number of blocks and so of tiles.
template <typename F>
struct Quantized {
  template <class Layout, class T, uint ROWS, uint BK, uint THREADS>
  static void load(Slab s, uint, bool wide, bool whole, threadgroup T* tile, uint thread_index) {
    enum : uint { units = BK / F::run };
    for (uint u = thread_index; u < ROWS * units; u += THREADS) {
      const uint row = u / units;
      const uint k = u % units * F::run;
      float w[F::run];
      for (uint i = 0; i < F::run; i++) w[i] = 0.0f;
      if (whole || s.row + row < s.rows) {
        const uint at = s.k + k;
        device const uchar* block = s.base + long(s.row + row) * s.row_stride + long(at / F::block) * long(F::bytes);
        F::decode(block, at % F::block, wide, w);
      }
      Layout::template put<F::run>(tile, row, k, w);
    }
  }
  static long unit(uint) { return 1; }
};

}  // namespace tw
