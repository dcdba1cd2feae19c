// The process in which kernels run. One request on standard input, the answer on standard output; a kernel that takes
// the process down takes nothing else with it.
//
// Request: lines of words, then the bytes of the buffers in the order of their `buffer` lines.
//   module <path>
//   constant <id> <bytes in hex>
//   kernel <name to the end of the line>
//   grid <x> <y> <z> <1 if it counts threads>
//   group <x> <y> <z>
//   order <0 forward, 1 reverse, 2 random> <seed>
//   options <simt_dispatch_flags> <max threads or 0> <processor milliseconds or 0>
//   threadgroup <bytes>...
//   buffer <index> <flags> <bytes> <same as, or -1> <offset> <name or ->
//   end
// Answer: a line of JSON, then the bytes of the buffers that are not read-only, in the same order.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "../include/simt.h"

namespace {

[[noreturn]] void refuse(const std::string& text) {
  std::fprintf(stderr, "%s\n", text.c_str());
  std::exit(2);
}

struct Constant {
  uint32_t id;
  std::vector<unsigned char> bytes;
};

}  // namespace

int main() {
  std::string path, kernel, line;
  std::vector<Constant> constants;
  std::vector<simt_binding> bindings;
  std::vector<std::string> names;
  std::vector<uint32_t> threadgroup;
  simt_dispatch d{};
  for (;;) {
    if (!std::getline(std::cin, line)) refuse("the request is cut short");
    std::istringstream words(line);
    std::string what;
    words >> what;
    if (what == "end") break;
    if (what == "module") {
      std::getline(words >> std::ws, path);
    } else if (what == "kernel") {
      std::getline(words >> std::ws, kernel);
    } else if (what == "constant") {
      Constant c;
      std::string hex;
      words >> c.id >> hex;
      for (size_t i = 0; i + 1 < hex.size(); i += 2) {
        c.bytes.push_back(static_cast<unsigned char>(std::stoul(hex.substr(i, 2), nullptr, 16)));
      }
      constants.push_back(c);
    } else if (what == "grid") {
      uint32_t in_threads = 0;
      words >> d.grid[0] >> d.grid[1] >> d.grid[2] >> in_threads;
      if (in_threads) d.flags |= SIMT_GRID_IN_THREADS;
    } else if (what == "group") {
      words >> d.group[0] >> d.group[1] >> d.group[2];
    } else if (what == "order") {
      words >> d.order >> d.seed;
    } else if (what == "options") {
      uint32_t flags = 0;
      words >> flags >> d.max_threads >> d.timeout_ms;
      d.flags |= flags;
    } else if (what == "threadgroup") {
      for (uint32_t bytes; words >> bytes;) threadgroup.push_back(bytes);
    } else if (what == "buffer") {
      simt_binding b{};
      std::string name;
      words >> b.index >> b.flags >> b.size >> b.same_as >> b.offset >> name;
      names.push_back(name);
      bindings.push_back(b);
    } else {
      refuse("unknown request: " + line);
    }
  }
  for (size_t i = 0; i < bindings.size(); i++) {
    bindings[i].name = names[i] == "-" ? nullptr : names[i].c_str();
    bindings[i].data = std::malloc(bindings[i].size + 1);
    if (bindings[i].data == nullptr) refuse("no memory for the buffers");
    const bool output = (bindings[i].flags & (SIMT_BUFFER_OUTPUT | SIMT_BUFFER_NULL)) || bindings[i].same_as >= 0;
    if (!output &&
        !std::cin.read(static_cast<char*>(bindings[i].data), static_cast<std::streamsize>(bindings[i].size))) {
      refuse("the request's buffers are cut short");
    }
  }
  char error[512];
  simt_module* module = simt_load(path.c_str(), error, sizeof(error));
  if (module == nullptr) refuse(error);
  std::vector<simt_constant> values;
  for (const Constant& c : constants) {
    values.push_back({c.id, static_cast<uint32_t>(c.bytes.size()), c.bytes.data()});
  }
  d.constants = values.data();
  d.constant_count = static_cast<uint32_t>(values.size());
  d.kernel = kernel.c_str();
  d.bindings = bindings.data();
  d.binding_count = static_cast<uint32_t>(bindings.size());
  d.threadgroup_bytes = threadgroup.data();
  d.threadgroup_count = static_cast<uint32_t>(threadgroup.size());
  char* report = simt_run(module, &d);
  if (report == nullptr) refuse("no memory for the report");
  std::fputs(report, stdout);
  std::fputc('\n', stdout);
  simt_free(report);
  for (const simt_binding& b : bindings) {
    const bool input = b.same_as >= 0 || (b.flags & (SIMT_BUFFER_READ_ONLY | SIMT_BUFFER_CONSTANT | SIMT_BUFFER_NULL));
    if (!input) std::fwrite(b.data, 1, b.size, stdout);
  }
  std::fflush(stdout);
  std::_Exit(0);
}
