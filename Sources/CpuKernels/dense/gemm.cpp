// Cache-blocked GEMM. One operand, the "columns", is packed whole into panels that lie along k, in parallel; then every
// task takes a group of rows of the other and a block of columns, packs each row panel just before it is used (so
// quantized weights are decoded straight into L1) and runs over all of k with its sums in L2. There is one barrier in
// between, and the epilogue sees sums that are still in the cache.
//
// Either of a and b may be the columns: whichever makes packing and padding cheaper.
#include "../epilogue.h"
#include "batches.h"
#include "kernels.h"
#include "microkernel.h"

namespace tw {
namespace TW_ISA {
namespace {

/// Packed columns are kept below this, so that they stay in a last-level cache of common size.
constexpr int64_t kPackedFloats = 8 << 20;
/// Columns of one task: with kKBlock of k they take half a megabyte, half of an L2 cache.
constexpr int64_t kTaskColumns = 512;
/// The same for columns that a task packs by itself, where the packing is not shared either.
constexpr int64_t kPrivateColumns = 256;
constexpr int64_t kTaskTiles = 8;
/// Most of both that a launch may ask for.
constexpr int64_t kMostTiles = 16;
constexpr int64_t kMostColumns = 2048;
/// Below this many multiply-adds, waking a second thread costs more than it saves.
constexpr int64_t kParallelWork = 1 << 20;

/// Rough cycles per element to bring an operand into panels, relative to one vector multiply-add.
inline double pack_cost(const Operand& x, bool as_columns) {
  const double read = x.quantized() ? 0.6 : x.affine.any() ? 0.3 : 0.15;
  if (x.k_contiguous()) return read + (as_columns ? 0.4 : 0.0);
  if (x.row_contiguous()) return read + (as_columns && !x.affine.any() ? 0.0 : 0.4);
  return read + (as_columns ? 2.4 : 2.0);
}

/// Cycles of the whole product with `c` as columns and `r` as rows.
inline double product_cost(const Operand& r, int64_t rows, const Operand& c, int64_t columns, int64_t k) {
  const double multiply = static_cast<double>(rows) * static_cast<double>(ceil_div(columns, kLanes));
  const double pack =
      static_cast<double>(columns) * pack_cost(c, true) +
      static_cast<double>(rows) * pack_cost(r, false) * static_cast<double>(ceil_div(columns, kTaskColumns));
  return (multiply + pack) * static_cast<double>(k);
}

/// How one launch is cut up. "rows" and "columns" are those of the microkernel: of a and b, or of b and a if swapped.
struct Plan {
  bool swapped;
  int64_t rows, columns, k;
  int64_t products;         // 2 with a gate
  int64_t column_products;  // how many of them have columns of their own
  bool private_columns;     // tasks pack their own columns
  bool shared_columns;      // the same columns for every batch entry
  int64_t block_depth;      // k per packed panel
  int64_t depth;            // the same, or all of k if that is less
  int64_t k_blocks;
  int64_t batch_group;    // batch entries that are packed together
  int64_t super_columns;  // columns that are packed together
  int64_t task_columns, task_rows;
  int64_t splits;  // parts of k that are summed apart
  bool parallel;

