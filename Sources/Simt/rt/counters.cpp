#include "counters.h"

#include <algorithm>

namespace simt {
namespace {

struct Lane {
  uint64_t address;
  uint32_t size;
};

uint64_t distinct(const std::vector<Lane>& lanes, uint64_t unit, std::vector<uint64_t>& scratch) {
  scratch.clear();
  for (const Lane& lane : lanes) {
    for (uint64_t u = lane.address / unit; u <= (lane.address + lane.size - 1) / unit; u++) scratch.push_back(u);
  }
  std::sort(scratch.begin(), scratch.end());
  return static_cast<uint64_t>(std::unique(scratch.begin(), scratch.end()) - scratch.begin());
}

// Words of the same bank are served one after the other; lanes that ask for the same word share it.
uint64_t bank_cycles(const std::vector<Lane>& lanes, std::vector<uint64_t>& scratch) {
  const uint64_t words = distinct(lanes, 4, scratch);
  uint32_t load[kBanks] = {};
  uint32_t most = 0;
  for (uint64_t i = 0; i < words; i++) most = std::max(most, ++load[scratch[i] % kBanks]);
  return most;
}

}  // namespace

void AccessLog::flush(std::unordered_map<uint64_t, Site>& sites) {
  if (!any_) return;
  any_ = false;
  struct Group {
    uint8_t space;
    bool write;
    uint32_t buffer;
    std::vector<Lane> lanes;
  };
  std::unordered_map<uint64_t, Group> groups;  // by (pc, k)
  std::unordered_map<uint32_t, uint32_t> executed;
  for (auto& lane : entries_) {
    executed.clear();
    for (const Entry& e : lane) {
      const uint32_t k = executed[e.pc]++;
      Group& group = groups[static_cast<uint64_t>(e.pc) << 32 | k];
      group.space = e.space, group.write = e.write, group.buffer = e.buffer;
      group.lanes.push_back({e.address, e.size});
    }
    lane.clear();
  }
  std::vector<uint64_t> scratch;
  for (const auto& [key, group] : groups) {
    Site& site = sites[(key >> 32) << 1 | (group.write ? 1 : 0)];
    site.space = static_cast<Space>(group.space);
    site.write = group.write;
    site.buffer = group.buffer;
    GroupCounts& c = site.counts;
    c.accesses++;
    for (const Lane& lane : group.lanes) c.bytes += lane.size;
    if (site.space == Space::kThreadgroup) {
      c.bank_cycles += bank_cycles(group.lanes, scratch);
    } else {
      c.lines += distinct(group.lanes, kLineBytes, scratch);
      c.sectors += distinct(group.lanes, kSectorBytes, scratch);
    }
  }
}

}  // namespace simt
