#include "report.h"

#include <cstdio>

namespace simt {

void Report::add(Finding finding) {
  auto key = std::make_tuple(finding.rule, finding.pc, finding.other_pc, finding.file, finding.line);
  auto at = index_.find(key);
  if (at != index_.end()) {
    findings_[at->second].count++;
  } else if (findings_.size() < kMaxFindings) {
    index_.emplace(std::move(key), findings_.size());
    findings_.push_back(std::move(finding));
  }
}

std::string json_string(const std::string& text) {
  std::string out = "\"";
  for (unsigned char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof(escape), "\\u%04x", c);
      out += escape;
    } else {
      out += static_cast<char>(c);
    }
  }
  return out + "\"";
}

}  // namespace simt
