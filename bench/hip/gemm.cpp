// Checks and times the GEMMs of block-quantized weights on an NVIDIA GPU, all instances beside each other, so that the
// dispatcher's choice can be made from numbers. Weights rotate among copies that do not fit the L2 cache together.
//
//   gemm FOLDER [--formats q4_k,q6_k] [--shapes 14336x4096] [--rows 512,128,32] [--splits 1,2,4] [--peer lib.so]
//        [--instances m32:32x64] [--check]
//
// --splits: workgroups that share a tile along k, each number tried; --instances names them, with rows and columns of
// their tiles, where they are not those of the dispatcher.
//
// FOLDER has `npm run build:hip -- --targets sm_80`, and for the share of the peak bench/hip/peak.hip compiled in the
// same way to peak.ptx. A peer is a library with peer_gemm_quantize and peer_gemm, as they are declared below.
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
  int id, ggml, block, bytes;
};
const Format kFormats[] = {
    {"q4_0", 16, 2, 32, 18},      {"q4_1", 17, 3, 32, 20},    {"q5_0", 18, 6, 32, 22},    {"q5_1", 19, 7, 32, 24},
    {"q8_0", 20, 8, 32, 34},      {"q2_k", 21, 10, 256, 84},  {"q3_k", 22, 11, 256, 110}, {"q4_k", 23, 12, 256, 144},
    {"q5_k", 24, 13, 256, 176},   {"q6_k", 25, 14, 256, 210}, {"q8_k", 26, 15, 256, 292}, {"iq4_nl", 27, 20, 32, 18},
    {"iq4_xs", 28, 23, 256, 136}, {"mxfp4", 29, 39, 32, 17},
};

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> out;
  for (size_t from = 0; from <= text.size();) {
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
  for (int i = 0; i < 9; i++) {
    DO(cuEventRecord(begin, stream));
    DO(cuGraphLaunch(exec, stream));
    DO(cuEventRecord(end, stream));
    DO(cuEventSynchronize(end));
    float ms;
    DO(cuEventElapsedTime(&ms, begin, end));
    if (i >= 2) times.push_back(ms);
  }
  DO(cuGraphExecDestroy(exec));
  DO(cuGraphDestroy(graph));
  std::sort(times.begin(), times.end());
  return 1000.0 * times[times.size() / 2] / launches;
}

Address allocate(size_t bytes) {
  Address at;
  DO(cuMemAlloc_v2(&at, bytes));
  return at;
}

float from_bits(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}
uint32_t bits_of(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  return bits;
}
uint16_t to_bf16(float x) {
  const uint32_t bits = bits_of(x);
  return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/// An instance of the kernel: rows of activations and outputs of a workgroup, and whether it has a gate.
struct Instance {
  std::string name;
  Function function;
  int rows, columns;
  bool gate;
};

struct Peer {
  void (*quantize)(int type, const float* x, void* q8, int k, int m, void* stream) = nullptr;
  int (*gemm)(int type, const void* weights, const void* q8, float* out, float* work, int k, int n, int m,
              void* stream) = nullptr;
};

/// Operations per second of the matrix unit, in 10^12.
double measured_peak(const std::string& folder) {
  Module module;
  Function peak;
  if (driver().cuModuleLoad(&module, (folder + "/peak.ptx").c_str()) != 0) return 0;
  DO(cuModuleGetFunction(&peak, module, "peak_bf16"));
  const unsigned groups = 132 * 8;
  unsigned turns = 4096;
  Address out = allocate(groups * 256 * 4);
  void* args[] = {&out, &turns};
  const double us =
      time_calls(4, [&](int) { DO(cuLaunchKernel(peak, groups, 1, 1, 256, 1, 1, 0, stream, args, nullptr)); });
  DO(cuMemFree_v2(out));
  return 2.0 * 16 * 16 * 16 * 8 * turns * groups * 8 / us * 1e-6;
}

}  // namespace

