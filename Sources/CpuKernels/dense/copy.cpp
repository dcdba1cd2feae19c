// Strided copies with conversion. The dimensions are sorted and merged first, so that what is left is one of three
// cases: runs that are contiguous on both sides, a transposition of two dimensions, or a plain strided loop.
#include "../simd/element.h"
#include "kernels.h"

namespace tw {
namespace TW_ISA {
namespace {

constexpr int kRank = 8;
/// Elements that a thread takes at a time.
constexpr int64_t kGrain = 1 << 15;
/// Side of a transposition tile: both its sides stay in L1.
constexpr int64_t kTile = 32;

struct Dim {
  int64_t size, src, dst;
};

inline int64_t magnitude(int64_t x) {
  return x < 0 ? -x : x;
}

/// Dimensions of more than one element, outermost first by the destination's stride, merged where both sides allow.
struct Dims {
  Dim dim[kRank];
  int rank = 0;

  explicit Dims(const tw_copy_params& p) {
    for (int d = 0; d < kRank; d++) {
      if (p.shape[d] == 1) continue;
      const Dim now{p.shape[d], p.src_stride[d], p.dst_stride[d]};
      int at = rank++;
      for (; at > 0 && outer(now, dim[at - 1]); at--) dim[at] = dim[at - 1];
      dim[at] = now;
    }
    int merged = 0;
    for (int d = 1; d < rank; d++) {
      Dim& into = dim[merged];
      const Dim& inner = dim[d];
      if (into.src == inner.src * inner.size && into.dst == inner.dst * inner.size) {
        into = {into.size * inner.size, inner.src, inner.dst};
      } else {
        dim[++merged] = inner;
      }
    }
    if (rank > 0) rank = merged + 1;
  }

 private:
  static bool outer(const Dim& a, const Dim& b) {
    const int64_t x = magnitude(a.dst);
    const int64_t y = magnitude(b.dst);
    return x != y ? x > y : magnitude(a.src) > magnitude(b.src);
  }
};

/// Offsets of the `index`-th combination of the first `count` dimensions, the last one fastest.
inline void offsets(const Dim* dim, int count, int64_t index, int64_t& src, int64_t& dst) {
  for (int d = count - 1; d >= 0; d--) {
    const int64_t at = index % dim[d].size;
    index /= dim[d].size;
    src += at * dim[d].src;
    dst += at * dim[d].dst;
  }
}

/// One element: exact between equal types, saturating between integers, through f32 otherwise.
template <class Src, class Dst>
inline void convert(const typename Src::T* src, typename Dst::T* dst) {
  constexpr bool kIntegers = Src::kDtype >= TW_DTYPE_I8 && Dst::kDtype >= TW_DTYPE_I8;
  if constexpr (Src::kDtype == Dst::kDtype) {
    *dst = *src;
  } else if constexpr (kIntegers) {
    const int32_t x = *src;
    *dst = static_cast<typename Dst::T>(Dst::kDtype == TW_DTYPE_I8 ? (x < -128 ? -128 : x > 127 ? 127 : x) : x);
  } else {
    store_element(dst, Dst::kDtype, 0, load_element(src, Src::kDtype, 0));
  }
}

template <class Src, class Dst>
inline void convert_run(const typename Src::T* src, typename Dst::T* dst, int64_t count) {
  constexpr bool kIntegers = Src::kDtype >= TW_DTYPE_I8 && Dst::kDtype >= TW_DTYPE_I8;
  if constexpr (Src::kDtype == Dst::kDtype) {
    memmove(dst, src, static_cast<size_t>(count) * sizeof *src);
  } else if constexpr (kIntegers) {
    for (int64_t i = 0; i < count; i++) convert<Src, Dst>(src + i, dst + i);
  } else {
    int64_t i = 0;
    for (; i + kLanes <= count; i += kLanes) Dst::store(dst + i, Src::load(src + i));
    if (i < count) Dst::store_n(dst + i, Src::load_n(src + i, count - i), count - i);
  }
}

template <class Src, class Dst>
void copy_dims(const Dims& dims, const typename Src::T* src, typename Dst::T* dst, Pool& pool) {
  if (dims.rank == 0) {
    convert<Src, Dst>(src, dst);
    return;
  }
  const Dim inner = dims.dim[dims.rank - 1];
  int across = -1;  // the dimension along which the source is contiguous, when that is not the innermost one
  if (inner.src != 1 && inner.dst == 1) {
    for (int d = 0; d < dims.rank - 1; d++) {
      if (dims.dim[d].src == 1) across = d;
    }
  }
  Dim outer[kRank];
  int rank = 0;
  int64_t count = 1;
  for (int d = 0; d < dims.rank - 1; d++) {
    if (d == across) continue;
    outer[rank++] = dims.dim[d];
    count *= dims.dim[d].size;
  }

  if (across >= 0) {
    const Dim second = dims.dim[across];
    const int64_t tiles_i = (inner.size + kTile - 1) / kTile;
    const int64_t tiles_j = (second.size + kTile - 1) / kTile;
    pool.parallel_for(count * tiles_i * tiles_j, kGrain / (kTile * kTile), [&](int64_t unit, int) {
      int64_t from = 0;
      int64_t to = 0;
      offsets(outer, rank, unit / (tiles_i * tiles_j), from, to);
      const int64_t i0 = unit % tiles_i * kTile;
      const int64_t j0 = unit / tiles_i % tiles_j * kTile;
      const int64_t i1 = min_of(inner.size, i0 + kTile);
      const int64_t j1 = min_of(second.size, j0 + kTile);
      for (int64_t j = j0; j < j1; j++) {
        const typename Src::T* s = src + from + j;
        typename Dst::T* d = dst + to + j * second.dst;
        for (int64_t i = i0; i < i1; i++) convert<Src, Dst>(s + i * inner.src, d + i);
      }
    });
    return;
  }

  const int64_t pieces = (inner.size + kGrain - 1) / kGrain;
  const int64_t per_piece = min_of(inner.size, kGrain);
  pool.parallel_for(count * pieces, max_of(1, kGrain / per_piece), [&](int64_t unit, int) {
    int64_t from = 0;
    int64_t to = 0;
    offsets(outer, rank, unit / pieces, from, to);
    const int64_t first = unit % pieces * kGrain;
    const int64_t length = min_of(kGrain, inner.size - first);
    const typename Src::T* s = src + from + first * inner.src;
    typename Dst::T* d = dst + to + first * inner.dst;
    if (inner.src == 1 && inner.dst == 1) {
      convert_run<Src, Dst>(s, d, length);
    } else {
      for (int64_t i = 0; i < length; i++) convert<Src, Dst>(s + i * inner.src, d + i * inner.dst);
    }
  });
}

}  // namespace

void copy(const Launch& launch, Pool& pool) {
  const auto& p = launch.as<tw_copy_params>();
  for (int64_t size : p.shape) {
    if (size == 0) return;
  }
  const Dims dims(p);
  with_element(launch.constants[TW_COPY_CONST_SRC_DTYPE], [&](auto from) {
    with_element(launch.constants[TW_COPY_CONST_DST_DTYPE], [&](auto to) {
      using Src = decltype(from);
      using Dst = decltype(to);
      copy_dims<Src, Dst>(dims, static_cast<const typename Src::T*>(launch.buffers[TW_COPY_BUF_SRC]),
                          static_cast<typename Dst::T*>(launch.buffers[TW_COPY_BUF_DST]), pool);
    });
  });
}

}  // namespace TW_ISA
}  // namespace tw
