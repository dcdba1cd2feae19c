// Modules: a text that names a compiled kernel file of the test bed and the arguments of its kernels.
//   tilewright soft module 1
//   wave <32 or 64>
//   path <shared object>
//   kernel <most threads, or 0> <a letter per pointer: r reads only, w writes; - for none> <name to the end of the
//   line>
#include <sstream>

#include "runtime.h"

namespace soft {

int load_module(const char* image, uint32_t wave, std::unique_ptr<Module>& module, std::string& problem) {
  std::istringstream lines(std::string(image).substr(0, 1 << 24));
  std::string line;
  if (!std::getline(lines, line) || line != "tilewright soft module 1") {
    problem = "the image is no module of the software device";
    return kInvalidImage;
  }
  auto loaded = std::make_unique<Module>();
  loaded->device = current_device;
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string what;
    words >> what;
    if (what == "wave") {
      uint32_t built = 0;
      words >> built;
      if (built != wave) {
        problem = "the module was compiled for waves of " + std::to_string(built);
        return kNoBinaryForGpu;
      }
    } else if (what == "path") {
      std::string path;
      std::getline(words >> std::ws, path);
      char error[512] = {};
      loaded->module = simt_load(path.c_str(), error, sizeof(error));
      if (loaded->module == nullptr) {
        problem = error;
        return kInvalidImage;
      }
    } else if (what == "kernel") {
      Kernel kernel;
      std::string pointers;
      words >> kernel.max_threads >> pointers;
      std::getline(words >> std::ws, kernel.name);
      for (const char c : pointers) {
        if (c != '-') kernel.read_only.push_back(c == 'r');
      }
      kernel.module = loaded->module;
      kernel.device = loaded->device;
      loaded->kernels[kernel.name] = kernel;
    }
  }
  module = std::move(loaded);
  return kSuccess;
}

}  // namespace soft
