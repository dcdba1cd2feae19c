// quant_gemm: many rows of q8 activations times block-quantized weights. One integer GEMM for every format: a format
// only unpacks its panel.
//
// A tile of kTileRows rows of weights is unpacked, kDepth weights deep, to a panel (panel.h). Activations are packed
// once per launch, a few rows side by side: per group their corrections, scales, and dwords of codes. The microkernel
// multiplies a panel by packed columns, broadcasting dwords of activations, and adds each group's product to f32 sums
// that stay in registers over the depth.
//
// With few rows of activations the weights must come at the memory's speed: every thread takes neighbouring tiles, and
// prefetches the next one, which is a contiguous piece of memory, while it multiplies.
#include <type_traits>
#include <utility>

#include "../epilogue.h"
#include "activations.h"
#include "kernels.h"
#include "panel.h"

namespace tw {
namespace TW_ISA {
namespace {

/// Vectors of rows of weights that the microkernel multiplies.
constexpr int kVectors = 2;
/// Rows of weights of a tile.
constexpr int kTileRows = kVectors * kLanes;
constexpr int kTileBytes = kVectors * kVectorBytes;

/// Rows of activations that the microkernel multiplies at most. AVX-512: 2 x 16 rows of weights by 6 columns are 12
/// integer and 12 float accumulators, beside 2 weight vectors, one broadcast, 4 for scales and mins.
#if defined(__AVX512F__)
constexpr int kColumns = 6;
#elif defined(__AVX2__)
constexpr int kColumns = 3;
#else
constexpr int kColumns = 4;
#endif

/// Weights of a row that a panel holds: 32 rows of codes and scales then stay in the first-level cache.
constexpr int64_t kDepth = 512;
/// Tiles that pass over the same activations, which then come from the second-level cache.
constexpr int64_t kTiles = 2;
/// Rows of activations of a task: their codes, kDepth deep, and the task's sums share the second-level cache.
constexpr int64_t kTaskColumns = 510;
/// Most of both that a launch may ask for.
constexpr int64_t kMostTiles = 8;
constexpr int64_t kMostColumns = 2048;

/// Adds a panel times packed columns to sums[column][row].
template <class Stored, int kSteps, bool kHasMin, int kColumns>
void multiply_panel(const uint8_t* panel, const uint8_t* packed, int64_t groups, float* sums) {
  F32 acc[kColumns][kVectors];
#pragma GCC unroll 8
  for (int j = 0; j < kColumns; j++) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; v++) acc[j][v] = load(sums + j * kTileRows + v * kLanes);
  }
  for (int64_t g = 0; g < groups; g++) {
    Dot<Stored> dot[kColumns][kVectors];
    const uint8_t* codes = packed + 2 * kColumns * 4;
#pragma GCC unroll 8
    for (int j = 0; j < kColumns; j++) {
      const I32 start = kHasMin ? I32{} : (I32)splat_dword(packed + 4 * j);
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; v++) dot[j][v].start(start);
    }
#pragma GCC unroll 8
    for (int step = 0; step < kSteps; step++) {
      Bytes w[kVectors];
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; v++) w[v] = load_vector(panel + (step * kVectors + v) * kVectorBytes);
#pragma GCC unroll 8
      for (int j = 0; j < kColumns; j++) {
        const Bytes a = (Bytes)splat_dword(codes + (step * kColumns + j) * 4);
#pragma GCC unroll 2
        for (int v = 0; v < kVectors; v++) dot[j][v].add(w[v], a, step);
      }
    }
    const uint8_t* scales = panel + kSteps * kTileBytes;
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; v++) {
      const F32 scale = (F32)load_vector(scales + v * kVectorBytes);
#pragma GCC unroll 8
      for (int j = 0; j < kColumns; j++) {
        const F32 both = scale * splat_float(packed + (kColumns + j) * 4);
        acc[j][v] = fma(to_f32(dot[j][v].total()), both, acc[j][v]);
      }
      if constexpr (kHasMin) {
        const F32 min = (F32)load_vector(scales + kTileBytes + v * kVectorBytes);
#pragma GCC unroll 8
        for (int j = 0; j < kColumns; j++) acc[j][v] = fma(min, splat_float(packed + 4 * j), acc[j][v]);
      }
    }
    panel += panel_group_bytes<kVectors>(kSteps);
    packed += packed_group_bytes(kSteps, kColumns);
  }
