// Checks and times the quantized GEMV of hip/ on an NVIDIA GPU: PTX or cubins in, a table out. Weights are rotated so
// that they do not sit in the L2 cache; results are compared with float64 sums over the weights and activations as they
// were rounded. An optional shared object with another library's kernels is timed in the same run.
//
//   gemv FOLDER [--peer LIB] [--formats q4_k,q6_k] [--shapes 14336x4096,28672x8192] [--rows 1,8] [--sweep] [--check]
#include <tilewright/params.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "../../Sources/CpuKernels/formats/codec.h"
#include "driver.h"

namespace {

struct Format {
  const char* name;
  int id, ggml, block, bytes, step;
};
const Format kFormats[] = {
    {"q4_0", 16, 2, 32, 18, 16},      {"q4_1", 17, 3, 32, 20, 16},    {"q5_0", 18, 6, 32, 22, 16},
    {"q5_1", 19, 7, 32, 24, 16},      {"q8_0", 20, 8, 32, 34, 16},    {"q2_k", 21, 10, 256, 84, 32},
    {"q3_k", 22, 11, 256, 110, 32},   {"q4_k", 23, 12, 256, 144, 32}, {"q5_k", 24, 13, 256, 176, 32},
    {"q6_k", 25, 14, 256, 210, 64},   {"q8_k", 26, 15, 256, 292, 16}, {"iq4_nl", 27, 20, 32, 18, 16},
    {"iq4_xs", 28, 23, 256, 136, 16}, {"mxfp4", 29, 39, 32, 17, 16},
};

const int kMostRows = 16;

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> out;
  size_t from = 0;
  while (from <= text.size()) {
    const size_t to = std::min(text.find(',', from), text.size());
    out.push_back(text.substr(from, to - from));
    from = to + 1;
  }
  return out;
}

Stream stream;

/// Median time of one of `launches` calls, in microseconds: recorded as a graph, so that launching costs nothing.
double time_calls(int launches, const std::function<void(int)>& call) {
  Graph graph;
  GraphExec exec;
  DO(cuStreamBeginCapture_v2(stream, 0));
  for (int i = 0; i < launches; i++) call(i);
  DO(cuStreamEndCapture(stream, &graph));
  DO(cuGraphInstantiateWithFlags(&exec, graph, 0));
  Event begin, end;
  DO(cuEventCreate(&begin, 0));
  DO(cuEventCreate(&end, 0));
  std::vector<float> times;
  for (int i = 0; i < 12; i++) {
    DO(cuEventRecord(begin, stream));
    DO(cuGraphLaunch(exec, stream));
    DO(cuEventRecord(end, stream));
    DO(cuEventSynchronize(end));
    float ms;
    DO(cuEventElapsedTime(&ms, begin, end));
    if (i >= 3) times.push_back(ms);
  }
  DO(cuGraphExecDestroy(exec));
  DO(cuGraphDestroy(graph));
  std::sort(times.begin(), times.end());
  return 1000.0 * times[times.size() / 2] / launches;
}

/// Of whole pieces of 256 bytes, as the back end's are.
Address allocate(size_t bytes) {
  Address at;
  DO(cuMemAlloc_v2(&at, (bytes + 255) / 256 * 256));
  return at;
}

double copy_bandwidth() {
  const size_t bytes = size_t(4) << 30;
  const Address from = allocate(bytes), to = allocate(bytes);
  DO(cuMemsetD8Async(from, 1, bytes, stream));
  Event begin, end;
  DO(cuEventCreate(&begin, 0));
  DO(cuEventCreate(&end, 0));
  double best = 0;
  for (int i = 0; i < 20; i++) {
    DO(cuEventRecord(begin, stream));
    DO(cuMemcpyDtoDAsync_v2(to, from, bytes, stream));
    DO(cuEventRecord(end, stream));
    DO(cuEventSynchronize(end));
    float ms;
    DO(cuEventElapsedTime(&ms, begin, end));
    best = std::max(best, 2.0 * bytes / ms * 1e-9);
  }
  DO(cuMemFree_v2(from));
  DO(cuMemFree_v2(to));
  return best;
}

struct Config {
  int columns, rows, groups, split_shift;
};

