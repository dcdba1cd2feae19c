// Tests of Sources/CpuKernels/quant for one instruction set (TW_ISA), against the formats' scalar codes in float64.
// Inputs end at a page that must not be touched, so that reading past them is a crash; outputs start as NaN.
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "../../Sources/CpuKernels/formats/formats.h"
#include "../../Sources/CpuKernels/kernel.h"

namespace tw {
namespace TW_ISA {
extern const QuantKernels quant;
}
}  // namespace tw

namespace {

using tw::TW_ISA::quant;

int passed = 0;
int failed = 0;

void check(bool ok, const std::string& what) {
  if (ok) {
    passed++;
  } else if (failed++ < 20) {
    std::printf("FAILED %s\n", what.c_str());
  }
}

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 2654435761u + 88172645463325252u) {}
  uint64_t bits() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_;
  }
  int64_t below(int64_t n) { return static_cast<int64_t>((bits() >> 11) % static_cast<uint64_t>(n)); }
  float uniform() { return static_cast<float>(static_cast<double>(bits() >> 11) * 0x1p-52 - 1.0); }

 private:
  uint64_t state_;
};

/// Bytes that end (`at_end`) or start at the edge of a readable region; beyond the edge every access faults.
class Guarded {
 public:
  explicit Guarded(size_t bytes, bool at_end = true) : bytes_(bytes) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    inner_ = (bytes + page - 1) / page * page;
    size_ = inner_ + 2 * page;
    base_ = static_cast<char*>(mmap(nullptr, size_, PROT_NONE, MAP_PRIVATE | MAP_ANON, -1, 0));
    if (base_ == MAP_FAILED || (inner_ > 0 && mprotect(base_ + page, inner_, PROT_READ | PROT_WRITE) != 0))
      std::abort();
    data_ = base_ + page + (at_end ? inner_ - bytes : 0);
  }
  ~Guarded() { munmap(base_, size_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  char* data() const { return data_; }
  size_t size() const { return bytes_; }

 private:
  size_t bytes_, inner_, size_;
  char* base_;
  char* data_;
};

struct Format {
  const char* name;
  tw_u32 id;
  int block, bytes, group, zero;
  bool has_min;
  std::function<void(const char*, int8_t*, float*, float*)> codes;
};

std::vector<Format> formats() {
  std::vector<Format> all;
#define TW_ADD(F)                                                                                                     \
  all.push_back({tw::F::kName, tw::F::kId, tw::F::kBlock, tw::F::kBytes, tw::F::kGroup, tw::F::kZero, tw::F::kHasMin, \
                 [](const char* p, int8_t* q, float* scale, float* min) {                                             \
                   tw::F::Block block;                                                                                \
                   std::memcpy(&block, p, sizeof block);                                                              \
                   tw::F::codes(block, q, scale, min);                                                                \
                 }});
  TW_FOR_EACH_FORMAT(TW_ADD)
#undef TW_ADD
  return all;
}

/// Random bits everywhere except in the float members, which get values of both signs around 1/100.
void random_block(const Format& f, char* p, Random& random) {
  for (int i = 0; i < f.bytes; i++) p[i] = static_cast<char>(random.bits() >> 20);
  const auto half = [&](int offset) {
    const uint16_t bits = static_cast<uint16_t>((random.bits() & 0x83ff) | (5u + random.bits() % 5) << 10);
    std::memcpy(p + offset, &bits, 2);
  };
  const std::string name = f.name;
  if (name == "q2_k") {
    half(80), half(82);
  } else if (name == "q3_k") {
    half(108);
  } else if (name == "q6_k") {
    half(208);
  } else if (name == "q8_k") {
    const float d = 0.01f * random.uniform();
    std::memcpy(p, &d, 4);
  } else if (name == "mxfp4") {
    p[0] = static_cast<char>(118 + random.below(8));
  } else {
    half(0);
    if (f.has_min) half(2);
  }
}

int64_t align64(int64_t bytes) {
  return (bytes + 63) / 64 * 64;
}

struct Q8 {
  int64_t rows, k;
  Guarded memory;
  Q8(int64_t rows_, int64_t k_)
      : rows(rows_),
        k(k_),
        memory(static_cast<size_t>(align64(rows * k) + align64(rows * k / 32 * 4) + align64(rows * k / 16 * 2))) {}
  int8_t* codes() const { return reinterpret_cast<int8_t*>(memory.data()); }
  float* scales() const { return reinterpret_cast<float*>(memory.data() + align64(rows * k)); }
  int16_t* sums() const {
    return reinterpret_cast<int16_t*>(memory.data() + align64(rows * k) + align64(rows * k / 32 * 4));
  }
};

void random_q8(const Q8& q8, Random& random) {
  for (int64_t i = 0; i < q8.rows * q8.k; i++) q8.codes()[i] = static_cast<int8_t>(random.below(255) - 127);
  // Extremes meet: whole groups at the ends of the range.
  for (int64_t g = 0; g < q8.rows * q8.k / 32; g++) {
    q8.scales()[g] = 0.01f * random.uniform();
    if (random.below(4) == 0) std::memset(q8.codes() + g * 32, random.below(2) ? 127 : -127, 32);
  }
  for (int64_t g = 0; g < q8.rows * q8.k / 16; g++) {
    int sum = 0;
    for (int i = 0; i < 16; i++) sum += q8.codes()[g * 16 + i];
    q8.sums()[g] = static_cast<int16_t>(sum);
  }
}

/// A weight matrix [n, k]; row i starts at data + i * stride (stride may be negative).
struct Weights {
  const Format& f;
  int64_t n, k, stride;
  Guarded memory;
  char* data;
  Weights(const Format& format, int64_t rows, int64_t k_, int64_t pad, bool reversed, bool at_end, Random& random)
      : f(format),
        n(rows),
        k(k_),
        stride(k / f.block * f.bytes + pad),
        memory(static_cast<size_t>(n > 0 ? (n - 1) * stride + k / f.block * f.bytes : 0), at_end) {
    for (int64_t i = 0; i < n; i++) {
      for (int64_t j = 0; j < k / f.block; j++) random_block(f, memory.data() + i * stride + j * f.bytes, random);
    }
    data = memory.data();
    if (reversed && n > 0) {
      data += (n - 1) * stride;
      stride = -stride;
    }
  }

  /// Sum over k of row `row` times row `a_row` of q8, and what its terms amount to in magnitude.
  double dot(int64_t row, const Q8& q8, int64_t a_row, double& magnitude) const {
    std::vector<int8_t> codes(static_cast<size_t>(f.block));
    std::vector<float> scale(static_cast<size_t>(f.block)), min(static_cast<size_t>(f.block));
    double sum = 0;
    for (int64_t b = 0; b < k / f.block; b++) {
      f.codes(data + row * stride + b * f.bytes, codes.data(), scale.data(), min.data());
      for (int g = 0; g < f.block / f.group; g++) {
        int64_t dot = 0;
        int64_t total = 0;
        const int64_t at = b * f.block + g * f.group;
        for (int i = 0; i < f.group; i++) {
          const int a = q8.codes()[a_row * k + at + i];
          dot += a * (codes[static_cast<size_t>(g * f.group + i)] - f.zero);
          total += a;
        }
        const double a_scale = q8.scales()[a_row * (k / 32) + at / 32];
        const double product = a_scale * scale[static_cast<size_t>(g)] * static_cast<double>(dot);
        const double offset = f.has_min ? a_scale * min[static_cast<size_t>(g)] * static_cast<double>(total) : 0;
        sum += product - offset;
        magnitude += std::fabs(product) + std::fabs(offset);
      }
    }
    return sum;
  }
};

float half_to_float(uint16_t h) {
  return tw::f16_to_f32(h);
}

struct Options {
  bool gate = false, bias = false, residual = false, half_out = false;
  tw_u32 activation = TW_ACT_NONE;
  int64_t pad = 0;
  bool reversed = false, at_end = true, transposed_out = false;
  int64_t batch = 1;
  bool shared_weights = false;  // b's batch stride is 0
};

void matmul_case(tw::Pool& pool, const Format& f, bool gemm, int64_t m, int64_t n, int64_t k, const Options& o,
                 uint64_t seed) {
  Random random(seed);
  const Q8 q8(m * o.batch, k);
  random_q8(q8, random);
  const int64_t weight_rows = o.shared_weights ? n : n * o.batch;
  const Weights b(f, weight_rows, k, o.pad, o.reversed, o.at_end, random);
  const Weights gate(f, o.gate ? weight_rows : 0, k, o.pad, o.reversed, o.at_end, random);
  std::vector<float> bias(static_cast<size_t>(n)), gate_bias(bias.size()), residual(static_cast<size_t>(m * n));
  for (float& x : bias) x = random.uniform();
  for (float& x : gate_bias) x = random.uniform();
  for (float& x : residual) x = random.uniform();

  tw_matmul_params p{};
  p.m = m, p.n = n, p.k = k;
  p.b_stride[0] = b.stride;
  p.gate_stride[0] = gate.stride;
  p.out_stride[0] = o.transposed_out ? 1 : n;
  p.out_stride[1] = o.transposed_out ? m : 1;
  p.residual_stride[0] = n, p.residual_stride[1] = 1;
  p.bias_stride = 1, p.gate_bias_stride = 1;
  for (int d = 0; d < 4; d++) p.batch[d] = 1;
  p.batch[2] = o.batch;
  p.b_batch[2] = o.shared_weights ? 0 : n * b.stride;
  p.gate_batch[2] = o.shared_weights ? 0 : n * gate.stride;
  p.out_batch[2] = m * n;
  p.alpha = 0.5f, p.beta = 2.0f;

  const int64_t outputs = m * n * o.batch;
  const Guarded out(static_cast<size_t>(outputs * (o.half_out ? 2 : 4)));
  std::memset(out.data(), 0xff, out.size());
  void* buffers[13] = {};
  buffers[TW_MATMUL_BUF_A] = q8.memory.data();
  buffers[TW_MATMUL_BUF_B] = b.data;
  buffers[TW_MATMUL_BUF_OUT] = out.data();
  if (o.bias) buffers[TW_MATMUL_BUF_BIAS] = bias.data();
  if (o.residual) buffers[TW_MATMUL_BUF_RESIDUAL] = residual.data();
  if (o.gate) buffers[TW_MATMUL_BUF_GATE] = gate.data;
  if (o.gate && o.bias) buffers[TW_MATMUL_BUF_GATE_BIAS] = gate_bias.data();
  // Threads and blocks, sensible and not.
  const auto pick = [&](std::initializer_list<tw_u32> of) {
    return of.begin()[random.below(static_cast<int64_t>(of.size()))];
  };
  const tw_u32 constants[10] = {TW_DTYPE_F32,
                                f.id,
                                o.half_out ? TW_DTYPE_F16 : TW_DTYPE_F32,
                                TW_DTYPE_F32,
                                TW_DTYPE_F32,
                                o.activation,
                                pick({0, 0, 1, 1000}),
                                pick({0, 0, 1, 3, 4000000000u}),
                                pick({0, 0, 1, 40, 4000000000u}),
                                pick({0, 256, 4000000000u})};
  (gemm ? quant.quant_gemm : quant.quant_gemv)({&p, constants, buffers}, pool);

  double worst = 0;
  for (int64_t batch = 0; batch < o.batch; batch++) {
    for (int64_t i = 0; i < m; i++) {
      for (int64_t j = 0; j < n; j++) {
        const int64_t row = o.shared_weights ? j : batch * n + j;
        // Rounding to f32: of each product, of each addition of kLanes partial sums, and of the final reduction.
        const double unit = 0x1p-24 * (static_cast<double>(k) / 32 + 24);
        double magnitude = 0;
        double want = p.alpha * b.dot(row, q8, batch * m + i, magnitude);
        if (o.bias) want += bias[static_cast<size_t>(j)];
        double bound = unit * magnitude;
        const auto activate = [&](double x) { return o.activation == TW_ACT_SILU ? x / (1 + std::exp(-x)) : x; };
        if (o.gate) {
          double gate_magnitude = 0;
          double g = gate.dot(row, q8, batch * m + i, gate_magnitude);
          if (o.bias) g += gate_bias[static_cast<size_t>(j)];
          const double activated = activate(g);
          bound = bound * std::fabs(activated) +
                  1.2 * (std::fabs(want) + bound) * (unit * gate_magnitude + 1e-5 * std::fabs(g));
          want *= activated;
        } else {
          want = activate(want);
          bound = 1.2 * bound + 1e-5 * std::fabs(want);
        }
        if (o.residual) want += p.beta * residual[static_cast<size_t>(i * n + j)];
        bound += 1e-6 * (1 + std::fabs(want)) + (o.half_out ? std::fabs(want) * 0x1p-10 + 1e-6 : 0);
        const int64_t at = batch * m * n + (o.transposed_out ? j * m + i : i * n + j);
        const double got = o.half_out ? half_to_float(reinterpret_cast<uint16_t*>(out.data())[at])
                                      : reinterpret_cast<float*>(out.data())[at];
        const double error = std::fabs(got - want);
        if (!(error <= bound)) worst = std::max(worst, std::isnan(error) ? 1e30 : error / bound);
      }
    }
  }
  check(worst == 0, std::string(gemm ? "gemm " : "gemv ") + f.name + " m=" + std::to_string(m) +
                        " n=" + std::to_string(n) + " k=" + std::to_string(k) + " seed=" + std::to_string(seed) +
                        ": error is " + std::to_string(worst) + " times the bound");
}

void test_matmul(tw::Pool& pool) {
  uint64_t seed = 1;
  for (const Format& f : formats()) {
    // k: less than a unit, whole units, units and a rest, in blocks of 32 or 256.
    const std::vector<int64_t> depths =
        f.block == 32 ? std::vector<int64_t>{32, 352, 512, 1120} : std::vector<int64_t>{256, 512, 1280};
    for (int64_t m = 1; m <= 18; m++) {
      const int64_t k = depths[static_cast<size_t>(m) % depths.size()];
      matmul_case(pool, f, false, m, 1 + (m * 7) % 37, k, {}, seed++);
      matmul_case(pool, f, true, m, 1 + (m * 11) % 70, k, {}, seed++);
    }
    for (const int64_t k : depths) {
      for (const int64_t m : {1, 3}) matmul_case(pool, f, false, m, 5, k, {}, seed++);
      matmul_case(pool, f, true, 7, 33, k, {}, seed++);
    }
    matmul_case(pool, f, true, 33, 67, depths[2], {}, seed++);
    for (const bool gemm : {false, true}) {
      const int64_t m = gemm ? 20 : 5;
      Options o;
      o.at_end = false;
      o.pad = 3;  // blocks need no alignment
      matmul_case(pool, f, gemm, m, 19, depths[1], o, seed++);
      matmul_case(pool, f, gemm, 1, 19, depths[1], o, seed++);
      o.reversed = true;
      o.bias = o.residual = true;
      matmul_case(pool, f, gemm, m, 19, depths[1], o, seed++);
      o.gate = true;
      o.activation = TW_ACT_SILU;
      o.batch = 3;
      matmul_case(pool, f, gemm, m, 19, depths[0], o, seed++);
      matmul_case(pool, f, gemm, 1, 19, depths[0], o, seed++);
      o.shared_weights = true;
      o.half_out = true;
      o.transposed_out = true;
      o.gate = o.residual = false;
      matmul_case(pool, f, gemm, m, 21, depths[0], o, seed++);
      for (const int64_t empty : {0, 1, 2}) {
        matmul_case(pool, f, gemm, empty == 0 ? 0 : 4, empty == 1 ? 0 : 9, empty == 2 ? 0 : 256, {}, seed++);
      }
    }
  }
}

void store_as(char* p, tw_u32 dtype, int64_t index, float value) {
  const uint16_t half = dtype == TW_DTYPE_F16 ? tw::f32_to_f16(value) : tw::f32_to_bf16(value);
  if (dtype == TW_DTYPE_F32) {
    std::memcpy(p + 4 * index, &value, 4);
  } else {
    std::memcpy(p + 2 * index, &half, 2);
  }
}

float load_as(const char* p, tw_u32 dtype, int64_t index) {
  float value;
  uint16_t half;
  if (dtype == TW_DTYPE_F32) {
    std::memcpy(&value, p + 4 * index, 4);
    return value;
  }
  std::memcpy(&half, p + 2 * index, 2);
  return dtype == TW_DTYPE_F16 ? tw::f16_to_f32(half) : tw::bf16_to_f32(half);
}

/// @param scale  of the values; `special` puts NaN and infinities into some groups
void quantize_case(tw::Pool& pool, tw_u32 dtype, int64_t m, int64_t k, int64_t batch, bool transposed, float scale,
                   bool special, uint64_t seed) {
  Random random(seed);
  const int64_t elements = m * k * batch;
  const Guarded a(static_cast<size_t>(elements * (dtype == TW_DTYPE_F32 ? 4 : 2)));
  for (int64_t i = 0; i < elements; i++) store_as(a.data(), dtype, i, scale * random.uniform());
  tw_quantize_q8_params p{};
  p.m = m, p.k = k;
  p.a_stride[0] = transposed ? 1 : k;
  p.a_stride[1] = transposed ? m : 1;
  for (int d = 0; d < 4; d++) p.batch[d] = 1;
  p.batch[1] = batch;
  p.a_batch[1] = m * k;
  const auto offset = [&](int64_t row, int64_t i) {
    return row / m * p.a_batch[1] + row % m * p.a_stride[0] + i * p.a_stride[1];
  };
  if (special) {
    for (int64_t row = 0; row < m * batch; row++) {
      const float values[4] = {std::nanf(""), INFINITY, -INFINITY, 0.0f};
      const int64_t group = random.below(k / 32);
      for (int64_t i = 0; i < 32; i++) {
        if (row % 4 == 3 || i == row % 32) store_as(a.data(), dtype, offset(row, group * 32 + i), values[row % 4]);
      }
    }
  }
  const Q8 q8(m * batch, k);
  std::memset(q8.memory.data(), 0xff, q8.memory.size());
  void* buffers[2] = {a.data(), q8.memory.data()};
  const tw_u32 constants[2] = {dtype};
  quant.quantize_q8({&p, constants, buffers}, pool);

  bool ok = true;
  for (int64_t row = 0; row < m * batch; row++) {
    for (int64_t g = 0; g < k / 32; g++) {
      double amax = 0;
      bool finite = true;
      for (int64_t i = 0; i < 32; i++) {
        const double x = load_as(a.data(), dtype, offset(row, g * 32 + i));
        finite = finite && std::isfinite(x);
        amax = std::max(amax, std::fabs(x));
      }
      const double got_scale = q8.scales()[row * (k / 32) + g];
      ok = ok && (finite ? std::fabs(got_scale - amax / 127) <= amax * 0x1p-30 + 0x1p-149 : std::isnan(got_scale));
      int sums[2] = {};
      for (int64_t i = 0; i < 32; i++) {
        const int code = q8.codes()[row * k + g * 32 + i];
        const double x = load_as(a.data(), dtype, offset(row, g * 32 + i));
        ok = ok && code >= -127 && code <= 127;
        ok = ok && (!finite || std::fabs(x - got_scale * code) <= amax / 254 * (1 + 0x1p-16) + 127 * 0x1p-149);
        sums[i / 16] += code;
      }
      for (int i = 0; i < 2; i++) ok = ok && sums[i] == q8.sums()[row * (k / 16) + 2 * g + i];
    }
  }
  check(ok, "quantize_q8 dtype=" + std::to_string(dtype) + " m=" + std::to_string(m) + " k=" + std::to_string(k) +
                " seed=" + std::to_string(seed));
}

void test_quantize(tw::Pool& pool) {
  uint64_t seed = 1000;
  for (const tw_u32 dtype : {TW_DTYPE_F32, TW_DTYPE_F16, TW_DTYPE_BF16}) {
    for (const bool transposed : {false, true}) {
      for (const bool special : {false, true}) {
        quantize_case(pool, dtype, 1, 32, 1, transposed, 1.0f, special, seed++);
        quantize_case(pool, dtype, 5, 96, 2, transposed, 100.0f, special, seed++);
        quantize_case(pool, dtype, 2, 4128, 1, transposed, 1.0f, special, seed++);
      }
    }
    quantize_case(pool, dtype, 3, 64, 1, false, 0.0f, false, seed++);
    quantize_case(pool, dtype, 0, 64, 1, false, 1.0f, false, seed++);
    quantize_case(pool, dtype, 3, 0, 1, false, 1.0f, false, seed++);
  }
  for (const float scale : {3e38f, 1e-20f, 1e-36f, 1e-40f, 1e-44f}) {
    quantize_case(pool, TW_DTYPE_F32, 3, 64, 1, false, scale, false, seed++);
  }
}

/// A group that is not finite must make every output that depends on it NaN.
void test_not_finite(tw::Pool& pool) {
  for (const Format& f : formats()) {
    for (const bool gemm : {false, true}) {
      const int64_t m = 2, n = 3, k = 512;
      Random random(7);
      const Q8 q8(m, k);
      random_q8(q8, random);
      q8.scales()[k / 32 + 5] = std::nanf("");
      std::memset(q8.codes() + k + 5 * 32, 0, 32);
      std::memset(q8.sums() + k / 16 + 10, 0, 4);
      const Weights b(f, n, k, 0, false, true, random);
      std::vector<float> out(static_cast<size_t>(m * n), 0.0f);
      tw_matmul_params p{};
      p.m = m, p.n = n, p.k = k;
      p.b_stride[0] = b.stride;
      p.out_stride[0] = n, p.out_stride[1] = 1;
      for (int d = 0; d < 4; d++) p.batch[d] = 1;
      p.alpha = 1;
      void* buffers[13] = {q8.memory.data(), b.data, out.data()};
      const tw_u32 constants[10] = {TW_DTYPE_F32, f.id, TW_DTYPE_F32, 0, 0, 0};
      (gemm ? quant.quant_gemm : quant.quant_gemv)({&p, constants, buffers}, pool);
      bool ok = true;
      for (int64_t j = 0; j < n; j++) {
        ok = ok && std::isfinite(out[static_cast<size_t>(j)]) && std::isnan(out[static_cast<size_t>(n + j)]);
      }
      check(ok, std::string("NaN propagates, ") + (gemm ? "gemm " : "gemv ") + f.name);
    }
  }
}

}  // namespace

int main() {
  for (const int threads : {1, 3}) {
    tw::Pool pool(threads, false);
    pool.adopt_driver();
    test_quantize(pool);
    test_not_finite(pool);
    test_matmul(pool);
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 ? 0 : 1;
}