#pragma GCC unroll 8
  for (int j = 0; j < kColumns; j++) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; v++) store(sums + j * kTileRows + v * kLanes, acc[j][v]);
  }
}

/// Rows of weights, from some block on.
struct PanelSource {
  const uint8_t* b;
  int64_t stride;
  int64_t rows;    // that exist, at least 1; the tile's other rows repeat the last
  int64_t blocks;  // deep
};

template <class F>
void unpack_panel(const PanelSource& source, uint8_t* panel) {
  constexpr int64_t kRowBytes = kDepth / F::kBlock * F::kBytes;
  constexpr int64_t kBlockBytes = F::kBlock / F::kGroup * panel_group_bytes<kVectors>(F::kGroup / 4);
  for (int v = 0; v < kVectors; v++) {
    const uint8_t* p = source.b + v * kLanes * source.stride;
    int64_t stride = source.stride;
    uint8_t padded[kLanes * kRowBytes];
    if (source.rows < (v + 1) * kLanes) {
      for (int64_t r = 0; r < kLanes; r++) {
        const int64_t row = min_of(v * kLanes + r, source.rows - 1);
        memcpy(padded + r * kRowBytes, source.b + row * source.stride, static_cast<size_t>(source.blocks) * F::kBytes);
      }
      p = padded;
      stride = kRowBytes;
    }
    uint8_t* out = panel + v * kVectorBytes;
    for (int64_t block = 0; block < source.blocks; block++) {
      const PanelBlock<F, kVectors> to{out};
      PanelRows<F> rows;
      rows.begin(p, stride, to);
      // Parts with constant indices where there are few.
#pragma GCC unroll 2
      for (int part = 0; part < PanelRows<F>::kParts; part++) rows.part(p, stride, part, to);
      p += F::kBytes;
      out += kBlockBytes;
    }
  }
}

using Multiply = void (*)(const uint8_t* panel, const uint8_t* packed, int64_t groups, float* sums);

struct GemmFormat {
  ActivationOrder order;
  int block, block_bytes;
  void (*unpack)(const PanelSource&, uint8_t*);
  /// By number of columns.
  Multiply multiply[kColumns + 1];
};

/// Formats whose codes multiply alike share a microkernel: only AVX2 without VNNI and NEON without dot products look at
/// the codes' range.
#if (defined(__AVX2__) && !defined(__AVX512VNNI__) && !defined(__AVXVNNI__)) || \
    (defined(TW_NEON) && !defined(__ARM_FEATURE_DOTPROD))
struct AnyWide : SmallCodes<255> {
  static constexpr bool kWide = true;
};
template <class F>
using Kind = typename std::conditional<Stored<F>::kWide, AnyWide, SmallCodes<(Stored<F>::kMax <= 31 ? 31 : 63)>>::type;
#else
template <class F>
using Kind = SmallCodes<1>;
#endif

template <class F, int... columns>
GemmFormat make_format(std::integer_sequence<int, columns...>) {
  return {activation_order<F>(),
          F::kBlock,
          F::kBytes,
          unpack_panel<F>,
          {nullptr, multiply_panel<Kind<F>, F::kGroup / 4, F::kHasMin, columns + 1>...}};
}

GemmFormat gemm_format(tw_u32 format) {
  switch (format) {
#define TW_CASE(F) \
  case F::kId:     \
    return make_format<F>(std::make_integer_sequence<int, kColumns>());
    TW_FOR_EACH_FORMAT(TW_CASE)
#undef TW_CASE
    default:
      return {};
  }
}

