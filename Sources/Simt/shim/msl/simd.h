// SIMD-group functions. MSL specification section 6.10.2, tables 6.13 and 6.14: they work on the active threads.
#pragma once
#include "sync.h"

namespace msl {
/// The element types that SIMD-group functions take (section 6.10.2): scalars and vectors of them, not bool.
template <class T>
struct is_simd_type : metal::bool_constant<metal::is_arithmetic<T>::value && !metal::is_same<T, bool>::value> {};
template <class T, int N>
struct is_simd_type<metal::vec<T, N>> : is_simd_type<T> {};

/// Everyone's value of one collective.
template <class T>
struct lanes {
  ulong base;
  ulong mask;
  MSL_INLINE explicit lanes(T x) {
    static_assert(is_simd_type<T>::value, "simd functions take integer and floating-point scalars and vectors");
    ulong m;
    base = simt_collect(&x, sizeof(T), SIMT_COLLECTIVE, &m);
    mask = m;
  }
  MSL_INLINE bool active(uint lane) const { return lane < 32 && (mask >> lane & 1) != 0; }
  MSL_INLINE T get(uint lane) const { return *(const T*)(base + 64 * (lane & 31)); }
  /// The value of a lane that has to take part.
  MSL_INLINE T need(uint lane) const {
    if (!active(lane)) simt_inactive_lane(lane);
    return get(lane);
  }
};

// Pairwise, as an exclusive-or butterfly does it: MSL leaves the order open.
template <class T, class F>
MSL_INLINE T reduce(T x, F f) {
  const lanes<T> all(x);
  T r[32];
  bool has[32];
  for (uint i = 0; i < 32; i++) {
    has[i] = all.active(i);
    if (has[i]) r[i] = all.get(i);
  }
  for (uint step = 16; step > 0; step /= 2) {
    for (uint i = 0; i < step; i++) {
      if (has[i] && has[i + step]) {
        r[i] = f(r[i], r[i + step]);
      } else if (has[i + step]) {
        r[i] = r[i + step];
        has[i] = true;
      }
    }
  }
  return r[0];
}
struct op_add {
  template <class T>
  MSL_INLINE T operator()(T a, T b) const {
    return (T)(a + b);
  }
};
struct op_mul {
  template <class T>
  MSL_INLINE T operator()(T a, T b) const {
    return (T)(a * b);
  }
};
struct op_min {
  template <class T>
  MSL_INLINE T operator()(T a, T b) const {
    return metal::min(a, b);
  }
};
struct op_max {
  template <class T>
  MSL_INLINE T operator()(T a, T b) const {
    return metal::max(a, b);
  }
};
struct op_and {
  template <class T>
  MSL_INLINE T operator()(T a, T b) const {
    return (T)(a & b);
  }
};
struct op_or {
  template <class T>
  MSL_INLINE T operator()(T a, T b) const {
    return (T)(a | b);
  }
};
struct op_xor {
  template <class T>
  MSL_INLINE T operator()(T a, T b) const {
    return (T)(a ^ b);
  }
};
template <class T, class F>
MSL_INLINE T prefix(T x, T identity, bool inclusive, F f) {
  const lanes<T> all(x);
  T r = identity;
  const uint me = simt_lane();
  for (uint i = 0; i < me; i++)
    if (all.active(i)) r = f(r, all.get(i));
  if (inclusive) r = f(r, x);
  return r;
}
}  // namespace msl