int main(int argc, char** argv) {
  std::string folder = argc > 1 ? argv[1] : "", formats, shapes = "14336x4096", counts = "512,128,32";
  std::string shares = "1,2,3,4,6,8", names = "m16:16x128,m32:32x128,m64:64x128,m128:128x128";
  for (const Format& f : kFormats) formats += (formats.empty() ? "" : ",") + std::string(f.name);
  bool only_check = false;
  Peer peer;
  for (int i = 2; i < argc; i++) {
    const std::string option = argv[i];
    if (option == "--check") {
      only_check = true;
    } else if (i + 1 >= argc) {
      break;
    } else if (option == "--formats") {
      formats = argv[++i];
    } else if (option == "--shapes") {
      shapes = argv[++i];
    } else if (option == "--rows") {
      counts = argv[++i];
    } else if (option == "--splits") {
      shares = argv[++i];
    } else if (option == "--instances") {
      names = argv[++i];
    } else if (option == "--peer") {
      void* library = dlopen(argv[++i], RTLD_NOW);
      if (library == nullptr) return std::fprintf(stderr, "%s\n", dlerror()), 1;
      peer.quantize = reinterpret_cast<decltype(peer.quantize)>(dlsym(library, "peer_gemm_quantize"));
      peer.gemm = reinterpret_cast<decltype(peer.gemm)>(dlsym(library, "peer_gemm"));
    }
  }
  if (folder.empty()) return std::fprintf(stderr, "usage: gemm FOLDER [options]\n"), 2;

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
  const double peak = only_check ? 0 : measured_peak(folder);
  std::printf("%s, driver %d, products of bfloat16 from registers %.0f TFLOP/s\n", name, version, peak);

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
    check(driver().cuModuleGetFunction(&f, module, symbol.c_str()), symbol.c_str());
    return f;
  };
  const Function copy = function(load("copy"), "copy_elements"), add = function(load("gemm_sum"), "gemm_sum");

  std::mt19937 random(7);
  std::normal_distribution<float> normal(0.0f, 0.05f);
  int failures = 0;
  for (const std::string& which : split(formats)) {
    const Format* format = nullptr;
    for (const Format& f : kFormats) {
      if (which == f.name) format = &f;
    }
    if (format == nullptr) return std::fprintf(stderr, "no format %s\n", which.c_str()), 2;
    const tw_codec& codec = *tw_codec_of(format->id);
    const Module module = load("gemm_bf16." + which);
    std::vector<Instance> instances;
    for (const std::string& entry : split(names)) {
      char name[40];
      int rows, columns;
      if (std::sscanf(entry.c_str(), "%39[^:]:%dx%d", name, &rows, &columns) != 3) {
        return std::fprintf(stderr, "no instance %s\n", entry.c_str()), 2;
      }
      const std::string symbol = "gemm_bf16_" + which + "_" + name;
      instances.push_back({name, function(module, symbol), rows, columns, false});
      if (!only_check) continue;
      instances.push_back({std::string(name) + " gate", function(module, symbol + "_gate"), rows, columns / 2, true});
    }
    for (const std::string& shape : split(shapes)) {
      int n, k;
      std::sscanf(shape.c_str(), "%dx%d", &n, &k);
      const size_t row_bytes = size_t(k / format->block) * format->bytes, bytes = n * row_bytes;
      const int copies = only_check ? 1 : int(std::max<size_t>(2, (size_t(300) << 20) / bytes + 1));
      // Real blocks, drawn from a pool.
      const int pool = 2048;
      std::vector<float> values(size_t(pool) * format->block);
      for (float& v : values) v = normal(random);
      std::vector<uint8_t> blocks(size_t(pool) * format->bytes), weights(bytes);
      codec.encode(values.data(), blocks.data(), pool);
      for (size_t at = 0; at < bytes; at += format->bytes) {
        std::memcpy(&weights[at], &blocks[random() % pool * format->bytes], format->bytes);
      }
      const Address b = allocate(bytes * copies);
      for (int i = 0; i < copies; i++) DO(cuMemcpyHtoD_v2(b + bytes * i, weights.data(), bytes));
      DO(cuStreamSynchronize(nullptr));

      for (const std::string& count : split(counts)) {
        const int m = std::stoi(count);
        std::vector<float> x(size_t(m) * k);
        for (float& v : x) v = normal(random) * 20.0f;
        const Address x_device = allocate(x.size() * 4), bf16 = allocate(x.size() * 2);
        const Address out = allocate(size_t(m) * n * 4);
        DO(cuMemcpyHtoD_v2(x_device, x.data(), x.size() * 4));
        DO(cuStreamSynchronize(nullptr));
        tw_hip_copy_params cp{};
        for (auto& v : cp.shape) v = 1;
        cp.shape[6] = m, cp.shape[7] = k;
        cp.src_stride[6] = cp.dst_stride[6] = k, cp.src_stride[7] = cp.dst_stride[7] = 1;
        cp.src_dtype = TW_DTYPE_F32, cp.dst_dtype = TW_DTYPE_BF16;
        cp.rows = m, cp.vector = 1;
        for (cp.width = 1; cp.width < 256 && int(cp.width) < k / 4; cp.width *= 2) {
        }
        cp.blocks = (k / 4 + cp.width - 1) / cp.width;
        const unsigned own = 256 / cp.width;
        const auto round = [&](int) {
          Address from = x_device, to = bf16;
          void* args[] = {&from, &to, &cp};
          DO(cuLaunchKernel(copy, cp.blocks * ((m + own - 1) / own), 1, 1, 256, 1, 1, 0, stream, args, nullptr));
        };
        round(0);
        std::vector<uint16_t> narrow(x.size());
        DO(cuStreamSynchronize(stream));
        DO(cuMemcpyDtoH_v2(narrow.data(), bf16, narrow.size() * 2));
        for (size_t i = 0; i < x.size(); i++) {
          if (narrow[i] != to_bf16(x[i])) failures++;
        }

        std::printf("%-6s %dx%d m %d%s:", which.c_str(), n, k, m,
                    only_check ? " (largest error over its bound, by splits)" : "");
        double best = 1e30;
        std::string chosen;
        Address space = 0;
        size_t space_bytes = 0;
        for (const Instance& instance : instances) {
          // Tiles that are three quarters empty, and many small ones, are nobody's choice.
          const bool many = m > 4 * instance.rows && &instance != &instances.back();
          if (!only_check && (instance.rows > std::max(16, 4 * m) || many)) continue;
          std::printf(" %s", instance.name.c_str());
          for (const std::string& share : split(shares)) {
            tw_hip_matmul_params p{};
            p.m = m, p.n = n, p.k = k;
            p.splits = unsigned(std::stoi(share));
            p.a_stride[0] = k, p.a_stride[1] = 1;
            p.b_stride[0] = p.gate_stride[0] = int64_t(row_bytes);
            p.out_stride[0] = n, p.out_stride[1] = 1;
            p.alpha = 1, p.b_dtype = format->id, p.activation = instance.gate ? TW_ACT_RELU : TW_ACT_NONE;
            for (auto& v : p.batch) v = 1;
            tw_hip_gemm_sum_params sum{};
            sum.m = m, sum.n = n, sum.splits = p.splits, sum.gate = instance.gate;
            sum.out_stride[0] = n, sum.out_stride[1] = 1;
            sum.alpha = 1, sum.activation = p.activation;
            for (auto& v : sum.batch) v = 1;
            const size_t wanted = size_t(p.splits) * m * n * (instance.gate ? 2 : 1) * 4;
            if (p.splits > 1 && wanted > space_bytes) {
              if (space != 0) DO(cuMemFree_v2(space));
              space = allocate(space_bytes = wanted);
            }
            const auto call = [&](int i) {
              Address w = b + bytes * (i % copies), gate = instance.gate ? w : 0, none = 0, a = bf16, o = out;
              Address to = p.splits > 1 ? space : out;
              void* args[] = {&a, &w, &to, &none, &none, &gate, &none, &p};
              DO(cuLaunchKernel(instance.function, (m + instance.rows - 1) / instance.rows,
                                (n + instance.columns - 1) / instance.columns, p.splits, 256, 1, 1, 0, stream, args,
                                nullptr));
              if (p.splits == 1) return;
              void* rest[] = {&space, &o, &none, &none, &none, &sum};
              DO(cuLaunchKernel(add, (n + 1023) / 1024, m, 1, 256, 1, 1, 0, stream, rest, nullptr));
            };
            DO(cuMemsetD8Async(out, 0xff, size_t(m) * n * 4, stream));
            if (p.splits > 1) DO(cuMemsetD8Async(space, 0xff, wanted, stream));
            call(0);
            DO(cuStreamSynchronize(stream));
            std::vector<float> result(size_t(m) * n);
            DO(cuMemcpyDtoH_v2(result.data(), out, result.size() * 4));
            // Every output has to be written; 300 and the last are summed again.
            double worst = 0;
            for (float v : result) {
              if (!std::isfinite(v)) worst = INFINITY;
            }
            std::vector<float> row(k);
            for (int s = 0; s < 300; s++) {
              const int i = s == 0 ? m - 1 : random() % m, j = s == 0 ? n - 1 : random() % n;
              codec.decode(&weights[j * row_bytes], row.data(), k / format->block);
              double sum = 0, absolute = 0;
              for (int q = 0; q < k; q++) {
                const double w = from_bits(uint32_t(to_bf16(row[q])) << 16);
                const double a = from_bits(uint32_t(narrow[size_t(i) * k + q]) << 16);
                sum += w * a, absolute += std::fabs(w * a);
              }
              double bound = (k + 16) * 5.96e-8 * absolute;
              // The gate is the weights once more: twice the relative error.
              if (instance.gate) bound *= 2 * std::fabs(sum) + bound, sum = sum < 0 ? 0 : sum * sum;
              worst = std::max(worst, std::fabs(result[size_t(i) * n + j] - sum) / bound);
            }
            if (!(worst <= 1)) failures++;
            if (!(worst <= 1) || only_check) std::printf(" /%u %s%.3f", p.splits, worst <= 1 ? "" : "WRONG ", worst);
            if (only_check) continue;
            const double us = time_calls(std::max(8, copies), call);
            if (us < best) best = us, chosen = instance.name + "/" + share;
            std::printf(" %.1f", us);
          }
        }
        if (space != 0) DO(cuMemFree_v2(space));
        if (!only_check) {
          const double rate = 2.0 * m * n * k / best * 1e-6;
          std::printf(" | %s %.1f us, %.0f TFLOP/s", chosen.c_str(), best, rate);
          if (peak > 0) std::printf(", %.0f %% of the peak", 100 * rate / peak);
          std::printf("; rounding %.1f us", time_calls(8, round));
        }
        if (peer.gemm != nullptr && !only_check && which != "q8_k") {
          const Address codes_device = allocate(size_t(m + 128) * ((k + 511) / 512 * 512) / 32 * 36);
          const Address work = allocate(size_t(132) * 128 * 128 * 4);
          const auto call = [&](int i) {
            peer.gemm(format->ggml, reinterpret_cast<const void*>(b + bytes * (i % copies)),
                      reinterpret_cast<const void*>(codes_device), reinterpret_cast<float*>(out),
                      reinterpret_cast<float*>(work), k, n, m, stream);
          };
          peer.quantize(format->ggml, reinterpret_cast<const float*>(x_device), reinterpret_cast<void*>(codes_device),
                        k, m, stream);
          call(0);
          DO(cuStreamSynchronize(stream));
          std::vector<float> result(size_t(m) * n);
          DO(cuMemcpyDtoH_v2(result.data(), out, result.size() * 4));
          double error = 0, square = 0;
          std::vector<float> row(k);
          for (int s = 0; s < 100; s++) {
            const int i = random() % m, j = random() % n;
            codec.decode(&weights[j * row_bytes], row.data(), k / format->block);
            double sum = 0;
            for (int q = 0; q < k; q++) sum += double(row[q]) * x[size_t(i) * k + q];
            error += (result[size_t(i) * n + j] - sum) * (result[size_t(i) * n + j] - sum), square += sum * sum;
          }
          const double other = time_calls(std::max(8, copies), call);
          std::printf("; peer %.1f us: %.2fx (its error %.4f)", other, other / best, std::sqrt(error / square));
          for (Address at : {codes_device, work}) DO(cuMemFree_v2(at));
        }
        std::printf("\n");
        std::fflush(stdout);
        for (Address at : {x_device, bf16, out}) DO(cuMemFree_v2(at));
      }
      DO(cuMemFree_v2(b));
    }
  }
  std::printf("%s\n", failures == 0 ? "all results within their bounds" : "SOME RESULTS ARE WRONG");
  return failures == 0 ? 0 : 1;
}
