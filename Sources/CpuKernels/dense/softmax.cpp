// softmax(scale * x + mask) along a dimension of any stride, in f32.
//
// Error of an output y, with u = 2^-24 and t = scale * x + mask as f32 gives it (two roundings, not part of the bound):
// |error| <= y * (length / kLanes + 16) u + 2^-149: exp is within 1 ulp, the sum adds length / kLanes roundings per
// lane, then one division and one product. A row that is all -inf gives zeros; a row with a NaN or a +inf gives NaNs.
#include "../simd/math.h"
#include "../simd/strided.h"
#include "kernels.h"

namespace tw {
namespace TW_ISA {
namespace {

constexpr int kRank = 7;
/// Elements of a row that are kept as floats between the passes: half an L1 cache. Longer rows compute exp twice.
constexpr int64_t kPiece = 4096;
/// Elements that a thread takes at a time.
constexpr int64_t kGrain = 1 << 13;
constexpr float kInfinity = __builtin_inff();

struct Stream {
  void* base;
  tw_u32 dtype;
  int64_t stride;  // along the row
};

/// Offsets of a row in src, dst and mask.
struct Row {
  int64_t at[3];
};

/// The largest value and the sum of exp(value - largest) of a piece of a row.
struct Part {
  float largest, sum;
};

class Softmax {
 public:
  Softmax(const Launch& launch, Pool& pool)
      : p_(launch.as<tw_softmax_params>()),
        pool_(pool),
        src_{launch.buffers[TW_SOFTMAX_BUF_SRC], launch.constants[TW_SOFTMAX_CONST_SRC_DTYPE], p_.inner_stride[0]},
        dst_{launch.buffers[TW_SOFTMAX_BUF_DST], launch.constants[TW_SOFTMAX_CONST_DST_DTYPE], p_.inner_stride[1]},
        mask_{launch.buffers[TW_SOFTMAX_BUF_MASK], launch.constants[TW_SOFTMAX_CONST_MASK_DTYPE], p_.inner_stride[2]} {}

  void run() {
    rows_ = 1;
    for (int64_t size : p_.shape) rows_ *= size;
    if (rows_ == 0 || p_.length == 0) return;
    lane_ = lane_dimension();
    if (lane_ >= 0) {
      run_lanes();
    } else if (p_.length <= kPiece) {
      run_short();
    } else {
      run_long();
    }
  }

 private:
  /// An outer dimension along which lanes can lie because the row itself is not contiguous, or -1.
  int lane_dimension() const {
    if (p_.inner_stride[0] == 1 || p_.length == 1) return -1;
    for (int d = kRank - 1; d >= 0; d--) {
      if (p_.src_stride[d] == 1 && p_.shape[d] > 1) return d;
    }
    return -1;
  }

  Row row(int64_t index, int skip = -1) const {
    Row row{};
    for (int d = kRank - 1; d >= 0; d--) {
      if (d == skip) continue;
      const int64_t at = index % p_.shape[d];
      index /= p_.shape[d];
      row.at[0] += at * p_.src_stride[d];
      row.at[1] += at * p_.dst_stride[d];
      row.at[2] += at * p_.mask_stride[d];
    }
    return row;
  }

  /// scale * x + mask of elements first .. first + count of a row, and the largest of them; NaNs do not count.
  float read(const Row& row, int64_t first, int64_t count, float* values) const {
    F32 largest = splat(-kInfinity);
    const int64_t from = row.at[0] + first * src_.stride;
    if (src_.stride == 1) {
      with_float_element(src_.dtype, [&](auto element) {
        const auto* p = static_cast<const typename decltype(element)::T*>(src_.base) + from;
        int64_t i = 0;
        for (; i + kLanes <= count; i += kLanes) {
          const F32 x = p_.scale * element.load(p + i);
          store(values + i, x);
          largest = max(x, largest);
        }
        if (i < count) store_n(values + i, p_.scale * element.load_n(p + i, count - i), count - i);
      });
    } else {
      for (int64_t i = 0; i < count; i++) {
        values[i] = p_.scale * load_element(src_.base, src_.dtype, from + i * src_.stride);
      }
    }
    if (mask_.base == nullptr && src_.stride == 1) {
      float top = reduce_max(largest);
      for (int64_t i = count / kLanes * kLanes; i < count; i++) top = values[i] > top ? values[i] : top;
      return top;
    }
    largest = splat(-kInfinity);
    for (int64_t i = 0; i < count; i += kLanes) {
      const int64_t n = min_of(kLanes, count - i);
      F32 x = load_n(values + i, n);
      if (mask_.base != nullptr) {
        x += load_strided(mask_.base, mask_.dtype, row.at[2] + (first + i) * mask_.stride, mask_.stride, n);
        store_n(values + i, x, n);
      }
      if (n < kLanes) {
        float lanes[kLanes];
        store(lanes, splat(-kInfinity));
        store_n(lanes, x, n);
        x = load(lanes);
      }
      largest = max(x, largest);
    }
    return reduce_max(largest);
  }