  int64_t panel_floats() const { return depth * kTileColumns; }
  int64_t panels() const { return ceil_div(super_columns, kTileColumns); }
  int64_t packed_floats() const {
    if (private_columns) return 0;
    return (shared_columns ? 1 : batch_group) * column_products * k_blocks * panels() * panel_floats();
  }
  /// Stride of the sums; the pad keeps the rows of a tile out of each other's cache sets.
  int64_t sum_stride() const { return task_columns + 16; }
  int64_t sum_floats() const { return round_up(task_rows, kLanes) * sum_stride(); }
  int64_t private_floats() const {
    return private_columns ? column_products * ceil_div(task_columns, kTileColumns) * panel_floats() : 0;
  }
  int64_t row_groups() const { return ceil_div(rows, task_rows); }
  int64_t column_groups(int64_t columns_now) const { return ceil_div(columns_now, task_columns); }
};

inline bool zeros(const tw_i64 (&stride)[4], const tw_i64 (&batch)[4]) {
  for (int d = 0; d < 4; d++) {
    if (stride[d] != 0 && batch[d] != 1) return false;
  }
  return true;
}

/// `pieces` equal parts of `total`, each a multiple of `step` and at most about `limit`.
inline int64_t even_part(int64_t total, int64_t limit, int64_t step) {
  limit = max_of(limit / step * step, step);
  return min_of(limit, round_up(ceil_div(total, ceil_div(total, limit)), step));
}

/// What a launch asks for, within what there is room for; `own` if it asks for nothing.
inline int64_t asked(int64_t value, int64_t most, int64_t own) {
  return value == 0 ? own : min_of(value, most);
}

Plan make_plan(const MatmulView& view, int threads) {
  const tw_matmul_params& p = view.p;
  Plan plan{};
  const MatmulProblem first = view.problem(0);
  const Operand a = a_operand(view, first);
  const Operand b = b_operand(view, first);
  plan.products = view.gated() ? 2 : 1;
  plan.swapped = product_cost(b, p.n, a, p.m, p.k) < product_cost(a, p.m, b, p.n, p.k);
  plan.rows = plan.swapped ? p.n : p.m;
  plan.columns = plan.swapped ? p.m : p.n;
  plan.k = p.k;
  plan.column_products = plan.swapped ? 1 : plan.products;
  plan.shared_columns = plan.swapped ? zeros(p.a_batch, p.batch)
                                     : zeros(p.b_batch, p.batch) && (!view.gated() || zeros(p.gate_batch, p.batch));
  // Panels of quantized weights are whole blocks deep.
  plan.block_depth = view.quantized() ? kKBlock : round_up(asked(view.block_depth(), kKBlock, kKBlock), kLanes);
  plan.depth = min_of(plan.block_depth, round_up(max_of(p.k, 1), kLanes));
  plan.k_blocks = ceil_div(p.k, plan.block_depth);

  const int64_t batches = view.batches();
  const int64_t work = plan.rows * plan.columns * max_of(plan.k, 1) * batches * plan.products;
  plan.parallel = threads > 1 && work >= kParallelWork;
  plan.task_rows = min_of(plan.rows, kTileRows * asked(view.block_rows(), kMostTiles, kTaskTiles));
  const int64_t most_columns = asked(view.block_columns(), kMostColumns, kTaskColumns);
  plan.private_columns = plan.rows <= plan.task_rows;
  if (plan.private_columns) {
    plan.batch_group = batches;
    plan.super_columns = plan.columns;
    const int64_t tasks = plan.parallel ? 4 * threads : 1;
    const int64_t own_columns = asked(view.block_columns(), kMostColumns, kPrivateColumns);
    const int64_t limit = min_of(own_columns / plan.products, ceil_div(plan.columns * batches, tasks));
    plan.task_columns = even_part(plan.columns, round_up(limit, kTileColumns), kTileColumns);
  } else {
    const int64_t column_floats = max_of(plan.k_blocks * plan.depth * plan.column_products, 1);
    plan.super_columns = even_part(plan.columns, kPackedFloats / column_floats, kTileColumns);
    plan.batch_group = plan.shared_columns
                           ? batches
                           : min_of(batches, max_of(1, kPackedFloats / (column_floats * plan.super_columns)));
    plan.task_columns = even_part(plan.super_columns, most_columns / plan.products, kTileColumns);
  }

  plan.splits = 1;
  if (plan.parallel) {
    const int64_t blocks = plan.column_groups(plan.super_columns) * plan.batch_group;
    if (!plan.private_columns) {
      const int64_t wanted = ceil_div(4 * threads, blocks);
      plan.task_rows = min_of(plan.task_rows, round_up(ceil_div(plan.rows, wanted), kTileRows));
    }
    const int64_t tasks = plan.row_groups() * blocks;
    if (tasks < 2 * threads) {
      plan.splits = max_of(1, min_of(plan.k_blocks / 4, ceil_div(2 * threads, tasks)));
    }
  }
  return plan;
}

class Gemm {
 public:
  Gemm(const MatmulView& view, Pool& pool)
      : view_(view), pool_(pool), epilogue_(view), plan_(make_plan(view, pool.threads())) {
    const int64_t partials = plan_.splits > 1
                                 ? plan_.batch_group * plan_.row_groups() * plan_.column_groups(plan_.super_columns) *
                                       plan_.splits * plan_.products * plan_.sum_floats()
                                 : 0;
    packed_ = static_cast<float*>(
        pool.reserve_shared(static_cast<size_t>(plan_.packed_floats() + partials + kLanes) * sizeof(float)));
    partials_ = packed_ + plan_.packed_floats();
    pool.reserve_scratch(static_cast<size_t>(kSums + plan_.products * plan_.sum_floats() + plan_.private_floats()) *
                         sizeof(float));
  }

  void run() {
    const int64_t batches = view_.batches();
    for (int64_t batch = 0; batch < batches; batch += plan_.batch_group) {
      const int64_t group = min_of(plan_.batch_group, batches - batch);
      for (int64_t column = 0; column < plan_.columns; column += plan_.super_columns) {
        const int64_t columns = min_of(plan_.super_columns, plan_.columns - column);
        // Columns that all batch entries share are still there when there is only one block of them.
        if (!plan_.private_columns && (!plan_.shared_columns || batch == 0 || plan_.super_columns < plan_.columns)) {
          pack(batch, plan_.shared_columns ? 1 : group, column, columns);
        }
        multiply(batch, group, column, columns);
      }
    }
  }

