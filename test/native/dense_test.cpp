// The kernels of Sources/CpuKernels/dense against float64, with derived error bounds, for one instruction set (TW_ISA).
// Every buffer ends or starts at an unmapped page and holds exactly the bytes that the launch's strides touch, so any
// access outside faults; outputs start as 0xff bytes (NaN), and what lies between their elements must stay that way.
//
//   dense_test [seed] [cases]
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "../../Sources/CpuKernels/formats/formats.h"
#include "../../Sources/CpuKernels/kernel.h"

namespace tw {
namespace TW_ISA {
extern const DenseKernels dense;
}
}  // namespace tw

namespace {

using namespace tw;

constexpr double kUnit = 0x1p-24;  // one rounding of an f32, relative

int passed = 0;
int failed = 0;
std::string context;

void check(bool ok, const std::string& what) {
  if (ok) {
    passed++;
    return;
  }
  failed++;
  if (failed <= 20) printf("FAILED %s: %s\n", context.c_str(), what.c_str());
}

// ---------------------------------------------------------------------------------------------------- random numbers

struct Random {
  uint64_t state;
  uint64_t next() {
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  int64_t below(int64_t n) { return static_cast<int64_t>(next() % static_cast<uint64_t>(n)); }
  bool chance(int percent) { return below(100) < percent; }
  /// In [-1, 1).
  double real() { return static_cast<double>(static_cast<int64_t>(next()) >> 11) * 0x1p-52; }
  template <class T>
  T pick(std::initializer_list<T> values) {
    return values.begin()[below(static_cast<int64_t>(values.size()))];
  }
};

Random rng{1};

// --------------------------------------------------------------------------------------------------- guarded buffers

/// Memory between two unmapped pages that touches one of them.
class Guarded {
 public:
  explicit Guarded(size_t bytes) : bytes_(bytes) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    span_ = (bytes + page - 1) / page * page + 2 * page;
    char* memory = static_cast<char*>(mmap(nullptr, span_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (memory == MAP_FAILED) abort();
    if (span_ > 2 * page && mprotect(memory + page, span_ - 2 * page, PROT_READ | PROT_WRITE) != 0) abort();
    memory_ = memory;
    // At the end of the last page, at an address that suits 4-byte elements, or at the start of the first.
    data_ = rng.chance(30) ? memory + page : memory + span_ - page - (bytes + 3) / 4 * 4;
    fill();
  }
  ~Guarded() { munmap(memory_, span_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  char* data() { return data_; }
  size_t size() const { return bytes_; }
  void fill() { memset(data_, 0xff, bytes_); }

 private:
  size_t bytes_, span_;
  char *memory_, *data_;
};

int64_t element_bytes(tw_u32 dtype) {
  return dtype == TW_DTYPE_F32 || dtype == TW_DTYPE_I32 ? 4 : dtype == TW_DTYPE_I8 ? 1 : 2;
}

double get(const void* base, tw_u32 dtype, int64_t index) {
  switch (dtype) {
    case TW_DTYPE_F32:
      return static_cast<double>(static_cast<const float*>(base)[index]);
    case TW_DTYPE_F16:
      return static_cast<double>(f16_to_f32(static_cast<const uint16_t*>(base)[index]));
    case TW_DTYPE_BF16:
      return static_cast<double>(bf16_to_f32(static_cast<const uint16_t*>(base)[index]));
    case TW_DTYPE_I8:
      return static_cast<const int8_t*>(base)[index];
    default:
      return static_cast<const int32_t*>(base)[index];
  }
}

void put(void* base, tw_u32 dtype, int64_t index, double value) {
  switch (dtype) {
    case TW_DTYPE_F32:
      static_cast<float*>(base)[index] = static_cast<float>(value);
      return;
    case TW_DTYPE_F16:
      static_cast<uint16_t*>(base)[index] = f32_to_f16(static_cast<float>(value));
      return;
    case TW_DTYPE_BF16:
      static_cast<uint16_t*>(base)[index] = f32_to_bf16(static_cast<float>(value));
      return;
    case TW_DTYPE_I8:
      static_cast<int8_t*>(base)[index] = static_cast<int8_t>(value);
      return;
    default:
      static_cast<int32_t*>(base)[index] = static_cast<int32_t>(value);
      return;
  }
}

/// An array of any strides in a buffer of its exact extent.
struct Array {
  tw_u32 dtype = 0;
  std::vector<int64_t> shape, stride;
  std::unique_ptr<Guarded> memory;
  int64_t before = 0;  // elements of the extent below element 0

  char* base() { return memory == nullptr ? nullptr : memory->data() + before * element_bytes(dtype); }
  int64_t count() const {
    int64_t n = 1;
    for (int64_t size : shape) n *= size;
    return n;
  }
  int64_t offset(int64_t index) const {
    int64_t at = 0;
    for (size_t d = shape.size(); d-- > 0;) {
      at += index % shape[d] * stride[d];
      index /= shape[d];
    }
    return at;
  }
  double value(int64_t index) { return get(base(), dtype, offset(index)); }
};

/// How often strides are unusual: repeated rows, steps, reversed and permuted dimensions.
Array make_array(tw_u32 dtype, std::vector<int64_t> shape, bool output, bool plain = false) {
  Array x;
  x.dtype = dtype;
  x.shape = shape;
  x.stride.assign(shape.size(), 0);
  std::vector<size_t> order;
  for (size_t d = 0; d < shape.size(); d++) order.push_back(shape.size() - 1 - d);
  if (!plain) {
    if (shape.size() >= 2 && rng.chance(40)) std::swap(order[0], order[1]);
    if (rng.chance(25)) {
      for (size_t d = order.size(); d > 1; d--)
        std::swap(order[d - 1], order[static_cast<size_t>(rng.below(static_cast<int64_t>(d)))]);
    }
  }
  int64_t step = 1;
  for (size_t d : order) {
    if (!plain && rng.chance(d == order[0] ? 15 : 30)) step += rng.below(5);
    if (!output && !plain && rng.chance(8)) continue;  // stride 0
    x.stride[d] = step;
    step *= shape[d] > 0 ? shape[d] : 1;
    if (!plain && rng.chance(10)) x.stride[d] = -x.stride[d];
  }
  int64_t low = 0;
  int64_t high = 0;
  for (size_t d = 0; d < shape.size(); d++) {
    const int64_t reach = (shape[d] - 1) * x.stride[d];
    (reach < 0 ? low : high) += reach;
  }
  const int64_t elements = x.count() == 0 ? 0 : high - low + 1;
  x.before = x.count() == 0 ? 0 : -low;
  x.memory = std::make_unique<Guarded>(static_cast<size_t>(elements * element_bytes(dtype)));
  if (!output) {
    for (int64_t i = 0; i < elements; i++) {
      const double r = rng.real();
      put(x.memory->data(), dtype, i,
          dtype == TW_DTYPE_I8    ? floor(r * 128)
          : dtype == TW_DTYPE_I32 ? floor(r * 40)
                                  : r);
    }
  }
  return x;
}

/// Bytes of an output that are not elements must still be 0xff.
void check_gaps(Array& out) {
  const int64_t bytes = element_bytes(out.dtype);
  std::vector<bool> used(out.memory->size());
  for (int64_t i = 0; i < out.count(); i++) {
    const int64_t at = (out.before + out.offset(i)) * bytes;
    for (int64_t b = 0; b < bytes; b++) used[static_cast<size_t>(at + b)] = true;
  }
  bool clean = true;
  for (size_t i = 0; i < used.size(); i++)
    clean = clean && (used[i] || static_cast<uint8_t>(out.memory->data()[i]) == 0xff);
  check(clean, "wrote between the elements of the output");
}

/// Largest error of storing `x` as `dtype`.
double store_error(tw_u32 dtype, double x) {
  switch (dtype) {
    case TW_DTYPE_F32:
      return fabs(x) * kUnit + 0x1p-149;
    case TW_DTYPE_F16:
      return fabs(x) * 0x1p-11 + 0x1p-25;
    case TW_DTYPE_BF16:
      return fabs(x) * 0x1p-8 + 0x1p-133;
    default:
      return 0.5;
  }
}

double saturate(tw_u32 dtype, double x) {
  if (dtype == TW_DTYPE_I8) return x < -128 ? -128 : x > 127 ? 127 : x;
  if (dtype == TW_DTYPE_I32) return x < -2147483648.0 ? -2147483648.0 : x > 2147483647.0 ? 2147483647.0 : x;
  return x;
}

struct Worst {
  double ratio = 0;
  bool bad = false;
  /// What infinity stands for: the least value that the output type rounds to it, where `want` may be beyond.
  double limit = INFINITY;
  void add(double got, double want, double bound) {
    if (isinf(got)) got = got > 0 ? limit : -limit;
    if (!(fabs(got - want) <= bound)) bad = true;
    const double r = fabs(got - want) / (bound > 0 ? bound : 1);
    if (!(r <= ratio)) ratio = r;
  }
};

// ----------------------------------------------------------------------------------------------------------- weights

template <class Use>
void with_format(tw_u32 format, const Use& use) {
  switch (format) {
#define TW_CASE(F) \
  case F::kId:     \
    use(F{});      \
    return;
    TW_FOR_EACH_FORMAT(TW_CASE)
#undef TW_CASE
    default:
      abort();
  }
}

const std::vector<tw_u32>& all_formats() {
  static const std::vector<tw_u32> ids = {
#define TW_ID(F) F::kId,
      TW_FOR_EACH_FORMAT(TW_ID)
#undef TW_ID
  };
  return ids;
}

uint16_t small_half() {
  return f32_to_f16(static_cast<float>(rng.real() * 0.02));
}

// Random bytes, with scales that keep the weights near 1.
template <class F>
void random_block(typename F::Block& block) {
  uint8_t* bytes = reinterpret_cast<uint8_t*>(&block);
  for (int i = 0; i < F::kBytes; i++) bytes[i] = static_cast<uint8_t>(rng.next());
  if constexpr (F::kId == TW_FORMAT_Q8_K) {
    block.d = static_cast<float>(rng.real() * 0.01);
  } else if constexpr (F::kId == TW_FORMAT_MXFP4) {
    block.e = static_cast<uint8_t>(120 + rng.below(8));
  } else {
    block.d = small_half();
    if constexpr (F::kId == TW_FORMAT_Q4_1 || F::kId == TW_FORMAT_Q5_1) block.m = small_half();
    if constexpr (F::kId == TW_FORMAT_Q2_K || F::kId == TW_FORMAT_Q4_K || F::kId == TW_FORMAT_Q5_K)
      block.dmin = small_half();
  }
}

struct Format {
  int64_t block = 1, bytes = 1;
};
Format format_of(tw_u32 id) {
  Format f;
  with_format(id, [&](auto format) {
    f.block = decltype(format)::kBlock;
    f.bytes = decltype(format)::kBytes;
  });
  return f;
}

/// Rows of blocks [rows..., n][k]; the returned strides are in bytes, the last one is unused.
struct Blocks {
  std::unique_ptr<Guarded> memory;
  int64_t row_bytes = 0, batch_bytes = 0, rows = 0, k = 0;
  tw_u32 format = 0;
  std::vector<float> value(int64_t row) const {
    std::vector<float> out(static_cast<size_t>(k));
    with_format(format, [&](auto f) {
      using F = decltype(f);
      const auto* b = reinterpret_cast<const typename F::Block*>(memory->data() + row * row_bytes);
      for (int64_t i = 0; i < k / F::kBlock; i++) F::decode(b[i], out.data() + i * F::kBlock);
    });
    return out;
  }
};

Blocks make_blocks(tw_u32 format, int64_t rows, int64_t k, int64_t gap_blocks) {
  Blocks x;
  x.format = format;
  x.rows = rows;
  x.k = k;
  with_format(format, [&](auto f) {
    using F = decltype(f);
    const int64_t per_row = k / F::kBlock + gap_blocks;
    x.row_bytes = per_row * F::kBytes;
    const int64_t total = rows == 0 || k == 0 ? 0 : per_row * (rows - 1) + k / F::kBlock;
    const int64_t bytes = total * F::kBytes;
    // Whole multiples of four bytes keep every block aligned when the memory is flush with its end.
    x.memory = std::make_unique<Guarded>(static_cast<size_t>(bytes));
    for (int64_t i = 0; i < total; i++) {
      typename F::Block block;
      random_block<F>(block);
      memcpy(x.memory->data() + i * F::kBytes, &block, sizeof block);
    }
  });
  return x;
}

// ------------------------------------------------------------------------------------------------------------- pools

Pool& pool(int threads) {
  static Pool one(1, false), two(2, false), three(3, false);
  return threads == 1 ? one : threads == 2 ? two : three;
}

// ------------------------------------------------------------------------------------------------------------ matmul

double activation(tw_u32 id, double x) {
  switch (id) {
    case TW_ACT_RELU:
      return x > 0 ? x : 0;
    case TW_ACT_SILU:
      return x / (1 + exp(-x));
    case TW_ACT_GELU:
      return x / (1 + exp(-2 * 0.79788456080286535588 * x * (1 + 0.044715 * x * x)));
    case TW_ACT_GELU_ERF:
      return 0.5 * x * erfc(-x * 0.70710678118654752440);
    case TW_ACT_GELU_QUICK:
      return x / (1 + exp(-1.702 * x));
    case TW_ACT_SIGMOID:
      return 1 / (1 + exp(-x));
    case TW_ACT_TANH:
      return tanh(x);
    default:
      return x;
  }
}

/// Error of an activation's own arithmetic; epilogue.h states it.
double activation_error(tw_u32 id, double x, double y) {
  switch (id) {
    case TW_ACT_RELU:
      return 0;
    case TW_ACT_SILU:
    case TW_ACT_SIGMOID:
      return 6 * kUnit * fabs(y) + 1.3e-36;
    case TW_ACT_TANH:
      return 5 * kUnit * fabs(y) + 0x1p-149;
    case TW_ACT_GELU: {
      const double z = 2 * 0.79788456080286535588 * x * (1 + 0.044715 * x * x);
      return (8 + 8 * fabs(z)) * kUnit * fabs(y) + 1e-36;
    }
    case TW_ACT_GELU_QUICK:
      return 8 * kUnit * (1 + fabs(x)) * fabs(y) + 1e-36;
    case TW_ACT_GELU_ERF:
      return 4 * kUnit * fabs(x);
    default:
      return 0;
  }
}

struct MatmulCase {
  int64_t m, n, k;
  tw_u32 a_dtype = TW_DTYPE_F32, b_type = TW_DTYPE_F32, out_dtype = TW_DTYPE_F32;
  bool plain = false;   // contiguous, no epilogue, no batch
  int transposed = -1;  // plain only: b lies as [n, k] (1) or [k, n] (0)
};

struct Weights {
  Array dense;
  Blocks blocks;
  Array affine[3];
  bool has[3] = {false, false, false};
};

void run_matmul(const MatmulCase& c) {
  const bool quantized = c.b_type >= TW_FORMAT_Q4_0;
  const bool plain = c.plain;
  std::vector<int64_t> batch = {1, 1, 1, 1};
  if (!plain && rng.chance(35)) {
    for (auto& size : batch) size = rng.chance(40) ? rng.below(3) + 1 : 1;
    if (rng.chance(3)) batch[1] = 0;
  }
  const int64_t batches = batch[0] * batch[1] * batch[2] * batch[3];
  const auto with_batch = [&](int64_t rows, int64_t columns) {
    return std::vector<int64_t>{batch[0], batch[1], batch[2], batch[3], rows, columns};
  };
  const bool gated = !plain && rng.chance(25);
  const bool affine = !quantized && c.b_type >= TW_DTYPE_I8 && !plain && rng.chance(60);
  const int64_t group = rng.chance(30) ? 0 : rng.pick<int64_t>({1, 7, 16, 32, 100});
  const int64_t groups = group > 0 ? (c.k + group - 1) / group : 1;

  tw_matmul_params p;
  memset(&p, 0, sizeof p);
  p.m = c.m;
  p.n = c.n;
  p.k = c.k;
  p.group = group;
  p.alpha = plain || rng.chance(50) ? 1.0f : static_cast<float>(rng.real() * 2);
  p.beta = static_cast<float>(rng.real() * 2);
  tw_u32 constants[10] = {
      c.a_dtype, c.b_type, c.out_dtype, rng.pick<tw_u32>({0, 0, 1, 2, 3, 4}), rng.pick<tw_u32>({0, 0, 1, 2}),
      plain || rng.chance(40) ? 0u : static_cast<tw_u32>(rng.below(8)),
      // Threads and blocks, sensible and not.
      rng.pick<tw_u32>({0, 0, 0, 1, 2, 1000}), rng.pick<tw_u32>({0, 0, 1, 3, 16, 4000000000u}),
      rng.pick<tw_u32>({0, 0, 1, 40, 1024, 4000000000u}), rng.pick<tw_u32>({0, 0, 1, 64, 200, 4000000000u})};
  void* buffers[13] = {};
  const auto copy_strides = [](Array& x, tw_i64* batch_stride, tw_i64* stride) {
    for (size_t d = 0; d < 4; d++) batch_stride[d] = x.stride[d];
    stride[0] = x.stride[4];
    stride[1] = x.stride[5];
  };

  Array a = make_array(c.a_dtype, with_batch(c.m, c.k), false, plain);
  copy_strides(a, p.a_batch, p.a_stride);
  buffers[TW_MATMUL_BUF_A] = a.base();

  Weights weights[2];
  for (int w = 0; w < (gated ? 2 : 1); w++) {
    Weights& x = weights[w];
    tw_i64* stride = w == 0 ? p.b_stride : p.gate_stride;
    tw_i64* batch_stride = w == 0 ? p.b_batch : p.gate_batch;
    if (quantized) {
      const bool shared = rng.chance(50);
      x.blocks = make_blocks(c.b_type, shared ? c.n : c.n * batches, c.k, plain ? 0 : rng.below(2));
      stride[0] = x.blocks.row_bytes;
      int64_t step = c.n * x.blocks.row_bytes;
      for (int d = 3; d >= 0; d--) {
        batch_stride[d] = shared ? 0 : step;
        step *= batch[static_cast<size_t>(d)];
      }
      buffers[w == 0 ? TW_MATMUL_BUF_B : TW_MATMUL_BUF_GATE] = x.blocks.memory->data();
    } else {
      x.dense = make_array(c.b_type, with_batch(c.n, c.k), false, plain);
      if (plain && c.transposed == 0) {
        x.dense.stride[4] = 1;
        x.dense.stride[5] = c.n;
      }
      copy_strides(x.dense, batch_stride, stride);
      buffers[w == 0 ? TW_MATMUL_BUF_B : TW_MATMUL_BUF_GATE] = x.dense.base();
    }
    tw_i64* strides[2][3] = {{p.scale_stride, p.zero_stride, p.offset_stride},
                             {p.gate_scale_stride, p.gate_zero_stride, p.gate_offset_stride}};
    const int first[2] = {TW_MATMUL_BUF_SCALE, TW_MATMUL_BUF_GATE_SCALE};
    for (int i = 0; affine && i < 3; i++) {
      x.has[i] = rng.chance(70);
      if (!x.has[i]) continue;
      x.affine[i] = make_array(TW_DTYPE_F32, {c.n, groups}, false);
      strides[w][i][0] = x.affine[i].stride[0];
      strides[w][i][1] = x.affine[i].stride[1];
      buffers[first[w] + i] = x.affine[i].base();
    }
  }

  Array bias[2], residual;
  if (!plain && rng.chance(50)) {
    bias[0] = make_array(constants[TW_MATMUL_CONST_BIAS_DTYPE], {c.n}, false);
    p.bias_stride = bias[0].stride[0];
    buffers[TW_MATMUL_BUF_BIAS] = bias[0].base();
  }
  if (gated && rng.chance(50)) {
    bias[1] = make_array(constants[TW_MATMUL_CONST_BIAS_DTYPE], {c.n}, false);
    p.gate_bias_stride = bias[1].stride[0];
    buffers[TW_MATMUL_BUF_GATE_BIAS] = bias[1].base();
  }
  if (!plain && rng.chance(30)) {
    residual = make_array(constants[TW_MATMUL_CONST_RESIDUAL_DTYPE], with_batch(c.m, c.n), false);
    copy_strides(residual, p.residual_batch, p.residual_stride);
    buffers[TW_MATMUL_BUF_RESIDUAL] = residual.base();
  }
  Array out = make_array(c.out_dtype, with_batch(c.m, c.n), true, plain);
  copy_strides(out, p.out_batch, p.out_stride);
  buffers[TW_MATMUL_BUF_OUT] = out.base();
  for (size_t d = 0; d < 4; d++) p.batch[d] = batch[d];

  // Expected values: the double result, the error of the f32 kernels, and that of the reference kernel.
  const size_t outputs = static_cast<size_t>(out.count());
  std::vector<double> want(outputs), bound(outputs), fine(outputs);
  std::vector<double> row_a(static_cast<size_t>(c.k)), row_b[2], row_size[2];
  for (int64_t entry = 0; entry < batches; entry++) {
    std::vector<std::vector<double>> b[2], size[2];
    for (int w = 0; w < (gated ? 2 : 1); w++) {
      Weights& x = weights[w];
      for (int64_t n = 0; n < c.n; n++) {
        std::vector<double> values(static_cast<size_t>(c.k)), sizes(static_cast<size_t>(c.k));
        std::vector<float> decoded;
        if (quantized) decoded = x.blocks.value(x.blocks.rows == c.n ? n : entry * c.n + n);
        for (int64_t k = 0; k < c.k; k++) {
          double v, s;
          if (quantized) {
            v = static_cast<double>(decoded[static_cast<size_t>(k)]);
            s = fabs(v);
          } else {
            const double q = x.dense.value((entry * c.n + n) * c.k + k);
            const int64_t g = group > 0 ? k / group : 0;
            const double scale = x.has[0] ? x.affine[0].value(n * groups + g) : 1;
            const double zero = x.has[1] ? x.affine[1].value(n * groups + g) : 0;
            const double offset = x.has[2] ? x.affine[2].value(n * groups + g) : 0;
            v = scale * (q - zero) + offset;
            s = fabs(scale) * (fabs(q) + fabs(zero)) + fabs(offset);
          }
          values[static_cast<size_t>(k)] = v;
          sizes[static_cast<size_t>(k)] = s;
        }
        b[w].push_back(values);
        size[w].push_back(sizes);
      }
    }
    for (int64_t m = 0; m < c.m; m++) {
      for (int64_t k = 0; k < c.k; k++) row_a[static_cast<size_t>(k)] = a.value((entry * c.m + m) * c.k + k);
      for (int64_t n = 0; n < c.n; n++) {
        double sum[2] = {0, 0}, error[2] = {0, 0}, exact_error[2] = {0, 0};
        for (int w = 0; w < (gated ? 2 : 1); w++) {
          double magnitude = 0;
          for (size_t k = 0; k < row_a.size(); k++) {
            sum[w] += row_a[k] * b[w][static_cast<size_t>(n)][k];
            magnitude += fabs(row_a[k]) * size[w][static_cast<size_t>(n)][k];
          }
          // k + 1 roundings of the sum (twice that without a fused multiply-add, and the products' own), 4 of a weight.
          error[w] = (2 * static_cast<double>(c.k) + 8) * kUnit * magnitude + 1e-37;
          exact_error[w] = (static_cast<double>(c.k) + 8) * 0x1p-52 * magnitude;
        }
        const auto finish = [&](const double* sum_error, double unit, double& value, double& result_error) {
          const double alpha = static_cast<double>(p.alpha);
          value = alpha * sum[0];
          result_error = fabs(alpha) * sum_error[0] + unit * fabs(value);
          if (bias[0].memory) {
            const double x = bias[0].value(n);
            value += x;
            result_error += unit * (fabs(x) + fabs(value));
          }
          const tw_u32 act = constants[TW_MATMUL_CONST_ACTIVATION];
          if (gated) {
            double g = sum[1], g_error = sum_error[1];
            if (bias[1].memory) {
              const double x = bias[1].value(n);
              g += x;
              g_error += unit * (fabs(x) + fabs(g));
            }
            const double y = activation(act, g);
            // No activation is steeper than 1.13.
            const double y_error = 1.13 * g_error + activation_error(act, g, y) * unit / kUnit;
            result_error = fabs(value) * y_error + fabs(y) * result_error + y_error * result_error;
            value *= y;
            result_error += unit * fabs(value);
          } else {
            const double y = activation(act, value);
            result_error = 1.13 * result_error + activation_error(act, value, y) * unit / kUnit;
            value = y;
          }
          if (residual.memory) {
            const double x = static_cast<double>(p.beta) * residual.value((entry * c.m + m) * c.n + n);
            value += x;
            result_error += unit * (2 * fabs(x) + fabs(value));
          }
        };
        const size_t at = static_cast<size_t>((entry * c.m + m) * c.n + n);
        finish(error, kUnit, want[at], bound[at]);
        double again;
        finish(exact_error, 0x1p-50, again, fine[at]);
        bound[at] += store_error(c.out_dtype, fabs(want[at]) + bound[at]);
        fine[at] += store_error(c.out_dtype, want[at]);
      }
    }
  }

  const std::string shape = context + " m=" + std::to_string(c.m) + " n=" + std::to_string(c.n) +
                            " k=" + std::to_string(c.k) + " types " + std::to_string(c.a_dtype) + "," +
                            std::to_string(c.b_type) + "," + std::to_string(c.out_dtype) + (gated ? " gated" : "") +
                            (affine ? " affine" : "");
  const std::string kept = context;
  const Launch launch{&p, constants, buffers};
  struct Entry {
    const char* name;
    Kernel kernel;
    const std::vector<double>& bound;
  };
  const Entry entries[] = {{"matmul_reference", TW_ISA::dense.matmul_reference, fine},
                           {"gemm", TW_ISA::dense.gemm, bound},
                           {"gemv", TW_ISA::dense.gemv, bound}};
  for (const Entry& entry : entries) {
    out.memory->fill();
    context = shape + " " + entry.name;
    entry.kernel(launch, pool(static_cast<int>(rng.below(3)) + 1));
    Worst worst;
    for (int64_t i = 0; i < out.count(); i++) {
      const size_t at = static_cast<size_t>(i);
      const bool overflows = c.out_dtype == TW_DTYPE_F16 && fabs(want[at]) > 65504;
      worst.limit = overflows ? fmax(fabs(want[at]), 65520) : INFINITY;
      worst.add(out.value(i), saturate(c.out_dtype, want[at]), entry.bound[at]);
    }
    check(!worst.bad, "error is " + std::to_string(worst.ratio) + " of its bound");
    check_gaps(out);
  }
  context = kept;
}

int64_t awkward(std::initializer_list<int64_t> sizes) {
  return rng.chance(60) ? rng.pick(sizes) : rng.below(40) + 1;
}

void test_matmul(int cases) {
  context = "matmul";
  for (int i = 0; i < cases; i++) {
    MatmulCase c{};
    c.m = awkward({0, 1, 2, 3, 7, 8, 9, 13, 15, 17, 31, 65});
    c.n = awkward({0, 1, 2, 5, 16, 17, 33, 47, 65, 131});
    c.k = awkward({0, 1, 2, 3, 15, 17, 31, 64, 127, 255, 257, 300});
    c.a_dtype = rng.pick<tw_u32>({0, 0, 0, 1, 2, 3, 4});
    c.out_dtype = rng.pick<tw_u32>({0, 0, 0, 1, 2, 3, 4});
    if (rng.chance(30)) {
      c.b_type = all_formats()[static_cast<size_t>(rng.below(static_cast<int64_t>(all_formats().size())))];
      c.k = format_of(c.b_type).block * rng.below(4);
    } else {
      c.b_type = rng.pick<tw_u32>({0, 0, 1, 2, 3, 4});
    }
    run_matmul(c);
  }
  // Every format with every register tile of GEMV.
  for (tw_u32 format : all_formats()) {
    for (int64_t m : {1, 2, 3, 5, 8}) {
      MatmulCase c{m, 6, 1024 + 2 * format_of(format).block};
      c.b_type = format;
      c.plain = true;
      run_matmul(c);
    }
  }
}

void test_large_matmul() {
  context = "large matmul";
  for (int transposed = 0; transposed < 2; transposed++) {
    struct Shape {
      int64_t m, n, k;
    };
    // Several tasks each way; k split; a row or a column alone; more columns than one packing holds.
    for (const Shape& s : {Shape{130, 700, 300}, Shape{700, 130, 300}, Shape{3, 3, 20000}, Shape{1, 3, 30000},
                           Shape{1, 1500, 513}, Shape{8, 1100, 260}, Shape{40, 1, 3000}, Shape{2, 5, 300000}}) {
      MatmulCase c{s.m, s.n, s.k};
      c.plain = true;
      c.transposed = transposed;
      run_matmul(c);
      c.a_dtype = TW_DTYPE_F16;
      c.b_type = transposed != 0 ? TW_DTYPE_BF16 : TW_DTYPE_F16;
      run_matmul(c);
    }
  }
}

/// The activations alone: k = 0, the values come in as the bias.
void test_activations() {
  const int64_t n = 20000;
  for (tw_u32 act = 0; act < 8; act++) {
    context = "activation " + std::to_string(act);
    Array bias = make_array(TW_DTYPE_F32, {n}, false, true);
    Array out = make_array(TW_DTYPE_F32, {1, n}, true, true);
    for (int64_t i = 0; i < n; i++) {
      const double size = exp(rng.real() * 12);
      put(bias.base(), TW_DTYPE_F32, i, rng.chance(50) ? size : -size);
    }
    const float special[] = {0.0f,   -0.0f,  87.5f,   -87.5f, 88.8f,   -88.8f, -103.5f,
                             104.5f, 1e-40f, -1e-40f, 0.625f, -0.625f, 3e38f,  -1e5f};
    for (size_t i = 0; i < sizeof special / sizeof *special; i++)
      put(bias.base(), TW_DTYPE_F32, static_cast<int64_t>(i), static_cast<double>(special[i]));
    tw_matmul_params p;
    memset(&p, 0, sizeof p);
    p.m = 1;
    p.n = n;
    p.out_stride[1] = 1;
    p.bias_stride = 1;
    for (auto& size : p.batch) size = 1;
    p.alpha = 1;
    const tw_u32 constants[10] = {0, 0, 0, 0, 0, act};
    void* buffers[13] = {};
    buffers[TW_MATMUL_BUF_OUT] = out.base();
    buffers[TW_MATMUL_BUF_BIAS] = bias.base();
    // The operands are empty but bound.
    buffers[TW_MATMUL_BUF_A] = buffers[TW_MATMUL_BUF_B] = bias.base();
    for (Kernel kernel : {TW_ISA::dense.gemm, TW_ISA::dense.gemv}) {
      out.memory->fill();
      kernel(Launch{&p, constants, buffers}, pool(2));
      Worst worst;
      for (int64_t i = 0; i < n; i++) {
        const double x = bias.value(i);
        const double y = activation(act, x);
        worst.add(out.value(i), y, activation_error(act, x, y));
      }
      check(!worst.bad, "error is " + std::to_string(worst.ratio) + " of its bound");
      put(bias.base(), TW_DTYPE_F32, 3, static_cast<double>(NAN));
      kernel(Launch{&p, constants, buffers}, pool(1));
      check(isnan(out.value(3)), "a NaN is lost");
      put(bias.base(), TW_DTYPE_F32, 3, -87.5);
    }
  }
}

// -------------------------------------------------------------------------------------------------------- dequantize

bool same_float(float x, float y) {
  return memcmp(&x, &y, sizeof x) == 0 || (x != x && y != y);
}

void test_dequantize() {
  for (tw_u32 id : all_formats()) {
    with_format(id, [&](auto format) {
      using F = decltype(format);
      context = std::string("dequantize ") + F::kName;
      for (int trial = 0; trial < 12; trial++) {
        const int64_t n = rng.pick<int64_t>({0, 1, 2, 5});
        const int64_t k = F::kBlock * rng.pick<int64_t>({0, 1, 3, 8, 9});
        Blocks blocks = make_blocks(id, n, k, rng.below(2));
        if (trial % 3 == 2) {
          // Any bytes at all: subnormal, infinite and NaN scales too.
          for (size_t i = 0; i < blocks.memory->size(); i++) blocks.memory->data()[i] = static_cast<char>(rng.next());
        }
        for (tw_u32 dtype : {TW_DTYPE_F32, TW_DTYPE_F16, TW_DTYPE_BF16}) {
          Array out = make_array(dtype, {n, k}, true, trial % 2 == 0);
          tw_dequantize_params p{n, k, blocks.row_bytes, {out.stride[0], out.stride[1]}};
          const tw_u32 constants[2] = {id, dtype};
          void* buffers[2] = {blocks.memory->data(), out.base()};
          TW_ISA::dense.dequantize(Launch{&p, constants, buffers}, pool(trial % 3 + 1));
          bool same = true;
          for (int64_t row = 0; row < n && k > 0; row++) {
            const std::vector<float> want = blocks.value(row);
            for (int64_t i = 0; i < k; i++) {
              float stored = want[static_cast<size_t>(i)];
              if (dtype == TW_DTYPE_F16) stored = f16_to_f32(f32_to_f16(stored));
              if (dtype == TW_DTYPE_BF16) stored = bf16_to_f32(f32_to_bf16(stored));
              same = same && same_float(static_cast<float>(out.value(row * k + i)), stored);
            }
          }
          check(same, "differs from the format's decode");
          check_gaps(out);
        }
      }
    });
  }
}

// -------------------------------------------------------------------------------------------------------------- copy

void test_copy(int cases) {
  for (int i = 0; i < cases; i++) {
    const tw_u32 from = static_cast<tw_u32>(rng.below(5));
    const tw_u32 to = rng.chance(30) ? from : static_cast<tw_u32>(rng.below(5));
    std::vector<int64_t> shape;
    const int64_t rank = rng.below(5);
    int64_t room = rng.chance(10) ? 300000 : 6000;
    for (int64_t d = 0; d < rank; d++) {
      shape.push_back(rng.chance(2) ? 0 : rng.below(rng.chance(60) ? 20 : (room > 300 ? 300 : room)) + 1);
      if (shape.back() > 0) room = room / shape.back() + 1;
    }
    while (shape.size() < 8) shape.insert(shape.begin() + rng.below(static_cast<int64_t>(shape.size()) + 1), 1);
    context = "copy " + std::to_string(from) + " to " + std::to_string(to);
    Array src = make_array(from, shape, false, rng.chance(30));
    Array dst = make_array(to, shape, true, rng.chance(30));
    // Values that saturate, tie and do not fit.
    const int64_t elements = static_cast<int64_t>(src.memory->size()) / element_bytes(from);
    for (int64_t e = 0; e < elements; e++) {
      const double scale = rng.pick<double>({1, 200, 70000, 3e9, 1e-6});
      double x = rng.real() * scale;
      if (rng.chance(20)) x = floor(x * 2) / 2;
      if (from == TW_DTYPE_I8) x = floor(rng.real() * 128);
      if (from == TW_DTYPE_I32) x = floor(rng.real() * 2147483648.0);
      if (from < TW_DTYPE_I8 && rng.chance(2)) x = rng.pick<double>({NAN, INFINITY, -INFINITY, 0.0, -0.0});
      put(src.memory->data(), from, e, x);
    }
    tw_copy_params p;
    for (size_t d = 0; d < 8; d++) {
      p.shape[d] = shape[d];
      p.src_stride[d] = src.stride[d];
      p.dst_stride[d] = dst.stride[d];
    }
    const tw_u32 constants[2] = {from, to};
    void* buffers[2] = {src.base(), dst.base()};
    TW_ISA::dense.copy(Launch{&p, constants, buffers}, pool(static_cast<int>(rng.below(3)) + 1));
    bool same = true;
    for (int64_t e = 0; e < src.count(); e++) {
      const double x = src.value(e);
      const double got = dst.value(e);
      double want;
      if (from == to) {
        want = x;
      } else if (to >= TW_DTYPE_I8) {
        const double whole = from >= TW_DTYPE_I8 ? x : isnan(x) ? 0 : static_cast<double>(rintf(static_cast<float>(x)));
        want = saturate(to, whole);
      } else {
        const float narrow = static_cast<float>(x);
        want = static_cast<double>(to == TW_DTYPE_F16    ? f16_to_f32(f32_to_f16(narrow))
                                   : to == TW_DTYPE_BF16 ? bf16_to_f32(f32_to_bf16(narrow))
                                                         : narrow);
      }
      if (!(got == want || (isnan(got) && isnan(want)))) {
        if (same) printf("  %g gave %g, not %g\n", x, got, want);
        same = false;
      }
    }
    check(same, "an element differs");
    check_gaps(dst);
  }
}

// ----------------------------------------------------------------------------------------------------------- softmax

void run_softmax(int64_t length, std::vector<int64_t> outer, bool in_place, int kind) {
  const tw_u32 src_type = static_cast<tw_u32>(rng.below(3));
  const tw_u32 dst_type = in_place ? src_type : static_cast<tw_u32>(rng.below(3));
  const tw_u32 mask_type = static_cast<tw_u32>(rng.below(3));
  while (outer.size() < 7) outer.insert(outer.begin(), 1);
  std::vector<int64_t> shape = outer;
  shape.push_back(length);
  // kind 0: plain; 1: any strides; 2: the row strided, the last outer dimension contiguous
  const auto make = [&](tw_u32 dtype, bool output) {
    Array x = make_array(dtype, shape, output, kind != 1);
    if (kind == 2) {
      x.stride[7] = outer[6];
      x.stride[6] = 1;
    }
    return x;
  };
  Array src = make(src_type, in_place);
  const int64_t elements = static_cast<int64_t>(src.memory->size()) / element_bytes(src_type);
  for (int64_t i = 0; i < elements; i++) put(src.memory->data(), src_type, i, rng.real() * 10);
  const bool masked = rng.chance(40);
  Array mask = make(mask_type, false);
  for (int64_t i = 0; masked && i < mask.count(); i++) {
    if (rng.chance(30)) put(mask.base(), mask_type, mask.offset(i), -INFINITY);
  }
  tw_softmax_params p;
  memset(&p, 0, sizeof p);
  p.length = length;
  p.scale = rng.chance(50) ? 1.0f : static_cast<float>(rng.real() * 3);
  std::unique_ptr<Array> separate;
  if (!in_place) separate = std::make_unique<Array>(make(dst_type, true));
  Array& dst = in_place ? src : *separate;
  Array* all[3] = {&src, &dst, &mask};
  tw_i64* strides[3] = {p.src_stride, p.dst_stride, p.mask_stride};
  for (size_t i = 0; i < 3; i++) {
    p.inner_stride[i] = all[i]->stride[7];
    for (size_t d = 0; d < 7; d++) strides[i][d] = all[i]->stride[d];
  }
  for (size_t d = 0; d < 7; d++) p.shape[d] = outer[d];

  const int64_t rows = length == 0 ? 0 : src.count() / length;
  // Rows of special values: masked out, with a NaN, with an infinity.
  for (int64_t row = 0; row < rows; row++) {
    if (!rng.chance(12)) continue;
    const int64_t what = rng.below(3);
    if (what == 0) {
      for (int64_t i = 0; i < length; i++)
        put(src.base(), src_type, src.offset(row * length + i), p.scale < 0 ? INFINITY : -INFINITY);
    } else {
      put(src.base(), src_type, src.offset(row * length + rng.below(length)), what == 1 ? NAN : INFINITY);
    }
  }

  std::vector<double> want(static_cast<size_t>(rows * length)), bound(want.size());
  for (int64_t row = 0; row < rows; row++) {
    std::vector<float> t(static_cast<size_t>(length));
    float largest = -INFINITY;
    bool nan = false;
    for (int64_t i = 0; i < length; i++) {
      float x = p.scale * static_cast<float>(src.value(row * length + i));
      if (masked) x += static_cast<float>(mask.value(row * length + i));
      nan = nan || isnan(x) || x == INFINITY;
      largest = x > largest ? x : largest;
      t[static_cast<size_t>(i)] = x;
    }
    double sum = 0;
    for (float x : t) sum += largest == -INFINITY ? 0 : exp(static_cast<double>(x) - static_cast<double>(largest));
    for (int64_t i = 0; i < length; i++) {
      const size_t at = static_cast<size_t>(row * length + i);
      const double distance = static_cast<double>(largest) - static_cast<double>(t[static_cast<size_t>(i)]);
      const double y = nan ? static_cast<double>(NAN) : largest == -INFINITY ? 0 : exp(-distance) / sum;
      want[at] = y;
      const double relative = (static_cast<double>(length) / 4 + 16 + (distance < 200 ? distance : 0)) * kUnit;
      bound[at] = y * relative + store_error(dst_type, y * (1 + relative)) + 0x1p-148;
    }
  }
  if (!in_place) dst.memory->fill();
  const tw_u32 constants[3] = {src_type, dst_type, mask_type};
  void* buffers[3] = {src.base(), dst.base(), masked ? mask.base() : nullptr};
  TW_ISA::dense.softmax(Launch{&p, constants, buffers}, pool(static_cast<int>(rng.below(3)) + 1));
  Worst worst;
  bool special = true;
  for (size_t i = 0; i < want.size(); i++) {
    const double got = dst.value(static_cast<int64_t>(i));
    if (isnan(want[i])) {
      special = special && isnan(got);
    } else {
      worst.add(got, want[i], bound[i]);
    }
  }
  check(special, "a row with a NaN or +inf is not NaN");
  check(!worst.bad, "error is " + std::to_string(worst.ratio) + " of its bound, length " + std::to_string(length) +
                        " kind " + std::to_string(kind));
  if (!in_place) check_gaps(dst);
}

void test_softmax(int cases) {
  context = "softmax";
  for (int i = 0; i < cases; i++) {
    const int64_t length = rng.chance(3) ? 0 : awkward({1, 2, 15, 16, 17, 33, 100, 257});
    run_softmax(length, {rng.below(3) + 1, rng.below(4) + 1, awkward({1, 3, 15, 16, 17, 40})}, rng.chance(20),
                static_cast<int>(rng.below(3)));
  }
  for (int kind = 0; kind < 3; kind++) {
    run_softmax(4097, {3}, false, kind);
    run_softmax(20001, {kind == 2 ? 3 : 2}, kind == 0, kind);
    run_softmax(0, {4}, false, kind);
    run_softmax(7, {0, 4}, false, kind);
  }
}

// ------------------------------------------------------------------------------------------------------------ probes

void test_probes() {
  context = "probe";
  for (int64_t bytes : {0, 1, 63, 64, 1000, (1 << 20) + 13, 3 << 20}) {
    Guarded data(static_cast<size_t>(bytes));
    for (int64_t i = 0; i < bytes; i++) data.data()[i] = static_cast<char>(i * 7);
    uint64_t first = 1, second = 2;
    tw_probe_read_params p{bytes};
    void* buffers[2] = {data.data(), &first};
    TW_ISA::dense.probe_read(Launch{&p, nullptr, buffers}, pool(3));
    if (bytes > 0) data.data()[bytes - 1] = static_cast<char>(data.data()[bytes - 1] ^ 1);
    buffers[1] = &second;
    TW_ISA::dense.probe_read(Launch{&p, nullptr, buffers}, pool(1));
    check(bytes == 0 ? first == second : first != second,
          "the checksum does not see the last byte of " + std::to_string(bytes));
  }
  for (tw_u32 kind = 0; kind < 2; kind++) {
    double small = -1, large = -1;
    void* buffers[1] = {&small};
    tw_probe_peak_params p{1000};
    TW_ISA::dense.probe_peak(Launch{&p, &kind, buffers}, pool(2));
    p.iterations = 3000;
    buffers[0] = &large;
    TW_ISA::dense.probe_peak(Launch{&p, &kind, buffers}, pool(2));
    check(large == 3 * small && (kind == 1 || small > 0), "operations are not proportional to iterations");
  }
}

/// A process that may have no more threads gets an exception, and keeps none of those that did start. (Emulators do not
/// know the limit: there all of them start.)
void test_no_threads() {
  context = "pool";
  rlimit before;
  getrlimit(RLIMIT_AS, &before);
  long pages = 0;
  if (FILE* usage = fopen("/proc/self/statm", "r")) {
    if (fscanf(usage, "%ld", &pages) != 1) pages = 0;
    fclose(usage);
  }
  rlimit tight = before;
  tight.rlim_cur = static_cast<rlim_t>(pages) * static_cast<rlim_t>(getpagesize()) + (rlim_t{64} << 20);
  if (pages == 0 || setrlimit(RLIMIT_AS, &tight) != 0) return;
  bool ended = false;
  try {
    Pool many(256, false);
    ended = true;
  } catch (const std::system_error&) {
    ended = true;
  }
  setrlimit(RLIMIT_AS, &before);
  check(ended, "neither threads nor an error");
}

}  // namespace

int main(int argc, char** argv) {
  const uint64_t seed = argc > 1 ? strtoull(argv[1], nullptr, 0) : 20261121;
  const int cases = argc > 2 ? atoi(argv[2]) : 1500;
  rng.state = seed;
  printf("seed %llu, %d cases\n", static_cast<unsigned long long>(seed), cases);
  test_dequantize();
  test_activations();
  test_matmul(cases);
  test_large_matmul();
  test_copy(cases / 2);
  test_softmax(cases / 2);
  test_probes();
  test_no_threads();
  printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 ? 0 : 1;
}
