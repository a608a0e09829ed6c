// Puts tags back that an optimiser dropped: on the nodes of an optimised graph, from those of the
// graph that it was made from, by the names of values that both have and by data flow.
//
// A node that makes a value of the original stands for the original nodes that made it out of what
// is still there: one of them, or several that were fused, whose lowest common ancestor it takes. A
// node that makes a value that the original does not have is part of what the next such values
// were made of; where it reads an input or a weight of the model, only of what read that too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tagging/tags.h"

namespace modelexport::tagging {

struct FlowNode {
  std::string name, op_type, domain;
  std::vector<std::string> inputs;  // with what its blocks hand to it; "" is an omitted one
  std::vector<std::string> outputs;
  Metadata tags;
};

struct FlowGraph {
  std::vector<FlowNode> nodes;            // with those of blocks; values have names that are unique
  std::vector<std::string> sources;       // inputs and initializers, also those of blocks
  std::map<std::string, Metadata> ports;  // what inputs, outputs and initializers are tagged with
};

enum class Retagged : uint8_t {
  kept,      // had tags already
  same,      // is a node of the original
  fused,     // stands for several: their lowest common ancestor
  by_flow,   // makes something new on the way to values that the original has
  untagged,  // nothing is known about it
};

struct RetaggedNode {
  Retagged how = Retagged::untagged;
  Metadata tags;
};

// One for each node of `optimised`.
std::vector<RetaggedNode> retag(const FlowGraph& optimised, const FlowGraph& original);

}  // namespace modelexport::tagging