 private:
  // Scratch of a thread, in floats.
  static constexpr int64_t kRowPanel = 0;
  static constexpr int64_t kPack = kRowPanel + kTileRows * kKBlock;
  static constexpr int64_t kTurned = kPack + kPackScratch;
  static constexpr int64_t kSums = kTurned + kLanes * (kTileRows * kMostTiles + kLanes);

  struct Task {
    MatmulProblem problem;
    int64_t packed_batch;
    int64_t row, rows, column, columns;  // column counts from the first packed one
    int64_t first_block, end_block;
  };

  float* panel(int64_t batch, int64_t product, int64_t block, int64_t index) const {
    return packed_ + (((batch * plan_.column_products + product) * plan_.k_blocks + block) * plan_.panels() + index) *
                         plan_.panel_floats();
  }

  Operand operand(const MatmulProblem& problem, bool of_b, int64_t product) const {
    if (!of_b) return a_operand(view_, problem);
    return product == 0 ? b_operand(view_, problem) : gate_operand(view_, problem);
  }

  /// Serial when the launch is too small for more.
  int64_t chunk(int64_t count) const { return plan_.parallel ? 1 : count; }

  void pack(int64_t batch, int64_t group, int64_t column, int64_t columns) {
    // Several panels at a time, so that row-contiguous sources are read in long runs.
    constexpr int64_t kPanels = 8;
    const int64_t runs = ceil_div(ceil_div(columns, kTileColumns), kPanels);
    const int64_t units = group * plan_.column_products * plan_.k_blocks * runs;
    pool_.parallel_for(units, chunk(units), [&](int64_t unit, int thread) {
      float* scratch = static_cast<float*>(pool_.scratch(thread)) + kPack;
      const int64_t run = unit % runs;
      const int64_t block = unit / runs % plan_.k_blocks;
      const int64_t product = unit / runs / plan_.k_blocks % plan_.column_products;
      const int64_t entry = unit / runs / plan_.k_blocks / plan_.column_products;
      const Operand x = operand(view_.problem(batch + entry), !plan_.swapped, product);
      const int64_t k0 = block * plan_.block_depth;
      const int64_t count = min_of(plan_.block_depth, plan_.k - k0);
      const int64_t first = run * kPanels * kTileColumns;
      pack_columns<kTileColumns>(x, column + first, min_of(kPanels * kTileColumns, columns - first), k0, count,
                                 panel(entry, product, block, run * kPanels), plan_.panel_floats(), scratch);
    });
  }

  void multiply(int64_t batch, int64_t group, int64_t column, int64_t columns) {
    const int64_t row_groups = plan_.row_groups();
    const int64_t column_groups = plan_.column_groups(columns);
    const int64_t tiles = group * row_groups * column_groups;
    const auto task_of = [&](int64_t tile, int64_t split) {
      Task task{};
      const int64_t entry = tile / row_groups / column_groups;
      task.problem = view_.problem(batch + entry);
      task.packed_batch = plan_.shared_columns ? 0 : entry;
      task.row = tile % row_groups * plan_.task_rows;
      task.rows = min_of(plan_.task_rows, plan_.rows - task.row);
      task.column = tile / row_groups % column_groups * plan_.task_columns;
      task.columns = min_of(plan_.task_columns, columns - task.column);
      task.first_block = plan_.k_blocks * split / plan_.splits;
      task.end_block = plan_.k_blocks * (split + 1) / plan_.splits;
      return task;
    };
    if (plan_.splits == 1) {
      pool_.parallel_for(tiles, chunk(tiles), [&](int64_t tile, int thread) {
        float* scratch = static_cast<float*>(pool_.scratch(thread));
        const Task task = task_of(tile, 0);
        accumulate(task, column, scratch, scratch + kSums);
        finish(task, column, scratch, scratch + kSums);
      });
      return;
    }
    const int64_t sums = plan_.products * plan_.sum_floats();
    pool_.parallel_for(tiles * plan_.splits, 1, [&](int64_t unit, int thread) {
      accumulate(task_of(unit / plan_.splits, unit % plan_.splits), column, static_cast<float*>(pool_.scratch(thread)),
                 partials_ + unit * sums);
    });
    pool_.parallel_for(tiles, 1, [&](int64_t tile, int thread) {
      const Task task = task_of(tile, 0);
      float* total = partials_ + tile * plan_.splits * sums;
      for (int64_t split = 1; split < plan_.splits; split++) {
        const float* part = total + split * sums;
        for (int64_t product = 0; product < plan_.products; product++) {
          for (int64_t i = 0; i < task.rows; i++) {
            const int64_t at = product * plan_.sum_floats() + i * plan_.sum_stride();
            for (int64_t j = 0; j < task.columns; j += kLanes)
              store(total + at + j, load(total + at + j) + load(part + at + j));
          }
        }
      }
      finish(task, column, static_cast<float*>(pool_.scratch(thread)), total);
    });
  }