class Gemm {
 public:
  Gemm(const Launch& launch, Pool& pool)
      : view_(launch),
        epilogue_(view_),
        pool_(pool),
        format_(gemm_format(view_.b_dtype())),
        q8_(launch.buffers[TW_MATMUL_BUF_A], view_.p.m * view_.batches(), view_.p.k),
        groups_(view_.p.k / format_.order.group) {}

  void run() {
    const int64_t batches = view_.batches();
    const int64_t m = view_.p.m;
    const int64_t n = view_.p.n;
    if (m <= 0 || n <= 0 || batches <= 0) return;
    plan();
    const int64_t blocks = ceil_div(m, columns_);
    packed_ = static_cast<uint8_t*>(pool_.reserve_shared(static_cast<size_t>(blocks * column_bytes())));
    pool_.reserve_scratch(static_cast<size_t>(kPanelBytes + (view_.gated() ? 2 : 1) * sums_floats() * 4));
    const int64_t n_tasks = ceil_div(n, task_rows_);
    const int64_t m_tasks = ceil_div(m, task_columns_);
    // Neighbouring tiles for a thread where it prefetches; else, as small pieces as there are.
    const int64_t chunk = prefetches_ ? max_of(1, n_tasks / (8 * pool_.threads())) : 1;
    const int64_t pieces = ceil_div(groups_, kPackedGroups);
    for (int64_t batch = 0; batch < batches; batch++) {
      const MatmulProblem problem = view_.problem(batch);
      pool_.parallel_for(blocks * pieces, 4,
                         [&](int64_t index, int) { pack(batch * m, index / pieces, index % pieces * kPackedGroups); });
      pool_.parallel_for(n_tasks * m_tasks, chunk, [&](int64_t index, int thread) {
        task(problem, index / m_tasks * task_rows_, index % m_tasks * task_columns_, thread);
      });
    }
  }

 private:
  static constexpr int64_t kPanelBytes = kDepth / 16 * panel_group_bytes<kVectors>(4) >
                                                 kDepth / 32 * panel_group_bytes<kVectors>(8)
                                             ? kDepth / 16 * panel_group_bytes<kVectors>(4)
                                             : kDepth / 32 * panel_group_bytes<kVectors>(8);
  /// Rows of activations up to which the next tile is prefetched.
  static constexpr int64_t kPrefetchRows = 64;

  int64_t column_bytes() const { return groups_ * packed_group_bytes(format_.order.steps, columns_); }
  int64_t sums_floats() const { return round_up(task_columns_, columns_) * task_rows_; }

  /// Columns evenly over as few blocks as there can be. Task sizes: whole, unless that leaves threads without work.
  void plan() {
    const int64_t m = view_.p.m;
    columns_ = ceil_div(m, ceil_div(m, kColumns));
    prefetches_ = m <= kPrefetchRows;
    const int64_t tiles = view_.block_rows() == 0 ? (prefetches_ ? 1 : kTiles) : min_of(view_.block_rows(), kMostTiles);
    const int64_t most = view_.block_columns() == 0 ? kTaskColumns : min_of(view_.block_columns(), kMostColumns);
    task_rows_ = tiles * kTileRows;
    task_columns_ = min_of(max_of(most / columns_, 1) * columns_, round_up(m, columns_));
    // Whole super-blocks.
    depth_ = view_.block_depth() == 0 ? kDepth : min_of(round_up(view_.block_depth(), 256), kDepth);
    const int64_t wanted = 3 * pool_.threads();
    if (tasks() < wanted) task_rows_ = kTileRows;
    while (tasks() < wanted && task_columns_ > 8 * kColumns) task_columns_ = round_up(task_columns_ / 2, columns_);
  }
  int64_t tasks() const { return ceil_div(view_.p.n, task_rows_) * ceil_div(view_.p.m, task_columns_); }

  /// Groups from `first` on of columns block * columns_ .. of the activations from `first_row`.
  void pack(int64_t first_row, int64_t block, int64_t first) {
    const int64_t column = block * columns_;
    pack_columns(format_.order, q8_, first_row + column, min_of(columns_, view_.p.m - column), columns_, first,
                 min_of(first + kPackedGroups, groups_), packed_ + block * column_bytes());
  }

