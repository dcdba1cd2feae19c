// Encoded launches, as ts/backends/hip/encode.ts writes them, made ready for the driver.
#pragma once

#include "memory.h"

namespace tw::gpu {

struct Launch {
  Function function;
  uint32_t grid[3], block[3];
  uint32_t shared_bytes;
  /// Where the arguments lie in Commands::arguments.
  size_t arguments, argument_bytes;
};

/// A list of launches with their argument blocks: device addresses of the buffers, then the parameter struct.
struct Commands {
  std::vector<Launch> launches;
  /// In units that keep 64-bit arguments aligned.
  std::vector<uint64_t> arguments;
  /// What each launch is called, for profilers; empty where none asked.
  std::vector<std::string> labels;
  /// Owns the memory that the arguments point into.
  std::vector<std::shared_ptr<Block>> blocks;

  /// Throws Error for bytes that are no command list.
  static Commands decode(const uint8_t* bytes, size_t count, std::vector<std::shared_ptr<Block>> blocks,
                         const std::vector<Function>& functions);
  int launch(const Api& api, const Launch& launch, Stream stream) {
    return api.launch(launch.function, launch.grid, launch.block, launch.shared_bytes, stream,
                      arguments.data() + launch.arguments, launch.argument_bytes);
  }
};

}  // namespace tw::gpu