  /// Sums of a task over its blocks of k.
  void accumulate(const Task& task, int64_t column, float* scratch, float* sums) const {
    float* row_panel = scratch + kRowPanel;
    if (task.first_block == task.end_block) {
      memset(sums, 0, static_cast<size_t>(plan_.products * plan_.sum_floats()) * sizeof(float));
      return;
    }
    const int64_t tiles = ceil_div(task.rows, kTileRows);
    float* own = scratch + kSums + plan_.products * plan_.sum_floats();
    const int64_t product_floats = plan_.private_floats() / plan_.column_products;
    for (int64_t block = task.first_block; block < task.end_block; block++) {
      const int64_t k0 = block * plan_.block_depth;
      const int64_t count = min_of(plan_.block_depth, plan_.k - k0);
      for (int64_t product = 0; plan_.private_columns && product < plan_.column_products; product++) {
        pack_columns<kTileColumns>(operand(task.problem, !plan_.swapped, product), column + task.column, task.columns,
                                   k0, count, own + product * product_floats, plan_.panel_floats(), scratch + kPack);
      }
      for (int64_t tile = 0; tile < tiles; tile++) {
        // Tiles of even height: 16 rows are 8 + 8, not 14 + 2.
        const int64_t row = task.rows * tile / tiles;
        const int64_t height = task.rows * (tile + 1) / tiles - row;
        for (int64_t product = 0; product < plan_.products; product++) {
          if (product == 0 || plan_.swapped) {
            pack_rows(operand(task.problem, plan_.swapped, product), task.row + row, height, k0, count, row_panel,
                      scratch + kPack);
          }
          float* to = sums + product * plan_.sum_floats() + row * plan_.sum_stride();
          const int64_t column_product = plan_.swapped ? 0 : product;
          const float* columns = plan_.private_columns
                                     ? own + column_product * product_floats
                                     : panel(task.packed_batch, column_product, block, task.column / kTileColumns);
          const Operand source = operand(task.problem, plan_.swapped, product);
          for (int64_t j = 0; j < task.columns; j += kTileColumns, columns += plan_.panel_floats()) {
            if (tile + 1 < tiles) {
              prefetch_rows(source, task.row + row + height, height, k0, count, j / kTileColumns,
                            ceil_div(task.columns, kTileColumns));
            }
            const int64_t vectors = min_of(kTileVectors, ceil_div(task.columns - j, kLanes));
            select_tile(height, vectors)(count, row_panel, columns, to + j, plan_.sum_stride(),
                                         block > task.first_block);
          }
        }
      }
    }
  }

  /// The epilogue of a task, in rows of the output.
  void finish(const Task& task, int64_t column, float* scratch, const float* sums) const {
    const float* gate = plan_.products == 2 ? sums + plan_.sum_floats() : nullptr;
    const int64_t stride = plan_.sum_stride();
    const int64_t first = column + task.column;
    if (!plan_.swapped) {
      for (int64_t i = 0; i < task.rows; i++) {
        epilogue_.store(task.problem, task.row + i, first, task.columns, sums + i * stride,
                        gate == nullptr ? nullptr : gate + i * stride);
      }
      return;
    }
    // Sums are [n][m]: turn kLanes rows of m at a time. The packing scratch is free by now and takes the gate's.
    const int64_t length = round_up(task.rows, kLanes);
    float* turned = scratch + kTurned;
    float* turned_gate = scratch + kPack;
    for (int64_t j = 0; j < task.columns; j += kLanes) {
      for (int64_t i = 0; i < task.rows; i += kLanes) {
        transpose_tile(sums + i * stride + j, stride, turned + i, length);
        if (gate != nullptr) transpose_tile(gate + i * stride + j, stride, turned_gate + i, length);
      }
      const int64_t height = min_of(kLanes, task.columns - j);
      for (int64_t i = 0; i < height; i++) {
        epilogue_.store(task.problem, first + j + i, task.row, task.rows, turned + i * length,
                        gate == nullptr ? nullptr : turned_gate + i * length);
      }
    }
  }

  const MatmulView& view_;
  Pool& pool_;
  const Epilogue epilogue_;
  const Plan plan_;
  float* packed_;
  float* partials_;
};

}  // namespace

void gemm(const Launch& launch, Pool& pool) {
  const tw_matmul_params folded = fold_batches(MatmulView(launch));
  const MatmulView view(Launch{&folded, launch.constants, launch.buffers});
  if (view.batches() == 0 || folded.m == 0 || folded.n == 0) return;
  pool.limit(view.threads());
  Gemm(view, pool).run();
}

}  // namespace TW_ISA
}  // namespace tw