  void task(const MatmulProblem& problem, int64_t n0, int64_t m0, int thread) const {
    const int64_t rows = min_of(task_rows_, view_.p.n - n0);
    const int64_t columns = min_of(task_columns_, view_.p.m - m0);
    uint8_t* panel = static_cast<uint8_t*>(pool_.scratch(thread));
    float* sums = reinterpret_cast<float*>(panel + kPanelBytes);
    float* gate_sums = view_.gated() ? sums + sums_floats() : nullptr;
    multiply(problem.b, view_.p.b_stride[0], n0, rows, m0, columns, panel, sums);
    if (gate_sums != nullptr) multiply(problem.gate, view_.p.gate_stride[0], n0, rows, m0, columns, panel, gate_sums);
    for (int64_t tile = 0; tile * kTileRows < rows; tile++) {
      const int64_t first = tile * kTileRows;
      const int64_t tile_sums = tile * round_up(columns, columns_) * kTileRows;
      for (int64_t j = 0; j < columns; j++) {
        const int64_t at = tile_sums + j * kTileRows;
        epilogue_.store(problem, m0 + j, n0 + first, min_of(kTileRows, rows - first), sums + at,
                        gate_sums == nullptr ? nullptr : gate_sums + at);
      }
    }
  }

  /// sums[tile][column][row] of a task.
  void multiply(const char* b, int64_t stride, int64_t n0, int64_t rows, int64_t m0, int64_t columns, uint8_t* panel,
                float* sums) const {
    const ActivationOrder& order = format_.order;
    const Multiply multiply_columns = format_.multiply[columns_];
    const int64_t tile_sums = round_up(columns, columns_) * kTileRows;
    const int64_t tiles = ceil_div(rows, kTileRows);
    memset(sums, 0, static_cast<size_t>(tiles * tile_sums) * 4);
    const int64_t k = view_.p.k;
    for (int64_t k0 = 0; k0 < k; k0 += depth_) {
      const int64_t deep = min_of(depth_, k - k0);
      const int64_t groups = deep / order.group;
      for (int64_t tile = 0; tile < tiles; tile++) {
        const int64_t row = tile * kTileRows;
        const uint8_t* first =
            reinterpret_cast<const uint8_t*>(b) + (n0 + row) * stride + k0 / format_.block * format_.block_bytes;
        if (prefetches_) prefetch_next(b + (n0 + rows + row) * stride, kTileRows * stride, k0);
        format_.unpack({first, stride, min_of(kTileRows, rows - row), deep / format_.block}, panel);
        const uint8_t* packed =
            packed_ + m0 / columns_ * column_bytes() + k0 / order.group * packed_group_bytes(order.steps, columns_);
        for (int64_t j = 0; j < columns; j += columns_) {
          multiply_columns(panel, packed, groups, sums + tile * tile_sums + j * kTileRows);
          packed += column_bytes();
        }
      }
    }
  }

  /// The part of the next tile's `bytes` that belongs to the step at k0.
  void prefetch_next(const char* tile, int64_t bytes, int64_t k0) const {
    const int64_t part = bytes / ceil_div(view_.p.k, depth_);
    const int64_t from = k0 / depth_ * part;
    for (int64_t line = from; line < from + part; line += 64) prefetch_line(tile + line);
  }

  MatmulView view_;
  Epilogue epilogue_;
  Pool& pool_;
  GemmFormat format_;
  Q8Rows q8_;
  int64_t groups_;
  int64_t depth_ = kDepth;
  int64_t task_rows_ = 0;
  int64_t task_columns_ = 0;
  int64_t columns_ = 0;
  bool prefetches_ = false;
  uint8_t* packed_ = nullptr;
};

}  // namespace

void quant_gemm(const Launch& launch, Pool& pool) {
  pool.limit(MatmulView(launch).threads());
  Gemm(launch, pool).run();
}

}  // namespace TW_ISA
}  // namespace tw
