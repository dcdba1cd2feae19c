// Few rows of a, blocks of up to kMaxRows at a time: b is streamed once per block. Three ways to read it:
//   dot      k-contiguous b: dot products of several b rows with all rows of a
//   axpy     n-contiguous b: rows of b, scaled, added to register tiles of sums
//   decoded  anything else (quantized, affine, strided): a piece of a b row becomes floats in L1, then dot products
// Tasks are groups of columns of the output, and parts of k when there are few columns.
#include "../epilogue.h"
#include "batches.h"
#include "kernels.h"
#include "operand.h"

namespace tw {
namespace TW_ISA {
namespace {

constexpr int kMaxRows = 8;
/// Columns of a task: few enough to spread over threads, enough to stream.
constexpr int64_t kDotColumns = 32;
/// A register tile of axpy for one row of a; fewer vectors for more rows.
constexpr int64_t kAxpyColumns = 16 * kLanes;
/// Weights of a row that are decoded at a time: in floats, a quarter of an L1 cache. A multiple of every block size.
constexpr int64_t kDecoded = 1024;
/// Multiply-adds below which one thread does it alone.
constexpr int64_t kParallelWork = 1 << 17;
/// Splitting k pays when each part is at least this long.
constexpr int64_t kSplit = 2048;
/// Bytes of a that one pass over b rows uses: they have to stay in L2.
constexpr int64_t kActivationBytes = 256 << 10;

/// Registers for sums: b rows at a time for a given number of rows of a.
constexpr int dot_width(int rows) {
#if defined(__AVX512F__) || defined(__aarch64__)
  return rows <= 4 ? 4 : rows <= 6 ? 3 : 2;
#else
  return rows <= 2 ? 4 : rows == 3 ? 3 : rows <= 5 ? 2 : 1;
#endif
}

/// sums[r * stride + j] += a row r . b row j.
template <class Element, int kRows, int kWidth>
inline void dot_tile(const float* a, int64_t a_stride, const typename Element::T* b, int64_t b_stride, int64_t count,
                     float* sums, int64_t stride) {
  // One row of a leaves registers for two chains per b row, which hides the latency of the additions.
  constexpr int kChains = kRows == 1 ? 2 : 1;
  F32 sum[kChains][kRows][kWidth];
#pragma GCC unroll 2
  for (int c = 0; c < kChains; c++) {
#pragma GCC unroll 8
    for (int r = 0; r < kRows; r++) {
#pragma GCC unroll 4
      for (int j = 0; j < kWidth; j++) sum[c][r][j] = F32{};
    }
  }
  int64_t k = 0;
#pragma GCC unroll 1
  for (; k + kChains * kLanes <= count; k += kChains * kLanes) {
#pragma GCC unroll 2
    for (int c = 0; c < kChains; c++) {
      F32 w[kWidth];
#pragma GCC unroll 4
      for (int j = 0; j < kWidth; j++) w[j] = Element::load(b + j * b_stride + k + c * kLanes);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; r++) {
        const F32 x = load(a + r * a_stride + k + c * kLanes);
#pragma GCC unroll 4
        for (int j = 0; j < kWidth; j++) sum[c][r][j] = fma(x, w[j], sum[c][r][j]);
      }
    }
  }
#pragma GCC unroll 1
  for (; k < count; k += kLanes) {
    const int64_t rest = min_of(kLanes, count - k);
    F32 w[kWidth];
#pragma GCC unroll 4
    for (int j = 0; j < kWidth; j++) w[j] = Element::load_n(b + j * b_stride + k, rest);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; r++) {
      const F32 x = load_n(a + r * a_stride + k, rest);
#pragma GCC unroll 4
      for (int j = 0; j < kWidth; j++) sum[0][r][j] = fma(x, w[j], sum[0][r][j]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; r++) {
#pragma GCC unroll 4
    for (int j = 0; j < kWidth; j++) {
      F32 total = sum[0][r][j];
      if constexpr (kChains == 2) total += sum[1][r][j];
      sums[r * stride + j] += reduce_add(total);
    }
  }
}

template <class Element, int kRows>
__attribute__((noinline)) void dot_rows(const float* a, int64_t a_stride, const typename Element::T* b,
                                        int64_t b_stride, int64_t columns, int64_t count, float* sums, int64_t stride) {
  constexpr int kWidth = dot_width(kRows);
  int64_t j = 0;
  for (; j + kWidth <= columns; j += kWidth) {
    dot_tile<Element, kRows, kWidth>(a, a_stride, b + j * b_stride, b_stride, count, sums + j, stride);
  }
  for (; j < columns; j++) {
    dot_tile<Element, kRows, 1>(a, a_stride, b + j * b_stride, b_stride, count, sums + j, stride);
  }
}

/// Vectors of columns in a register tile of axpy.
constexpr int axpy_vectors(int rows) {
#if defined(__AVX512F__)
  return rows == 1 ? 16 : rows == 2 ? 8 : rows <= 6 ? 4 : 2;
#elif defined(__aarch64__)
  return rows == 1 ? 16 : rows == 2 ? 8 : rows <= 5 ? 4 : rows == 6 ? 3 : 2;  // the broadcasts need registers too
#else
  return rows == 1 ? 8 : rows <= 3 ? 4 : rows <= 6 ? 2 : 1;
#endif
}

/// sums[r * stride + j] += sum over k of a[r, k] * b[k, j], for kVectors vectors of columns or `columns` of them.
template <class Element, int kRows, int kVectors, bool kRagged>
inline void axpy_tile(const float* a, int64_t a_stride, const typename Element::T* b, int64_t b_stride, int64_t count,
                      int64_t columns, float* sums, int64_t stride) {
  F32 sum[kRows][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; r++) {
#pragma GCC unroll 16
    for (int j = 0; j < kVectors; j++) sum[r][j] = F32{};
  }
#pragma GCC unroll 1
  for (int64_t k = 0; k < count; k++) {
    const typename Element::T* row = b + k * b_stride;
    F32 x[kRows];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; r++) x[r] = splat(a[r * a_stride + k]);
#pragma GCC unroll 16
    for (int j = 0; j < kVectors; j++) {
      F32 w;
      if constexpr (kRagged) {
        w = Element::load_n(row, columns);
      } else {
        w = Element::load(row + j * kLanes);
      }
#pragma GCC unroll 8
      for (int r = 0; r < kRows; r++) sum[r][j] = fma(x[r], w, sum[r][j]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; r++) {
#pragma GCC unroll 16
    for (int j = 0; j < kVectors; j++) {
      float* to = sums + r * stride + j * kLanes;
      store(to, load(to) + sum[r][j]);
    }
  }
}

template <class Element, int kRows>
__attribute__((noinline)) void axpy_rows(const float* a, int64_t a_stride, const typename Element::T* b,
                                         int64_t b_stride, int64_t columns, int64_t count, float* sums,
                                         int64_t stride) {
  constexpr int kVectors = axpy_vectors(kRows);
  int64_t j = 0;
  for (; j + kVectors * kLanes <= columns; j += kVectors * kLanes) {
    axpy_tile<Element, kRows, kVectors, false>(a, a_stride, b + j, b_stride, count, 0, sums + j, stride);
  }
  for (; j + kLanes <= columns; j += kLanes) {
    axpy_tile<Element, kRows, 1, false>(a, a_stride, b + j, b_stride, count, 0, sums + j, stride);
  }
  if (j < columns) {
    axpy_tile<Element, kRows, 1, true>(a, a_stride, b + j, b_stride, count, columns - j, sums + j, stride);
  }
}

/// Calls `use(integral_constant-like{})` with the number of rows as a type.
template <int kValue>
struct Rows {
  static constexpr int kRows = kValue;
};
template <int kRows = kMaxRows, class Use>
inline void with_rows(int64_t rows, const Use& use) {
  if constexpr (kRows > 1) {
    if (rows < kRows) return with_rows<kRows - 1>(rows, use);
  }
  use(Rows<kRows>{});
}

enum class Way { kDot, kAxpy, kDecoded };

inline Way way_of(const Operand& b) {
  if (b.quantized() || b.affine.any()) return Way::kDecoded;
  if (b.k_stride == 1) return Way::kDot;
  return b.row_stride == 1 ? Way::kAxpy : Way::kDecoded;
}

/// sums[r * stride + j] += a row r . b row (first + j), over k0 .. k0 + count.
inline void add_products(const Operand& b, const float* a, int64_t a_stride, int64_t rows, int64_t first,
                         int64_t columns, int64_t k0, int64_t count, float* sums, int64_t stride, float* decoded) {
  const Way way = way_of(b);
  with_rows(rows, [&](auto fixed) {
    constexpr int kRows = decltype(fixed)::kRows;
    if (way == Way::kDecoded) {
      for (int64_t j = 0; j < columns; j++) {
        for (int64_t k = 0; k < count; k += kDecoded) {
          const int64_t piece = min_of(kDecoded, count - k);
          read_row(b, first + j, k0 + k, piece, decoded);
          dot_tile<ElementF32, kRows, 1>(a + k, a_stride, decoded, 0, piece, sums + j, stride);
        }
      }
      return;
    }
    with_element(b.type, [&](auto element) {
      using Element = decltype(element);
      const auto* p = reinterpret_cast<const typename Element::T*>(b.base);
      if (way == Way::kDot) {
        dot_rows<Element, kRows>(a, a_stride, p + first * b.row_stride + k0, b.row_stride, columns, count, sums,
                                 stride);
      } else {
        axpy_rows<Element, kRows>(a, a_stride, p + first + k0 * b.k_stride, b.k_stride, columns, count, sums, stride);
      }
    });
  });
}

class Gemv {
 public:
  Gemv(const MatmulView& view, Pool& pool) : view_(view), pool_(pool), epilogue_(view), p_(view.p) {
    products_ = view.gated() ? 2 : 1;
    const Way way = way_of(b_operand(view, view.problem(0)));
    copy_a_ = view.a_dtype() != TW_DTYPE_F32 || p_.a_stride[1] != 1;

    const int64_t work = p_.m * p_.n * p_.k * products_ * view.batches();
    parallel_ = pool.threads() > 1 && work >= kParallelWork;
    task_columns_ = way == Way::kAxpy ? kAxpyColumns : kDotColumns;
    if (parallel_) {
      // At least four tasks a thread, in whole register tiles.
      const int64_t step = way == Way::kAxpy ? kAxpyColumns / 4 : 4;
      const int64_t even = round_up(ceil_div(p_.n, 4 * pool.threads()), step);
      task_columns_ = max_of(step, min_of(task_columns_, even));
    }
    groups_ = ceil_div(p_.n, task_columns_);
    splits_ = 1;
    if (parallel_ && groups_ < 4 * pool.threads()) {
      splits_ = max_of(1, min_of(ceil_div(p_.k, kSplit), ceil_div(4 * pool.threads(), groups_)));
    }
    split_length_ = round_up(ceil_div(max_of(p_.k, 1), splits_), kDecoded);
    sum_stride_ = round_up(task_columns_, kLanes);
    sum_floats_ = products_ * kMaxRows * sum_stride_;

    const int64_t rows = min_of(p_.m, kMaxRows);
    a_floats_ = copy_a_ ? round_up(rows * p_.k, 16) : 0;
    const int64_t partials = splits_ > 1 ? groups_ * splits_ * sum_floats_ : 0;
    shared_ = static_cast<float*>(pool.reserve_shared(static_cast<size_t>(a_floats_ + partials + 16) * sizeof(float)));
    pool.reserve_scratch(static_cast<size_t>(kDecoded + sum_floats_) * sizeof(float));
  }

  void run() {
    const int64_t batches = view_.batches();
    for (int64_t batch = 0; batch < batches; batch++) {
      const MatmulProblem problem = view_.problem(batch);
      for (int64_t row = 0; row < p_.m; row += kMaxRows) run_rows(problem, row, min_of(kMaxRows, p_.m - row));
    }
  }

 private:
  void run_rows(const MatmulProblem& problem, int64_t row, int64_t rows) {
    const float* a = reinterpret_cast<const float*>(problem.a) + row * p_.a_stride[0];
    int64_t a_stride = p_.a_stride[0];
    if (copy_a_) {
      const Operand source = a_operand(view_, problem);
      for (int64_t r = 0; r < rows; r++) read_row(source, row + r, 0, p_.k, shared_ + r * p_.k);
      a = shared_;
      a_stride = p_.k;
    }
    float* partials = shared_ + a_floats_;
    const int64_t units = groups_ * splits_;
    pool_.parallel_for(units, parallel_ ? 1 : units, [&](int64_t unit, int thread) {
      float* decoded = static_cast<float*>(pool_.scratch(thread));
      float* sums = splits_ == 1 ? decoded + kDecoded : partials + unit * sum_floats_;
      memset(sums, 0, static_cast<size_t>(sum_floats_) * sizeof(float));
      const int64_t first = unit / splits_ * task_columns_;
      const int64_t columns = min_of(task_columns_, p_.n - first);
      const int64_t k0 = unit % splits_ * split_length_;
      const int64_t k1 = min_of(p_.k, k0 + split_length_);
      const int64_t step = round_up(max_of(kActivationBytes / (4 * rows), kDecoded), kDecoded);
      for (int64_t product = 0; product < products_; product++) {
        const Operand b = product == 0 ? b_operand(view_, problem) : gate_operand(view_, problem);
        for (int64_t k = k0; k < k1; k += step) {
          add_products(b, a + k, a_stride, rows, first, columns, k, min_of(step, k1 - k),
                       sums + product * kMaxRows * sum_stride_, sum_stride_, decoded);
        }
      }
      if (splits_ == 1) finish(problem, row, rows, first, columns, sums);
    });
    if (splits_ == 1) return;
    for (int64_t group = 0; group < groups_; group++) {
      float* total = partials + group * splits_ * sum_floats_;
      for (int64_t split = 1; split < splits_; split++) {
        for (int64_t i = 0; i < sum_floats_; i++) total[i] += total[split * sum_floats_ + i];
      }
      const int64_t first = group * task_columns_;
      finish(problem, row, rows, first, min_of(task_columns_, p_.n - first), total);
    }
  }

  void finish(const MatmulProblem& problem, int64_t row, int64_t rows, int64_t first, int64_t columns,
              const float* sums) const {
    for (int64_t r = 0; r < rows; r++) {
      epilogue_.store(problem, row + r, first, columns, sums + r * sum_stride_,
                      products_ == 2 ? sums + (kMaxRows + r) * sum_stride_ : nullptr);
    }
  }

  const MatmulView& view_;
  Pool& pool_;
  const Epilogue epilogue_;
  const tw_matmul_params& p_;
  int64_t products_;
  bool copy_a_;
  bool parallel_;
  int64_t task_columns_, groups_, splits_, split_length_, sum_stride_, sum_floats_, a_floats_;
  float* shared_;
};

}  // namespace

void gemv(const Launch& launch, Pool& pool) {
  const tw_matmul_params folded = fold_batches(MatmulView(launch));
  const MatmulView view(Launch{&folded, launch.constants, launch.buffers});
  if (view.batches() == 0 || folded.m == 0 || folded.n == 0) return;
  pool.limit(view.threads());
  Gemv(view, pool).run();
}

}  // namespace TW_ISA
}  // namespace tw
