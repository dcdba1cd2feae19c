#include "commands.h"

#include <cstring>

namespace tw::gpu {
namespace {

constexpr uint32_t kAbsent = 0xffffffff;

[[noreturn]] void malformed(const char* what) {
  throw Error("ERR_NATIVE_FAILURE", std::string("The encoded command list is malformed: ") + what + ".");
}

class Reader {
 public:
  Reader(const uint8_t* at, size_t bytes) : at_(at), end_(at + bytes) {}
  bool empty() const { return at_ == end_; }
  uint32_t u32() {
    uint32_t value;
    std::memcpy(&value, take(4), 4);
    return value;
  }
  uint64_t u64() {
    uint64_t value;
    std::memcpy(&value, take(8), 8);
    return value;
  }
  const uint8_t* take(size_t bytes) {
    if (bytes > static_cast<size_t>(end_ - at_)) malformed("it is cut short");
    const uint8_t* taken = at_;
    at_ += bytes;
    return taken;
  }

 private:
  const uint8_t* at_;
  const uint8_t* const end_;
};

}  // namespace

Commands Commands::decode(const uint8_t* bytes, size_t count, std::vector<std::shared_ptr<Block>> blocks,
                          const std::vector<Function>& functions) {
  Commands commands;
  commands.blocks = std::move(blocks);
  Reader reader(bytes, count);
  while (!reader.empty()) {
    Launch launch;
    const uint32_t function = reader.u32();
    if (function >= functions.size()) malformed("there is no such function");
    launch.function = functions[function];
    launch.shared_bytes = reader.u32();
    for (uint32_t& size : launch.grid) size = reader.u32();
    for (uint32_t& size : launch.block) size = reader.u32();
    const uint32_t buffers = reader.u32(), param_bytes = reader.u32();
    launch.arguments = commands.arguments.size();
    launch.argument_bytes = size_t{8} * buffers + param_bytes;
    for (uint32_t i = 0; i < buffers; i++) {
      const uint32_t index = reader.u32();
      const uint64_t offset = reader.u64();
      if (index == kAbsent) {
        commands.arguments.push_back(0);
        continue;
      }
      if (index >= commands.blocks.size()) malformed("there is no such buffer");
      const Block& block = *commands.blocks[index];
      if (offset > block.bytes()) malformed("an offset lies outside of its buffer");
      commands.arguments.push_back(block.address() + offset);
    }
    const size_t at = commands.arguments.size();
    commands.arguments.resize(at + (param_bytes + 7) / 8);
    if (param_bytes > 0) std::memcpy(commands.arguments.data() + at, reader.take(param_bytes), param_bytes);
    commands.launches.push_back(launch);
  }
  return commands;
}

}  // namespace tw::gpu