  /// values become exp(value - largest); returns their sum. `largest` is -inf only if all are -inf or NaN: then the
  /// values become 0, or NaN.
  static float exponentials(float* values, int64_t count, float largest) {
    // -inf - -inf is NaN, which is not what a masked row is.
    const F32 base = splat(largest == -kInfinity ? 0.0f : largest);
    F32 sum{};
    int64_t i = 0;
    for (; i + kLanes <= count; i += kLanes) {
      const F32 e = exp(load(values + i) - base);
      store(values + i, e);
      sum += e;
    }
    float total = reduce_add(sum);
    if (i < count) {
      float lanes[kLanes];
      store(lanes, exp(load_n(values + i, count - i) - base));
      for (int64_t j = 0; j < count - i; j++) {
        values[i + j] = lanes[j];
        total += lanes[j];
      }
    }
    return total;
  }

  void write(const Row& row, int64_t first, int64_t count, const float* values, float factor) const {
    const int64_t to = row.at[1] + first * dst_.stride;
    if (dst_.stride != 1) {
      for (int64_t i = 0; i < count; i++) {
        store_element(dst_.base, dst_.dtype, to + i * dst_.stride, values[i] * factor);
      }
      return;
    }
    with_float_element(dst_.dtype, [&](auto element) {
      auto* p = static_cast<typename decltype(element)::T*>(dst_.base) + to;
      int64_t i = 0;
      for (; i + kLanes <= count; i += kLanes) element.store(p + i, load(values + i) * factor);
      if (i < count) element.store_n(p + i, load_n(values + i, count - i) * factor, count - i);
    });
  }

  /// 1 / sum, or 0 for a row that is masked out.
  static float factor_of(float sum) { return sum == 0.0f ? 0.0f : 1.0f / sum; }

  void run_short() {
    pool_.reserve_scratch(kPiece * sizeof(float));
    pool_.parallel_for(rows_, max_of(1, kGrain / p_.length), [&](int64_t index, int thread) {
      float* values = static_cast<float*>(pool_.scratch(thread));
      const Row at = row(index);
      const float largest = read(at, 0, p_.length, values);
      const float sum = exponentials(values, p_.length, largest);
      write(at, 0, p_.length, values, factor_of(sum));
    });
  }

  /// Pieces of rows: first the parts of the sums, then the outputs with exp computed again.
  void run_long() {
    const int64_t pieces = ceil_div(p_.length, kPiece);
    // As many rows at a time as keep the parts small.
    const int64_t group = max_of(1, 4096 / pieces);
    Part* parts = static_cast<Part*>(pool_.reserve_shared(static_cast<size_t>(group * pieces) * sizeof(Part)));
    pool_.reserve_scratch(kPiece * sizeof(float));
    for (int64_t first = 0; first < rows_; first += group) {
      const int64_t rows = min_of(group, rows_ - first);
      pool_.parallel_for(rows * pieces, 1, [&](int64_t unit, int thread) {
        float* values = static_cast<float*>(pool_.scratch(thread));
        const int64_t k = unit % pieces * kPiece;
        const int64_t count = min_of(kPiece, p_.length - k);
        parts[unit].largest = read(row(first + unit / pieces), k, count, values);
        parts[unit].sum = exponentials(values, count, parts[unit].largest);
      });
      for (int64_t r = 0; r < rows; r++) parts[r * pieces] = combine(parts + r * pieces, pieces);
      pool_.parallel_for(rows * pieces, 1, [&](int64_t unit, int thread) {
        float* values = static_cast<float*>(pool_.scratch(thread));
        const int64_t k = unit % pieces * kPiece;
        const int64_t count = min_of(kPiece, p_.length - k);
        const Row at = row(first + unit / pieces);
        const Part& total = parts[unit / pieces * pieces];
        read(at, k, count, values);
        exponentials(values, count, total.largest);
        write(at, k, count, values, factor_of(total.sum));
      });
    }
  }