struct Peer {
  void (*quantize)(const float*, void*, int, int, void*) = nullptr;
  void (*gemv)(int, const void*, const void*, float*, const void*, int, int, int, int, void*) = nullptr;
};

struct Problem {
  const Format& format;
  int n, k;
  int copies;
  size_t bytes;  // of one copy
  std::vector<uint8_t> weights;
  Address device = 0;
  std::vector<float> x;
  Address x_device = 0, q8 = 0, peer_q8 = 0, out = 0;
};

/// Shared memory of a workgroup, as ts/kernels/hip/gemv.ts has it.
unsigned shared_bytes(const Format& f, const Config& c) {
  const unsigned waves = c.groups << c.split_shift;
  if (c.rows < 16) return c.split_shift > 0 ? waves * c.rows * c.columns * 4 : 0;
  const unsigned step = 256 / f.block * f.bytes, align = std::min(16, f.bytes & -f.bytes);
  return waves * 2 * (2560 + c.rows * 16 * ((step + 31 - align) / 16 | 1));
}

/// Rows per wave and geometry as ts/kernels/hip/gemv.ts and the dispatcher's tuning for sm_90 have them.
Config policy(const Format& format, int m, int n, int k) {
  const bool fast = std::strstr("q2_k q3_k iq4_nl", format.name) != nullptr;
  Config c{m <= 2 ? m : m <= 4 && !fast ? 4 : 8, 0, 1, 0};
  const bool tile = c.columns == 8, one = c.columns == 1, wide = !std::strncmp(format.name, "q8", 2);
  c.rows = tile ? 16 : c.columns > 1 ? c.columns : n >= 24 * 132 ? 2 : 1;
  const int outputs = (n + c.rows - 1) / c.rows,
            wanted = 132 * (one     ? wide || !std::strcmp(format.name, "q6_k") ? 128 : 32
                            : !tile ? 512
                            : wide  ? 6
                                    : 24),
            least = one    ? 2048
                    : tile ? 512
                           : 4096;
  for (;;) {
    Config next = c;
    next.split_shift++;
    if (next.split_shift > 3 || shared_bytes(format, next) > 48 << 10) break;
    if ((outputs << c.split_shift) >= wanted || k < least << next.split_shift) break;
    c = next;
  }
  if (!tile) c.groups = std::max(1, 4 >> c.split_shift);
  return c;
}

size_t q8_bytes(int rows, int k, int group) {
  return size_t(rows + group - 1) / group * group * ((k + 255) / 256) * 320;
}

/// The order of activations, as ts/kernels/hip/gemv.ts has it.
int order(const Format& f, int columns) {
  return columns == 1 && (!std::strcmp(f.name, "q2_k") || !std::strcmp(f.name, "q3_k")) ? 33 : f.step;
}

/// Activation i of a row as the quantizer left it.
float rounded(const std::vector<uint8_t>& q8, const Format& f, int row, int k, int group, int i) {
  const size_t blocks = (k + 255) / 256;
  const uint8_t* block = &q8[((row / group * blocks + i / 256) * group + row % group) * 320];
  const int run = i % 256 / 16, apart = f.step / 16;
  int part = run / (2 * apart) * apart + run % apart;
  if (order(f, group) == 33) part = part / 4 * 2 + part / 2 % 2 * 4 + part % 2;
  const int second = run / apart % 2;
  uint32_t record;
  std::memcpy(&record, block + 4 * (2 * part + second), 4);
  record &= 0xffff0000u;
  float scale;
  std::memcpy(&scale, &record, 4);
  return scale * float(int8_t(block[64 + 16 * (8 * second + part) + i % 16]));
}

}  // namespace

