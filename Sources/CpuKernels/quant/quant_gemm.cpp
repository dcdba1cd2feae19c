// quant_gemm: many rows of q8 activations times block-quantized weights. One integer GEMM for every format: a format
// only unpacks its panel.
//
// A tile of kTileRows rows of weights is unpacked, kDepth weights deep, to a panel: per group of weights, vectors of
// kLanes rows by four codes, then the rows' scales and mins. Activations are packed once per launch, kColumns rows side
// by side: per group kColumns corrections, scales, and dwords of codes. The microkernel multiplies a panel by packed
// columns, broadcasting dwords of activations, and adds each group's product to f32 sums that stay in registers over
// the depth.
#include <type_traits>

#include "../epilogue.h"
#include "activations.h"
#include "kernels.h"

namespace tw {
namespace TW_ISA {
namespace {

#if defined(__AVX512F__)
// 2 x 16 rows by 6 columns: 12 integer and 12 float accumulators, 2 weight vectors, one broadcast, 4 for scales and
// mins.
constexpr int kVectors = 2;
constexpr int kColumns = 6;
#elif defined(__AVX2__)
constexpr int kVectors = 2;
constexpr int kColumns = 3;
#else
constexpr int kVectors = 2;
constexpr int kColumns = 4;
#endif

/// Rows of weights of a tile.
constexpr int kTileRows = kVectors * kLanes;
constexpr int kTileBytes = kVectors * kVectorBytes;
/// Weights of a row that a panel holds: 32 rows of codes and scales then stay in the first-level cache.
constexpr int64_t kDepth = 512;
/// Tiles that pass over the same activations, which then come from the second-level cache.
constexpr int64_t kTiles = 2;
/// Rows of activations of a task: their codes, kDepth deep, and the task's sums share the second-level cache.
constexpr int64_t kTaskColumns = 510;

/// Bytes of a group in a panel and in packed columns.
constexpr int64_t panel_group_bytes(int steps) {
  return static_cast<int64_t>(steps + 2) * kTileBytes;
}
constexpr int64_t packed_group_bytes(int steps) {
  return static_cast<int64_t>(steps + 2) * kColumns * 4;
}

/// Adds a panel times packed columns to sums[column][row].
template <class Stored, int kSteps, bool kHasMin>
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
    panel += panel_group_bytes(kSteps);
    packed += packed_group_bytes(kSteps);
  }
#pragma GCC unroll 8
  for (int j = 0; j < kColumns; j++) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; v++) store(sums + j * kTileRows + v * kLanes, acc[j][v]);
  }
}

/// Where the lanes of unpacked vectors go in a panel, relative to the unit.
template <class F>
struct PanelTable {
  using S = Shape<F>;
  int32_t codes[S::kSlices][S::kSteps][kLanes] = {};
  int32_t scales[S::kSlices][kLanes] = {};
  constexpr PanelTable() {
    for (int slice = 0; slice < S::kSlices; slice++) {
      for (int lane = 0; lane < kLanes; lane++) {
        for (int step = 0; step < S::kSteps; step++) {
          const int dword = Unpack<F>::dword(slice, step, lane);
          codes[slice][step][lane] =
              static_cast<int32_t>(dword / S::kSteps * panel_group_bytes(S::kSteps) + dword % S::kSteps * kTileBytes);
        }
        const int group = lane_group<F>(slice, lane);
        scales[slice][lane] = static_cast<int32_t>(group * panel_group_bytes(S::kSteps) + S::kSteps * kTileBytes);
      }
    }
  }
};
template <class F>
constexpr PanelTable<F> kPanelTable{};

/// Rows of weights, from some block on.
struct PanelSource {
  const uint8_t* b;
  int64_t stride;
  int64_t rows;    // that exist, at least 1; the tile's other rows repeat the last
  int64_t blocks;  // deep
};

template <class F>
void unpack_panel(const PanelSource& source, uint8_t* panel) {
  using S = Shape<F>;
  constexpr PanelTable<F> const& table = kPanelTable<F>;
  for (int v = 0; v < kVectors; v++) {
    const int64_t first = v * kLanes;
    uint8_t* out = panel + v * kVectorBytes;
    for (int64_t block = 0; block < source.blocks; block += S::kBlocks) {
      Unit<F> units[kLanes];
      for (int64_t r = 0; r < kLanes; r++) {
        const uint8_t* p = source.b + min_of(first + r, source.rows - 1) * source.stride + block * F::kBytes;
        if (source.blocks - block >= S::kBlocks) {
          Unpack<F>::load(p, units[r]);
        } else {
          load_partial<F>(p, source.blocks - block, units[r]);
        }
      }
      for (int slice = 0; slice < S::kSlices; slice++) {
        const auto transpose = [&](const void* row, uint8_t* dst, const int32_t* offset) {
          transpose_dwords(static_cast<const uint8_t*>(row), sizeof(Unit<F>), dst, offset);
        };
        for (int step = 0; step < S::kSteps; step++)
          transpose(&units[0].codes[slice][step], out, table.codes[slice][step]);
        transpose(&units[0].scale[slice], out, table.scales[slice]);
        if constexpr (F::kHasMin) transpose(&units[0].min[slice], out + kTileBytes, table.scales[slice]);
      }
      out += S::kWeights / F::kGroup * panel_group_bytes(S::kSteps);
    }
  }
}

