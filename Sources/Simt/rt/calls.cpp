// The functions that kernels call: see shim/simt_calls.h.
#include <cstring>

#include "../shim/simt_calls.h"
#include "hooks.h"
#include "machine.h"

using simt::g_machine;

#define CALLER reinterpret_cast<uint64_t>(__builtin_return_address(0))

extern "C" {

void simt_barrier(unsigned scope, unsigned flags) {
  g_machine.wait(scope == SIMT_THREADGROUP ? simt::State::kGroupBarrier : simt::State::kSimdBarrier, flags, CALLER);
  if (scope == SIMT_THREADGROUP) g_machine.current->unacquired &= ~flags;
}

void simt_fence(unsigned release, unsigned acquire) {
  simt::Thread& t = *g_machine.current;
  t.released |= release;
  t.unacquired &= ~acquire;
}

void simt_execution_barrier(void) {
  auto& m = g_machine;
  simt::Thread& t = *m.current;
  const uint32_t released = t.released;
  // What earlier barriers ordered stays ordered while this one is not acquired.
  uint32_t seen[2];
  for (int kind = 0; kind < 2; kind++) seen[kind] = t.unacquired >> kind & 1 ? t.seen[kind] : m.ordered[kind];
  t.released = 0;
  m.wait(simt::State::kGroupBarrier, released, CALLER);
  std::memcpy(t.seen, seen, sizeof(seen));
  t.unacquired = SIMT_MEM_DEVICE | SIMT_MEM_THREADGROUP;
}

unsigned long simt_collect(const void* value, unsigned size, unsigned kind, unsigned long* mask) {
  auto& m = g_machine;
  simt::SimdGroup& simdgroup = m.simdgroups[m.simdgroup_of(*m.current)];
  std::memcpy(simdgroup.in[m.lane_of(*m.current)], value, size);
  m.wait(simt::State::kCollective, kind, CALLER);
  *mask = simdgroup.mask;
  return reinterpret_cast<unsigned long>(simdgroup.out);
}

void simt_inactive_lane(unsigned lane) {
  g_machine.find("inactive-lane",
                 "the value of lane " + std::to_string(lane) + " is read, which takes no part: it is undefined",
                 CALLER);
}

void simt_report(const char* rule, const char* message) {
  g_machine.find(rule, message, CALLER);
}

void simt_check_alignment(unsigned long address, unsigned align) {
  if (address % align == 0) return;
  g_machine.find("misaligned",
                 "access to a vector of " + std::to_string(align) + " bytes needs an address that is a multiple of " +
                     std::to_string(align) + "; this one is " + std::to_string(address % align) + " above one",
                 CALLER);
}

unsigned simt_lane(void) {
  return g_machine.lane_of(*g_machine.current);
}

void simt_builtin(unsigned id, unsigned* out) {
  const auto& m = g_machine;
  const simt::Thread& t = *m.current;
  const auto triple = [out](const uint32_t* v) { out[0] = v[0], out[1] = v[1], out[2] = v[2]; };
  switch (id) {
    case SIMT_THREAD_POSITION_IN_GRID:
      for (int d = 0; d < 3; d++) out[d] = m.group[d] * m.group_size[d] + t.position[d];
      return;
    case SIMT_THREAD_POSITION_IN_THREADGROUP:
      return triple(t.position);
    case SIMT_THREADGROUP_POSITION_IN_GRID:
      return triple(m.group);
    case SIMT_THREADS_PER_THREADGROUP:
      return triple(m.group_threads);
    case SIMT_DISPATCH_THREADS_PER_THREADGROUP:
      return triple(m.group_size);
    case SIMT_THREADGROUPS_PER_GRID:
      return triple(m.groups);
    case SIMT_THREADS_PER_GRID:
      return triple(m.grid_threads);
    default:
      out[0] = out[1] = out[2] = 0;
  }
  switch (id) {
    case SIMT_THREAD_INDEX_IN_THREADGROUP:
      out[0] = t.index;
      return;
    case SIMT_THREAD_INDEX_IN_SIMDGROUP:
      out[0] = m.lane_of(t);
      return;
    case SIMT_SIMDGROUP_INDEX_IN_THREADGROUP:
      out[0] = m.simdgroup_of(t);
      return;
    case SIMT_SIMDGROUPS_PER_THREADGROUP:
      out[0] = (m.thread_count + m.wave - 1) / m.wave;
      return;
    case SIMT_THREADS_PER_SIMDGROUP:
      out[0] = m.wave;
      return;
    case SIMT_THREAD_INDEX_IN_QUADGROUP:
      out[0] = t.index % 4;
      return;
    case SIMT_QUADGROUP_INDEX_IN_THREADGROUP:
      out[0] = t.index / 4;
      return;
    default:
      return;
  }
}

unsigned long simt_buffer(unsigned index) {
  auto& m = g_machine;
  if (index < simt::kMaxBuffers) return m.address_of[index];
  return reinterpret_cast<unsigned long>(m.arena.base()) + (static_cast<unsigned long>(index) << simt::kSlotShift);
}

unsigned long simt_threadgroup_buffer(unsigned index) {
  auto& m = g_machine;
  const uint64_t base = m.arena.slot(simt::kThreadgroupSlot).begin;
  if (index < m.argument_memory.size()) return base + m.argument_memory[index].offset;
  return base + simt::kThreadgroupCapacity;
}

unsigned long simt_threadgroup_variable(unsigned id, unsigned size, unsigned align) {
  auto& m = g_machine;
  if (id >= m.variables.size()) m.variables.resize(id + 1);
  simt::Allocation& a = m.variables[id];
  if (a.offset == 0) {
    a = m.allocate_threadgroup(size, align);
    m.check_threadgroup_limit(CALLER);
  }
  return m.arena.slot(simt::kThreadgroupSlot).begin + a.offset;
}

}  // extern "C"