namespace metal {
#define MSL_SIMD_REDUCE(name, op)     \
  template <class T>                  \
  MSL_INLINE T name(T x) {            \
    return msl::reduce(x, msl::op()); \
  }
MSL_SIMD_REDUCE(simd_sum, op_add)
MSL_SIMD_REDUCE(simd_product, op_mul)
MSL_SIMD_REDUCE(simd_min, op_min)
MSL_SIMD_REDUCE(simd_max, op_max)
MSL_SIMD_REDUCE(simd_and, op_and)
MSL_SIMD_REDUCE(simd_or, op_or)
MSL_SIMD_REDUCE(simd_xor, op_xor)
#undef MSL_SIMD_REDUCE

template <class T>
MSL_INLINE T simd_prefix_inclusive_sum(T x) {
  return msl::prefix(x, T(0), true, msl::op_add());
}
template <class T>
MSL_INLINE T simd_prefix_exclusive_sum(T x) {
  return msl::prefix(x, T(0), false, msl::op_add());
}
template <class T>
MSL_INLINE T simd_prefix_inclusive_product(T x) {
  return msl::prefix(x, T(1), true, msl::op_mul());
}
template <class T>
MSL_INLINE T simd_prefix_exclusive_product(T x) {
  return msl::prefix(x, T(1), false, msl::op_mul());
}

template <class T>
MSL_INLINE T simd_broadcast(T x, ushort lane) {
  return msl::lanes<T>(x).need(lane);
}
template <class T>
MSL_INLINE T simd_broadcast_first(T x) {
  const msl::lanes<T> all(x);
  return all.get(__builtin_ctzl(all.mask));
}
template <class T>
MSL_INLINE T simd_shuffle(T x, ushort lane) {
  return msl::lanes<T>(x).need(lane);
}
template <class T>
MSL_INLINE T simd_shuffle_xor(T x, ushort mask) {
  return msl::lanes<T>(x).need(simt_lane() ^ mask);
}
/// "does not wrap around, so it leaves the lower delta lanes unchanged"
template <class T>
MSL_INLINE T simd_shuffle_up(T x, ushort delta) {
  const msl::lanes<T> all(x);
  const uint me = simt_lane();
  if (me < delta) return x;  // not `?:`, which does not unify vectors
  return all.need(me - delta);
}
template <class T>
MSL_INLINE T simd_shuffle_down(T x, ushort delta) {
  const msl::lanes<T> all(x);
  const uint me = simt_lane();
  if (me + delta > 31) return x;
  return all.need(me + delta);
}
template <class T>
MSL_INLINE T simd_shuffle_rotate_up(T x, ushort delta) {
  return msl::lanes<T>(x).need((simt_lane() - delta) & 31);
}
template <class T>
MSL_INLINE T simd_shuffle_rotate_down(T x, ushort delta) {
  return msl::lanes<T>(x).need((simt_lane() + delta) & 31);
}
template <class T>
MSL_INLINE T simd_shuffle_and_fill_up(T x, T fill, ushort delta) {
  const msl::lanes<T> all(x), other(fill);
  const uint me = simt_lane();
  if (me < delta) return other.need(me + 32 - delta);
  return all.need(me - delta);
}
template <class T>
MSL_INLINE T simd_shuffle_and_fill_down(T x, T fill, ushort delta) {
  const msl::lanes<T> all(x), other(fill);
  const uint at = simt_lane() + delta;
  if (at > 31) return other.need(at - 32);
  return all.need(at);
}

struct simd_vote {
  typedef ulong vote_t;
  vote_t bits;
  explicit simd_vote(vote_t v = 0) { bits = v; }
  explicit operator vote_t() const { return bits; }
  bool all() const { return bits == 0xFFFFFFFFul; }
  bool any() const { return bits != 0; }
};
}  // namespace metal

namespace msl {
/// Bits of the active lanes whose predicate holds, and the active lanes.
struct ballot {
  ulong bits;
  ulong mask;
  MSL_INLINE explicit ballot(bool p) {
    const lanes<uint> all(p ? 1u : 0u);
    mask = all.mask;
    bits = 0;
    for (uint i = 0; i < 32; i++)
      if (all.active(i) && all.get(i) != 0) bits |= 1ul << i;
  }
};
}  // namespace msl

namespace metal {
MSL_INLINE simd_vote simd_ballot(bool p) {
  return simd_vote(msl::ballot(p).bits);
}
MSL_INLINE simd_vote simd_active_threads_mask() {
  return simd_vote(msl::ballot(true).mask);
}
MSL_INLINE bool simd_all(bool p) {
  const msl::ballot b(p);
  return b.bits == b.mask;
}
MSL_INLINE bool simd_any(bool p) {
  return msl::ballot(p).bits != 0;
}
MSL_INLINE bool simd_is_first() {
  return __builtin_ctzl(msl::ballot(true).mask) == (int)simt_lane();
}
}  // namespace metal