int main(int argc, char** argv) {
  std::string folder = argc > 1 ? argv[1] : "";
  std::string formats = "q4_k,q5_k,q6_k,q8_0,q4_0", shapes = "14336x4096,28672x8192", counts = "1,2,3,4,5,6,7,8";
  bool sweep = false, only_check = false;
  Peer peer;
  for (int i = 2; i < argc; i++) {
    const std::string option = argv[i];
    if (option == "--sweep")
      sweep = true;
    else if (option == "--check")
      only_check = true;
    else if (i + 1 >= argc)
      break;
    else if (option == "--formats")
      formats = argv[++i];
    else if (option == "--shapes")
      shapes = argv[++i];
    else if (option == "--rows")
      counts = argv[++i];
    else if (option == "--peer") {
      void* library = dlopen(argv[++i], RTLD_NOW);
      if (library == nullptr) return std::fprintf(stderr, "%s\n", dlerror()), 1;
      peer.quantize = reinterpret_cast<decltype(peer.quantize)>(dlsym(library, "peer_quantize"));
      peer.gemv = reinterpret_cast<decltype(peer.gemv)>(dlsym(library, "peer_gemv"));
    }
  }
  if (folder.empty()) return std::fprintf(stderr, "usage: gemv FOLDER [options]\n"), 2;

  DO(cuInit(0));
  int device, version;
  Context context;
  char name[200];
  DO(cuDeviceGet(&device, 0));
  DO(cuDeviceGetName(name, sizeof name, device));
  DO(cuDriverGetVersion(&version));
  DO(cuDevicePrimaryCtxRetain(&context, device));
  DO(cuCtxSetCurrent(context));
  DO(cuStreamCreate(&stream, 1));
  const double copy = only_check ? 0 : copy_bandwidth();
  std::printf("%s, driver %d, copy %.0f GB/s\n", name, version, copy * 1000);

  const auto load = [&](const std::string& file) {
    for (const char* kind : {".cubin", ".ptx"}) {
      Module module;
      if (driver().cuModuleLoad(&module, (folder + "/" + file + kind).c_str()) == 0) return module;
    }
    std::fprintf(stderr, "no %s.cubin or .ptx in %s\n", file.c_str(), folder.c_str());
    std::exit(1);
  };
  const auto function = [](Module module, const std::string& symbol) {
    Function f = nullptr;
    return driver().cuModuleGetFunction(&f, module, symbol.c_str()) == 0 ? f : nullptr;
  };
  const Function quantize = function(load("quantize"), "quantize_q8");

  int failures = 0;
  std::mt19937 random(7);
  for (const std::string& which : split(formats)) {
    const Format* format = nullptr;
    for (const Format& f : kFormats) {
      if (which == f.name) format = &f;
    }
    if (format == nullptr) return std::fprintf(stderr, "no format %s\n", which.c_str()), 2;
    const Module module = load("gemv." + which);
    const tw_codec& codec = *tw_codec_of(format->id);
    for (const std::string& shape : split(shapes)) {
      Problem p{*format, 0, 0, 1, 0, {}, 0, {}};
      std::sscanf(shape.c_str(), "%dx%d", &p.n, &p.k);
      p.bytes = size_t(p.n) * (p.k / format->block) * format->bytes;
      p.copies = only_check ? 1 : int(std::max<size_t>(2, (size_t(600) << 20) / p.bytes + 1));
      // Real blocks, drawn from a pool.
      const int pool = 2048;
      std::vector<float> values(size_t(pool) * format->block);
      std::normal_distribution<float> normal(0.0f, 0.05f);
      for (float& v : values) v = normal(random);
      std::vector<uint8_t> blocks(size_t(pool) * format->bytes);
      codec.encode(values.data(), blocks.data(), pool);
      p.weights.resize(p.bytes);
      for (size_t at = 0; at < p.bytes; at += format->bytes) {
        std::memcpy(&p.weights[at], &blocks[random() % pool * format->bytes], format->bytes);
      }
      p.device = allocate(p.bytes * p.copies);
      for (int i = 0; i < p.copies; i++) DO(cuMemcpyHtoD_v2(p.device + p.bytes * i, p.weights.data(), p.bytes));
      p.x.resize(size_t(kMostRows) * p.k);
      for (float& v : p.x) v = normal(random) * 20.0f;
      p.x_device = allocate(p.x.size() * 4);
      DO(cuMemcpyHtoD_v2(p.x_device, p.x.data(), p.x.size() * 4));
      p.q8 = allocate(q8_bytes(kMostRows, p.k, 8));
      p.peer_q8 = allocate(size_t(kMostRows) * ((p.k + 511) / 512 * 512) / 32 * 36);
      p.out = allocate(size_t(kMostRows) * p.n * 4);

      for (const std::string& count : split(counts)) {
        const int m = std::stoi(count);
        std::vector<Config> configs;
        const Config own = policy(*format, m, p.n, p.k);
        configs.push_back(own);
        if (sweep) {
          for (int rows : {1, 2, 4, 16})
            for (int shift : {0, 1, 2, 3})
              for (int groups : {1, 2, 4, 8})
                if ((groups << shift) <= 8) configs.push_back({own.columns, rows, groups, shift});
        }
        double best = 1e30;
        Config chosen{};
        for (const Config& c : configs) {
          const std::string symbol = "gemv_" + which + "_c" + std::to_string(c.columns) + "_r" + std::to_string(c.rows);
          const Function gemv = function(module, symbol);
          if (gemv == nullptr) continue;
          if (shared_bytes(*format, c) > 48 << 10) continue;
          tw_hip_quantize_q8_params qp{};
          qp.m = m;
          qp.k = p.k;
          qp.a_dtype = TW_DTYPE_F32;
          qp.group = c.columns;
          qp.step = order(*format, c.columns);
          qp.a_stride[0] = p.k;
          qp.a_stride[1] = 1;
          for (auto& b : qp.batch) b = 1;
          void* quantize_args[] = {&p.x_device, &p.q8, &qp};
          const unsigned padded = (m + c.columns - 1) / c.columns * c.columns;
          DO(cuLaunchKernel(quantize, ((p.k + 255) / 256 * 256 + 2047) / 2048, padded, 1, 128, 1, 1, 0, stream,
                            quantize_args, nullptr));

          tw_hip_matmul_params gp{};
          gp.m = m;
          gp.n = p.n;
          gp.k = p.k;
          gp.split_shift = c.split_shift;
          gp.groups = c.groups;
          gp.b_stride[0] = int64_t(p.k / format->block) * format->bytes;
          gp.out_stride[0] = p.n;
          gp.out_stride[1] = 1;
          gp.alpha = 1;
          gp.b_dtype = format->id;
          for (auto& b : gp.batch) b = 1;
          const auto launch = [&](Function kernel, Address weights, Address gate, int outputs) {
            Address none = 0;
            void* args[] = {&p.q8, &weights, &p.out, &none, &none, &gate, &none, &gp};
            const unsigned waves = c.groups << c.split_shift;
            const unsigned shared = shared_bytes(*format, c);
            DO(cuLaunchKernel(kernel, (p.n + outputs * c.groups - 1) / (outputs * c.groups),
                              (m + c.columns - 1) / c.columns, 1, 32 * waves, 1, 1, shared, stream, args, nullptr));
          };
          const auto call = [&](int i) { launch(gemv, p.device + p.bytes * (i % p.copies), 0, c.rows); };
          // With a gate that is the weights again, outputs are squares of sums.
          std::vector<float> squares;
          const Function gated = c.rows < 16 ? nullptr : function(module, symbol + "_gate");
          if (gated != nullptr) {
            gp.gate_stride[0] = gp.b_stride[0];
            DO(cuMemsetD8Async(p.out, 0xff, size_t(kMostRows) * p.n * 4, stream));
            launch(gated, p.device, p.device, c.rows / 2);
            DO(cuStreamSynchronize(stream));
            squares.resize(size_t(m) * p.n);
            DO(cuMemcpyDtoH_v2(squares.data(), p.out, squares.size() * 4));
          }
          DO(cuMemsetD8Async(p.out, 0xff, size_t(kMostRows) * p.n * 4, stream));
          call(0);
          DO(cuStreamSynchronize(stream));
          std::vector<float> out(size_t(m) * p.n);
          DO(cuMemcpyDtoH_v2(out.data(), p.out, out.size() * 4));
          std::vector<uint8_t> q8(q8_bytes(m, p.k, c.columns));
          DO(cuMemcpyDtoH_v2(q8.data(), p.q8, q8.size()));
          // Every output has to be written; every 61st row and the last are summed again.
          double worst = 0;
          for (const std::vector<float>* all : {&out, &squares})
            for (float v : *all)
              if (!std::isfinite(v)) worst = INFINITY;
          std::vector<float> row(p.k);
          std::vector<std::vector<float>> a(m, std::vector<float>(p.k));
          for (int j = 0; j < m; j++)
            for (int i = 0; i < p.k; i++) a[j][i] = rounded(q8, *format, j, p.k, c.columns, i);
          const int stride = sweep || !only_check ? 997 : 61;
          for (int n = 0; n < p.n; n = n == p.n - 1 ? p.n : std::min(n + stride, p.n - 1)) {
            codec.decode(&p.weights[size_t(n) * gp.b_stride[0]], row.data(), p.k / format->block);
            for (int j = 0; j < m; j++) {
              double sum = 0, absolute = 0;
              for (int i = 0; i < p.k; i++) {
                const double term = double(row[i]) * a[j][i];
                sum += term;
                absolute += std::fabs(term);
              }
              const double bound = (p.k + 16) * 5.96e-8 * absolute;
              worst = std::max(worst, std::fabs(out[size_t(j) * p.n + n] - sum) / bound);
              if (squares.empty()) continue;
              const double square = bound * (2 * std::fabs(sum) + bound) + 1e-7 * sum * sum;
              worst = std::max(worst, std::fabs(squares[size_t(j) * p.n + n] - sum * sum) / square);
            }
          }
          // Rounded activations against the activations: half a step each.
          for (int j = 0; j < m; j++)
            for (int g = 0; g < p.k; g += 32) {
              float largest = 0;
              for (int i = g; i < g + 32; i++) largest = std::max(largest, std::fabs(p.x[size_t(j) * p.k + i]));
              for (int i = g; i < g + 32; i++)
                if (std::fabs(p.x[size_t(j) * p.k + i] - a[j][i]) > largest / 252.0f) worst = INFINITY;
            }
          if (!(worst <= 1)) {
            std::printf("WRONG %s %dx%d m %d c%d r%d groups %d split %d: %g of the bound\n", which.c_str(), p.n, p.k, m,
                        c.columns, c.rows, c.groups, c.split_shift, worst);
            failures++;
          } else if (only_check) {
            std::printf("ok %s m %d groups %d split %d: %.3f of the bound\n", symbol.c_str(), m, c.groups,
                        c.split_shift, worst);
          }
          if (only_check) continue;
          const double us = time_calls(std::max(24, p.copies), call);
          if (us < best) best = us, chosen = c;
          if (sweep)
            std::printf("  %s %dx%d m %d c%d r%d groups %d split %d: %.2f us\n", which.c_str(), p.n, p.k, m, c.columns,
                        c.rows, c.groups, c.split_shift, us);
        }
        if (only_check || configs.empty()) continue;
        double other = 0;
        if (peer.gemv != nullptr && which != "q8_k" && m <= 8) {
          peer.quantize(reinterpret_cast<const float*>(p.x_device), reinterpret_cast<void*>(p.peer_q8), p.k, m, stream);
          DO(cuStreamSynchronize(stream));
          other = time_calls(std::max(24, p.copies), [&](int i) {
            peer.gemv(format->ggml, reinterpret_cast<const void*>(p.device + p.bytes * (i % p.copies)),
                      reinterpret_cast<const void*>(p.peer_q8), reinterpret_cast<float*>(p.out), nullptr, p.k, p.n, m,
                      format->block, stream);
          });
        }
        const double rate = p.bytes / best * 1e-6;
        std::printf("%-6s %dx%d m %d: %7.2f us %5.0f GB/s %3.0f%% of copy (c%d r%d groups %d split %d)", which.c_str(),
                    p.n, p.k, m, best, rate * 1000, 100 * rate / copy, chosen.columns, chosen.rows, chosen.groups,
                    chosen.split_shift);
        if (other > 0) std::printf("  peer %7.2f us: %.2fx", other, other / best);
        std::printf("\n");
        std::fflush(stdout);
      }
      for (Address at : {p.device, p.x_device, p.q8, p.peer_q8, p.out}) DO(cuMemFree_v2(at));
    }
  }
  std::printf("%s\n", failures == 0 ? "all results within their bounds" : "SOME RESULTS ARE WRONG");
  return failures == 0 ? 0 : 1;
}
