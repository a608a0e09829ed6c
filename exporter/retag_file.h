// modelexport retag: an optimised ONNX file gets the tags of the file that it was made from.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace modelexport {

struct RetagReport {
  size_t nodes = 0;
  size_t kept = 0, same = 0, fused = 0, by_flow = 0;  // see tagging/retag.h
  std::vector<std::string> untagged;                  // names of nodes

  double share() const {  // of the nodes that have tags now
    return nodes == 0 ? 1 : 1 - static_cast<double>(untagged.size()) / static_cast<double>(nodes);
  }
};

// `from`: the ONNX file, or its hierarchy.json (also compressed), which does not tell the operators
// that nodes were lowered from. `output` is written whole or not at all; it may be `optimised`.
// Errors (Error): unreadable, unwritable, usage; mismatch if `from` says nothing about any node.
RetagReport retag_file(const std::string& optimised, const std::string& from,
                       const std::string& output);

}  // namespace modelexport
