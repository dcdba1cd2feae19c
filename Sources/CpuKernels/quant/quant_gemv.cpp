// quant_gemv: a few rows of q8 activations times block-quantized weights, which are read once, straight from the file's
// bytes.
#include "../epilogue.h"
#include "gemv_tile.h"
#include "kernels.h"

namespace tw {
namespace TW_ISA {
namespace {

/// Bytes of records that stay in the first-level cache while a block of rows passes.
constexpr int64_t kRecordBytes = 20 * 1024;

/// Weights that a thread reads at a stretch. Threads that take turns at 64 KB get only 65 % of the bandwidth that they
/// get from 256 KB on (Zen 4, two threads): the hardware's prefetchers run past the end of every stretch.
constexpr int64_t kTaskBytes = 512 * 1024;

template <class F>
void one_column(const RowsJob& job) {
  using S = Shape<F>;
  constexpr int64_t kRecord = S::kSlices * (S::kSteps + 2) * kVectorBytes;
  const int64_t whole = job.k / S::kWeights;
  const int64_t rest = (job.k - whole * S::kWeights) / F::kBlock;
  for (int64_t row = 0; row < job.rows; row++) {
    const uint8_t* p = job.b + row * job.stride;
    const uint8_t* record = job.records;
    F32 acc[1] = {};
    Unit<F> unit[1];
    for (int64_t u = 0; u < whole; u++) {
      prefetch_ahead<S::kBytes>(p);
      Unpack<F>::load(p, unit[0]);
      multiply_unit<F, 1>(unit, record, acc);
      p += S::kBytes;
      record += kRecord;
    }
    if (rest > 0) {
      load_partial<F>(p, rest, unit[0]);
      multiply_unit<F, 1>(unit, record, acc);
    }
    job.sums[row] = reduce_add(acc[0]);
  }
}

template <class F, int kRows>
TW_INLINE void load_rows(const uint8_t* p, int64_t stride, int64_t blocks, Unit<F> (&unit)[kRows]) {
  for (int r = 0; r < kRows; r++) {
    if (blocks >= Shape<F>::kBlocks) {
      Unpack<F>::load(p + r * stride, unit[r]);
    } else {
      load_partial<F>(p + r * stride, blocks, unit[r]);
    }
  }
}

/// `count` units of kRows rows, from the weights at p and the records at `record`.
template <class F, int kRows>
TW_INLINE void multiply_rows(const uint8_t* p, int64_t stride, int64_t blocks, const uint8_t* record, int64_t m,
                             float* acc) {
  using S = Shape<F>;
  constexpr int64_t kRecord = S::kSlices * (S::kSteps + 2) * kVectorBytes;
  for (; blocks > 0; blocks -= S::kBlocks) {
    Unit<F> unit[kRows];
    load_rows<F, kRows>(p, stride, blocks, unit);
    float* sums = acc;
    for (int64_t i = 0; i < m; i++) {
      F32 sum[kRows];
      for (int r = 0; r < kRows; r++) sum[r] = load(sums + r * kLanes);
      multiply_unit<F, kRows>(unit, record, sum);
      for (int r = 0; r < kRows; r++) store(sums + r * kLanes, sum[r]);
      record += kRecord;
      sums += kRowBlock * kLanes;
    }
    p += S::kBytes;
  }
}

template <class F>
void some_columns(const RowsJob& job) {
  using S = Shape<F>;
  constexpr int64_t kRecord = S::kSlices * (S::kSteps + 2) * kVectorBytes;
  // [column][row][lane]
  alignas(64) float acc[kMaxColumns * kRowBlock * kLanes];
  memset(acc, 0, static_cast<size_t>(job.m) * kRowBlock * kVectorBytes);
  const int64_t blocks = job.k / F::kBlock;
  const int64_t step = max_of(1, kRecordBytes / (job.m * kRecord)) * S::kBlocks;
  for (int64_t block = 0; block < blocks; block += step) {
    const int64_t count = min_of(step, blocks - block);
    const uint8_t* records = job.records + block / S::kBlocks * job.m * kRecord;
    const uint8_t* p = job.b + block * F::kBytes;
    int64_t row = 0;
    for (; row + 2 <= job.rows; row += 2) {
      multiply_rows<F, 2>(p + row * job.stride, job.stride, count, records, job.m, acc + row * kLanes);
    }
    if (row < job.rows) {
      multiply_rows<F, 1>(p + row * job.stride, job.stride, count, records, job.m, acc + row * kLanes);
    }
  }
  for (int64_t i = 0; i < job.m; i++) {
    for (int64_t row = 0; row < job.rows; row++) {
      job.sums[i * kRowBlock + row] = reduce_add(load(acc + (i * kRowBlock + row) * kLanes));
    }
  }
}

/// Whether a block of rows fits the lanes of a vector (gemv_tile.h).
constexpr bool kTiled = kLanes == kRowBlock;
/// Rows of activations at a time.
constexpr int64_t kPartColumns = kTiled ? 8 : kMaxColumns;

using Rows = void (*)(const RowsJob&);
struct GemvFormat {
  ActivationOrder order;
  Rows one;
  /// A few rows: up to four, and more.
  Rows few, more;
};

template <class F>
constexpr GemvFormat make_format() {
  if constexpr (kTiled) {
    return {activation_order<F>(), one_column<F>, tile_columns<F, 4>, tile_columns<F, 8>};
  } else {
    return {activation_order<F>(), one_column<F>, some_columns<F>, some_columns<F>};
  }
}

GemvFormat gemv_format(tw_u32 format) {
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

/// One batch entry and a range of at most kMaxColumns rows of its activations.
struct Part {
  MatmulProblem problem;
  int64_t first_row;  // of the activations
  int64_t m0, m;
};

class Gemv {
 public:
  Gemv(const Launch& launch, Pool& pool)
      : view_(launch),
        epilogue_(view_),
        pool_(pool),
        format_(gemv_format(view_.b_dtype())),
        q8_(launch.buffers[TW_MATMUL_BUF_A], view_.p.m * view_.batches(), view_.p.k) {}

  void run() {
    const int64_t batches = view_.batches();
    for (int64_t batch = 0; batch < batches; batch++) {
      for (int64_t m = 0; m < view_.p.m; m += kPartColumns) {
        run_part({view_.problem(batch), batch * view_.p.m + m, m, min_of(kPartColumns, view_.p.m - m)});
      }
    }
  }

 private:
  void run_part(const Part& part) {
    const uint8_t* records = kTiled && part.m > 1 ? packed(part) : arranged(part);
    const int64_t n = view_.p.n;
    const int64_t blocks = ceil_div(n, kRowBlock);
    const int64_t block_bytes = kRowBlock * max_of(1, view_.p.b_stride[0]);
    // Tiles prefetch the next one, so a thread's first is the only one that comes late.
    const int64_t wanted = kTiled && part.m > 1 ? blocks : kTaskBytes / block_bytes;
    const int64_t chunk = max_of(1, min_of(wanted, blocks / (4 * pool_.threads())));
    pool_.parallel_for(blocks, chunk, [&](int64_t block, int) {
      const int64_t row = block * kRowBlock;
      multiply(part, records, row, min_of(kRowBlock, n - row));
    });
  }

  /// Records of every unit and row (activations.h).
  const uint8_t* arranged(const Part& part) {
    const ActivationOrder& order = format_.order;
    const int64_t units = order.units(view_.p.k);
    uint8_t* records = static_cast<uint8_t*>(pool_.reserve_shared(units * part.m * order.record_bytes()));
    pool_.parallel_for(part.m * units, 8, [&](int64_t index, int) {
      const int64_t i = index / units;
      const int64_t unit = index % units;
      arrange(order, q8_, part.first_row + i, unit, records + (unit * part.m + i) * order.record_bytes());
    });
    return records;
  }

  static int64_t columns_of(const Part& part) { return part.m <= 4 ? 4 : 8; }

  const uint8_t* packed(const Part& part) {
    const ActivationOrder& order = format_.order;
    const int64_t groups = view_.p.k / order.group;
    const int64_t columns = columns_of(part);
    uint8_t* out = static_cast<uint8_t*>(pool_.reserve_shared(groups * packed_group_bytes(order.steps, columns)));
    pool_.parallel_for(ceil_div(groups, kPackedGroups), 2, [&](int64_t piece, int) {
      const int64_t first = piece * kPackedGroups;
      pack_columns(order, q8_, part.first_row, part.m, columns, first, min_of(first + kPackedGroups, groups), out);
    });
    return out;
  }

  void multiply(const Part& part, const uint8_t* records, int64_t row, int64_t rows) const {
    float sums[2][kMaxColumns * kRowBlock];
    sums_of(part.problem.b, view_.p.b_stride[0], part, records, row, rows, sums[0]);
    if (view_.gated()) sums_of(part.problem.gate, view_.p.gate_stride[0], part, records, row, rows, sums[1]);
    for (int64_t i = 0; i < part.m; i++) {
      epilogue_.store(part.problem, part.m0 + i, row, rows, sums[0] + i * kRowBlock,
                      view_.gated() ? sums[1] + i * kRowBlock : nullptr);
    }
  }

  void sums_of(const char* b, int64_t stride, const Part& part, const uint8_t* records, int64_t row, int64_t rows,
               float* sums) const {
    const RowsJob job{
        reinterpret_cast<const uint8_t*>(b) + row * stride, stride, rows, view_.p.k, records, part.m, sums};
    (part.m == 1 ? format_.one : part.m <= 4 ? format_.few : format_.more)(job);
  }

  MatmulView view_;
  Epilogue epilogue_;
  Pool& pool_;
  GemvFormat format_;
  Q8Rows q8_;
};

}  // namespace

void quant_gemv(const Launch& launch, Pool& pool) {
  pool.limit(MatmulView(launch).threads());
  Gemv(launch, pool).run();
}

}  // namespace TW_ISA
}  // namespace tw
