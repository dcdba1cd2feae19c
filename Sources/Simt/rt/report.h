// What a dispatch did wrong: one entry per rule and place, with the first case in full and a count of all.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

namespace simt {

struct Finding {
  std::string rule;
  std::string message;
  uint64_t pc = 0;        // in the process; 0: none
  uint64_t other_pc = 0;  // the other access of a race, the other place of a divergence
  std::string file;       // from UBSan's handlers, which know the source
  uint32_t line = 0, column = 0;
  uint32_t group[3] = {0, 0, 0}, thread[3] = {0, 0, 0};
  bool has_thread = false;
  uint64_t count = 1;
};

constexpr size_t kMaxFindings = 200;  // a kernel that is wrong everywhere would fill memory otherwise

class Report {
 public:
  void clear() {
    findings_.clear();
    index_.clear();
  }
  /// Adds a finding or counts it to the one with the same rule and places.
  void add(Finding finding);
  bool empty() const { return findings_.empty(); }
  const std::vector<Finding>& findings() const { return findings_; }

 private:
  std::vector<Finding> findings_;
  std::map<std::tuple<std::string, uint64_t, uint64_t, std::string, uint32_t>, size_t> index_;
};

std::string json_string(const std::string& text);

}  // namespace simt
