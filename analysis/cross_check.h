// The cross-check: is what was written what the live module says? Run on each export, on the file
// as it is read back.
//
//   Hierarchy hierarchy(program, {});
//   onnx::ModelFile file = onnx::read_model("out.onnx");
//   CrossCheck check = cross_check(FileIndex(file), program, hierarchy, expectation_of(graph,
//   program)); if (!check.holds()) throw Error(ErrorKind::mismatch, describe(check));
//
// The same for any ONNX file that is said to be made from the module, by this exporter or another:
//
//   CrossCheck check = cross_check(FileIndex(file), program, hierarchy,
//                                  expectation_of(program, hierarchy, file));
//
// Nothing here throws for what does not hold: it is a finding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "analysis/file_index.h"
#include "analysis/finding.h"
#include "analysis/module_tags.h"
#include "analysis/parameters.h"
#include "exporter/graph/graph.h"
#include "exporter/program/program.h"
#include "tagging/hierarchy.h"

namespace modelexport::analysis {

// What the file must have.
struct Expectation {
  // Written by this exporter. If not, weights may have other names or be transposed, nodes may lack
  // tags (their names tell where they belong, if they can), and inputs and outputs have other
  // names.
  bool own = true;
  std::vector<RequiredTensor> tensors;
  CheckedData checked;
  std::vector<ModuleId> modules;  // that nodes belong to, and those whose calls they stand in
  // The level of each node by name, with those of nested blocks; empty: not known.
  std::unordered_map<std::string, tagging::LevelId> nodes;
};
// As the graph says before it is written.
Expectation expectation_of(const graph::Graph& graph, const Program& program,
                           const tagging::Hierarchy& hierarchy);
// As the program says: the parameters that operators use, and the modules that are the only ones to
// use one. (Buffers may have been folded into constants; equal operators of several modules
// merged.)
Expectation expectation_of(const Program& program, const tagging::Hierarchy& hierarchy,
                           const onnx::ModelFile& file);

struct ModuleCheck {
  ModuleId module = kNone;
  uint32_t calls = 0;
  bool expected = false;  // nodes of it, or in calls of it, must be there
  bool present = false;   // and are
};

struct CrossCheck {
  ParameterReport parameters;
  ModuleTags tags;
  std::vector<ModuleCheck> modules;  // one for each of the live module tree
  std::vector<Finding> findings;     // all of them, those of `parameters` and `tags` as well
  size_t checks = 0;    // how many things were looked at: parameters, nodes, modules...
  size_t failures = 0;  // how many of them have findings

  bool holds() const { return findings.empty(); }
  double success_rate() const {
    return checks == 0 ? 1.0 : 1.0 - static_cast<double>(failures) / static_cast<double>(checks);
  }
  // Shares of what must be there that is; 1 if nothing must.
  double parameter_coverage() const;
  double module_coverage() const;
};

CrossCheck cross_check(const FileIndex& index, const Program& program,
                       const tagging::Hierarchy& hierarchy, const Expectation& expectation);

// All findings for an error message, at most `limit` of them, one per line.
std::string describe(const CrossCheck& check, size_t limit = 20);

}  // namespace modelexport::analysis