  static Part combine(const Part* parts, int64_t count) {
    float largest = -kInfinity;
    for (int64_t i = 0; i < count; i++) largest = parts[i].largest > largest ? parts[i].largest : largest;
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
      // A piece that is masked out has the sum 0, or NaN.
      const float shift = parts[i].largest == -kInfinity ? 0.0f : parts[i].largest - largest;
      float lanes[kLanes];
      store(lanes, exp(splat(shift)));
      sum += static_cast<double>(parts[i].sum) * static_cast<double>(lanes[0]);
    }
    return {largest, static_cast<float>(sum)};
  }

  /// Rows side by side: one row per lane.
  void run_lanes() {
    const int64_t width = p_.shape[lane_];
    const int64_t groups = ceil_div(width, kLanes);
    const bool kept = p_.length <= kPiece;
    pool_.reserve_scratch(static_cast<size_t>(kept ? p_.length * kLanes : kLanes) * sizeof(float));
    const int64_t units = rows_ / width * groups;
    pool_.parallel_for(units, max_of(1, kGrain / (p_.length * kLanes)), [&](int64_t unit, int thread) {
      float* values = static_cast<float*>(pool_.scratch(thread));
      Row at = row(unit / groups, lane_);
      const int64_t first = unit % groups * kLanes;
      at.at[0] += first * p_.src_stride[lane_];
      at.at[1] += first * p_.dst_stride[lane_];
      at.at[2] += first * p_.mask_stride[lane_];
      lanes(at, min_of(kLanes, width - first), kept ? values : nullptr);
    });
  }

  F32 lane_value(const Row& at, int64_t i, int64_t n) const {
    F32 x = p_.scale * load_strided(src_.base, src_.dtype, at.at[0] + i * src_.stride, 1, n);
    if (mask_.base != nullptr) {
      x += load_strided(mask_.base, mask_.dtype, at.at[2] + i * mask_.stride, p_.mask_stride[lane_], n);
    }
    return x;
  }

  /// @param values  length * kLanes floats, or null when they are computed again in each pass
  void lanes(const Row& at, int64_t n, float* values) const {
    F32 largest = splat(-kInfinity);
    for (int64_t i = 0; i < p_.length; i++) {
      const F32 x = lane_value(at, i, n);
      if (values != nullptr) store(values + i * kLanes, x);
      largest = max(x, largest);
    }
    const F32 base = largest == -kInfinity ? splat(0.0f) : largest;
    F32 sum{};
    for (int64_t i = 0; i < p_.length; i++) {
      const F32 e = exp((values != nullptr ? load(values + i * kLanes) : lane_value(at, i, n)) - base);
      if (values != nullptr) store(values + i * kLanes, e);
      sum += e;
    }
    const F32 factor = sum == 0.0f ? splat(0.0f) : 1.0f / sum;
    for (int64_t i = 0; i < p_.length; i++) {
      const F32 e = values != nullptr ? load(values + i * kLanes) : exp(lane_value(at, i, n) - base);
      store_strided(dst_.base, dst_.dtype, at.at[1] + i * dst_.stride, p_.dst_stride[lane_], e * factor, n);
    }
  }

  const tw_softmax_params& p_;
  Pool& pool_;
  const Stream src_, dst_, mask_;
  int64_t rows_ = 0;
  int lane_ = -1;
};

}  // namespace

void softmax(const Launch& launch, Pool& pool) {
  Softmax(launch, pool).run();
}

}  // namespace TW_ISA
}  // namespace tw