struct GemmFormat {
  ActivationOrder order;
  int block, block_bytes;
  void (*unpack)(const PanelSource&, uint8_t*);
  void (*multiply)(const uint8_t*, const uint8_t*, int64_t, float*);
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

template <class F>
GemmFormat make_format() {
  return {activation_order<F>(), F::kBlock, F::kBytes, unpack_panel<F>,
          multiply_panel<Kind<F>, F::kGroup / 4, F::kHasMin>};
}

GemmFormat gemm_format(tw_u32 format) {
  switch (format) {
#define TW_CASE(F) \
  case F::kId:     \
    return make_format<F>();
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
    packed_ = static_cast<uint8_t*>(pool_.reserve_shared(static_cast<size_t>(ceil_div(m, kColumns) * column_bytes())));
    pool_.reserve_scratch(static_cast<size_t>(kPanelBytes + (view_.gated() ? 2 : 1) * sums_floats() * 4));
    const int64_t n_tasks = ceil_div(n, task_rows_);
    const int64_t m_tasks = ceil_div(m, task_columns_);
    for (int64_t batch = 0; batch < batches; batch++) {
      const MatmulProblem problem = view_.problem(batch);
      pool_.parallel_for(ceil_div(m, kColumns), 4, [&](int64_t block, int) { pack(batch * m, block); });
      pool_.parallel_for(n_tasks * m_tasks, 1, [&](int64_t index, int thread) {
        task(problem, index / m_tasks * task_rows_, index % m_tasks * task_columns_, thread);
      });
    }
  }

 private:
  static constexpr int64_t kPanelBytes = (kDepth + 16 * 32) / 16 * panel_group_bytes(4) >
                                                 (kDepth + 16 * 32) / 32 * panel_group_bytes(8)
                                             ? (kDepth + 16 * 32) / 16 * panel_group_bytes(4)
                                             : (kDepth + 16 * 32) / 32 * panel_group_bytes(8);

  int64_t column_bytes() const { return groups_ * packed_group_bytes(format_.order.steps); }
  int64_t sums_floats() const { return round_up(task_columns_, kColumns) * task_rows_; }

  /// Task sizes: whole, unless that leaves threads without work.
  void plan() {
    task_rows_ = kTiles * kTileRows;
    task_columns_ = min_of(kTaskColumns, round_up(view_.p.m, kColumns));
    const int64_t wanted = 3 * pool_.threads();
    if (tasks() < wanted) task_rows_ = kTileRows;
    while (tasks() < wanted && task_columns_ > 8 * kColumns) task_columns_ = round_up(task_columns_ / 2, kColumns);
  }
  int64_t tasks() const { return ceil_div(view_.p.n, task_rows_) * ceil_div(view_.p.m, task_columns_); }

  /// Columns block * kColumns .. of the activations from `first_row`; those past m are zero.
  void pack(int64_t first_row, int64_t block) {
    const ActivationOrder& order = format_.order;
    uint8_t* out = packed_ + block * column_bytes();
    for (int64_t j = 0; j < kColumns; j++) {
      const int64_t column = block * kColumns + j;
      const bool exists = column < view_.p.m;
      const int64_t row = first_row + column;
      const int8_t* codes = q8_.codes_of(row);
      for (int64_t g = 0; g < groups_; g++) {
        uint8_t* to = out + g * packed_group_bytes(order.steps) + 4 * j;
        const int64_t index = g * order.group;
        const float scale = exists ? q8_.scale(row, index) : 0.0f;
        const uint32_t correct = exists ? correction(order, scale, q8_.sum(row, index, order.group)) : 0;
        memcpy(to, &correct, 4);
        memcpy(to + 4 * kColumns, &scale, 4);
        for (int step = 0; step < order.steps; step++) {
          uint32_t dword = 0;
          if (exists) memcpy(&dword, codes + index + 4 * step, 4);
          memcpy(to + (2 + step) * 4 * kColumns, &dword, 4);
        }
      }
    }
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
      const int64_t tile_sums = tile * round_up(columns, kColumns) * kTileRows;
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
    const int64_t tile_sums = round_up(columns, kColumns) * kTileRows;
    const int64_t tiles = ceil_div(rows, kTileRows);
    memset(sums, 0, static_cast<size_t>(tiles * tile_sums) * 4);
    const int64_t k = view_.p.k;
    const int64_t depth = round_up(kDepth, order.weights);
    for (int64_t k0 = 0; k0 < k; k0 += depth) {
      const int64_t deep = min_of(depth, k - k0);
      const int64_t groups = deep / order.group;
      for (int64_t tile = 0; tile < tiles; tile++) {
        const int64_t row = tile * kTileRows;
        const uint8_t* first =
            reinterpret_cast<const uint8_t*>(b) + (n0 + row) * stride + k0 / format_.block * format_.block_bytes;
        format_.unpack({first, stride, min_of(kTileRows, rows - row), deep / format_.block}, panel);
        const uint8_t* packed =
            packed_ + m0 / kColumns * column_bytes() + k0 / order.group * packed_group_bytes(order.steps);
        for (int64_t j = 0; j < columns; j += kColumns) {
          format_.multiply(panel, packed, groups, sums + tile * tile_sums + j * kTileRows);
          packed += column_bytes();
        }
      }
    }
  }

  MatmulView view_;
  Epilogue epilogue_;
  Pool& pool_;
  GemmFormat format_;
  Q8Rows q8_;
  int64_t groups_;
  int64_t task_rows_ = 0;
  int64_t task_columns_ = 0;
  uint8_t* packed_ = nullptr;
};

}  // namespace

void quant_gemm(const Launch& launch, Pool& pool) {
  Gemm(launch, pool).run();
}

}  // namespace TW_ISA
}  // namespace tw