namespace {

template <class T>
T apply(unsigned op, T old, T x, bool& store, T expected) {
  store = true;
  switch (op) {
    case SIMT_ATOMIC_LOAD:
      store = false;
      return old;
    case SIMT_ATOMIC_STORE:
    case SIMT_ATOMIC_EXCHANGE:
      return x;
    case SIMT_ATOMIC_ADD:
      return static_cast<T>(old + x);
    case SIMT_ATOMIC_SUB:
      return static_cast<T>(old - x);
    case SIMT_ATOMIC_MIN:
      return x < old ? x : old;
    case SIMT_ATOMIC_MAX:
      return old < x ? x : old;
    case SIMT_ATOMIC_CAS:
      store = std::memcmp(&old, &expected, sizeof(T)) == 0;
      return x;
    default:
      break;
  }
  if constexpr (static_cast<T>(0.5) == 0) {  // integers
    if (op == SIMT_ATOMIC_AND) return static_cast<T>(old & x);
    if (op == SIMT_ATOMIC_OR) return static_cast<T>(old | x);
    if (op == SIMT_ATOMIC_XOR) return static_cast<T>(old ^ x);
  }
  store = false;
  return old;
}

template <class T>
unsigned long atomic(unsigned op, unsigned long address, unsigned long operand, unsigned long expected, uint64_t pc) {
  simt::on_atomic(address, sizeof(T), op != SIMT_ATOMIC_LOAD, pc);
  T old, x, e;
  std::memcpy(&old, reinterpret_cast<void*>(address), sizeof(T));
  std::memcpy(&x, &operand, sizeof(T));
  std::memcpy(&e, &expected, sizeof(T));
  bool store = false;
  const T value = apply(op, old, x, store, e);
  if (store) std::memcpy(reinterpret_cast<void*>(address), &value, sizeof(T));
  unsigned long bits = 0;
  std::memcpy(&bits, &old, sizeof(T));
  return bits;
}

}  // namespace

extern "C" unsigned long simt_atomic(unsigned op, unsigned type, unsigned long address, unsigned long operand,
                                     unsigned long expected) {
  const uint64_t pc = CALLER;
  switch (type) {
    case SIMT_I32:
      return atomic<int32_t>(op, address, operand, expected, pc);
    case SIMT_F32:
      return atomic<float>(op, address, operand, expected, pc);
    case SIMT_U64:
      return atomic<uint64_t>(op, address, operand, expected, pc);
    case SIMT_U8:
      return atomic<uint8_t>(op, address, operand, expected, pc);
    default:
      return atomic<uint32_t>(op, address, operand, expected, pc);
  }
}
