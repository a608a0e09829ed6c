#include "exporter/program/part.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>
#include <unordered_map>
#include <unordered_set>

#include "exporter/error.h"
#include "exporter/program/argument_values.h"

namespace modelexport {
namespace {

// How many characters must be inserted, removed or changed.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t changed = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

std::vector<std::string> near_paths(const Program& program, const std::string& path) {
  constexpr size_t kShown = 5;
  std::vector<std::pair<size_t, std::string>> ranked;
  for (const Module& module : program.modules) {
    if (module.path.empty()) continue;
    const bool ends_alike = module.path.ends_with("." + path);
    ranked.emplace_back(ends_alike ? 0 : edit_distance(path, module.path), module.path);
  }
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> paths;
  for (const auto& [distance, near] : ranked) {
    if (paths.size() < kShown) paths.push_back(near);
  }
  return paths;
}

class Extraction {
 public:
  Extraction(Program& program, ScopeId call) : program_(program), call_(call) {}

  void run() {
    find_scopes();
    take_ports();
    std::vector<Op> ops;
    take_ops(program_.body, ops);
    program_.body = {};
    program_.body.ops = std::move(ops);
    for (const Port& port : program_.inputs) program_.body.inputs.push_back(port.value);
    for (const Port& port : program_.outputs) program_.body.outputs.push_back(port.value);
    for (const ValueId id : program_.body.inputs) {
      defined_.insert(id);
      const Shape& shape = program_.values[id].shape;
      symbols_.insert(shape.begin(), shape.end());
    }
    require_defined(program_.body);
    name_weights();
    leave_out_modules();
    program_.entry = call_;
  }

 private:
  const std::string& path() const { return program_.scopes[call_].path; }

  void find_scopes() {
    within_.assign(program_.scopes.size(), false);
    for (ScopeId id = call_; id < program_.scopes.size(); ++id) {  // parents come first
      const ScopeId parent = program_.scopes[id].parent;
      within_[id] = id == call_ || (parent != kNone && within_[parent]);
    }
  }

  void take_ports() {
    program_.inputs.clear();
    for (const Port& port : program_.scopes[call_].inputs) {
      const bool known = std::any_of(program_.inputs.begin(), program_.inputs.end(),
                                     [&](const Port& other) { return other.value == port.value; });
      if (!known) program_.inputs.push_back(port);  // one value may be given twice
    }
    program_.outputs = program_.scopes[call_].outputs;
    for (size_t i = 0; i < program_.outputs.size(); ++i) program_.outputs[i].position = i;
    if (program_.outputs.empty()) {
      throw Error(ErrorKind::unsupported,
                  fmt::format("{} gives nothing that depends on the model's inputs", path()));
    }
  }

  void take_ops(Block& block, std::vector<Op>& ops) {
    for (Op& op : block.ops) {
      if (within_[program_.origins[op.origin].scope]) {
        ops.push_back(std::move(op));
      } else {
        for (Block& inner : op.blocks) take_ops(inner, ops);
      }
    }
  }

  // Known contents and sizes need no definition.
  bool is_defined(ValueId id) const {
    if (id == kNone || defined_.contains(id)) return true;
    const Value& value = program_.values[id];
    if (value.constant != kNone) return true;
    return value.size && (is_static(*value.size) || symbols_.contains(*value.size));
  }

  void require_defined(const Block& block) {
    for (const Op& op : block.ops) {
      for_each_value(op.arguments, [&](ValueId id) { require(id, &op); });
      for (const Block& inner : op.blocks) {
        defined_.insert(inner.inputs.begin(), inner.inputs.end());
        require_defined(inner);
      }
      defined_.insert(op.outputs.begin(), op.outputs.end());
    }
    for (const ValueId id : block.outputs) require(id, nullptr);
  }

  void require(ValueId id, const Op* user) const {
    if (is_defined(id)) return;
    std::string what = "a result";
    if (user) {
      const Origin& origin = program_.origins[user->origin];
      what = fmt::format("{} in {}", origin.op, program_.scopes[origin.scope].path);
    }
    throw Error(ErrorKind::unsupported,
                fmt::format("{} cannot be exported alone: {} depends on what another module made "
                            "and did not pass to it",
                            path(), what));
  }

  std::unordered_set<TensorId> tensors_in_use() const {
    std::unordered_set<TensorId> used;
    const auto use = [&](ValueId id) {
      if (id != kNone && program_.values[id].constant != kNone)
        used.insert(program_.values[id].constant);
    };
    const auto visit = [&](const auto& self, const Block& block) -> void {
      for (const Op& op : block.ops) {
        for_each_value(op.arguments, use);
        for (const Block& inner : op.blocks) self(self, inner);
      }
      for (const ValueId id : block.outputs) use(id);
    };
    visit(visit, program_.body);
    return used;
  }

  void name_weights() {
    const std::unordered_set<TensorId> used = tensors_in_use();
    const std::string prefix = path() + ".";
    for (TensorId id = 0; id < program_.tensors.size(); ++id) {
      Tensor& tensor = program_.tensors[id];
      if (tensor.role == Role::constant) continue;
      std::vector<std::string> names;
      for (const std::string& alias : tensor.aliases) names.push_back(alias);
      names.insert(names.begin(), tensor.name);
      std::erase_if(names, [&](const std::string& name) { return !name.starts_with(prefix); });
      if (!names.empty()) {
        tensor.name = names[0].substr(prefix.size());
        tensor.aliases.clear();
        for (size_t i = 1; i < names.size(); ++i)
          tensor.aliases.push_back(names[i].substr(prefix.size()));
      } else if (!used.contains(id)) {
        tensor.role = Role::constant;  // none of the part's weights
        tensor.name.clear();
        tensor.aliases.clear();
        tensor.module = kNone;
      }
    }
  }

  void leave_out_modules() {
    const std::string prefix = path() + ".";
    for (Module& module : program_.modules) {
      if (module.path == path() || module.path.starts_with(prefix)) continue;
      module.calls = 0;
      module.parameters.clear();
      module.buffers.clear();
    }
  }

  Program& program_;
  const ScopeId call_;
  std::vector<bool> within_;  // by scope
  std::unordered_set<ValueId> defined_;
  std::unordered_set<Dim> symbols_;  // that an input has as a dimension
};

}  // namespace

void require_module(const Program& program, const std::string& path) {
  const bool exists = std::any_of(program.modules.begin(), program.modules.end(),
                                  [&](const Module& module) { return module.path == path; });
  if (exists) return;
  throw Error(ErrorKind::usage, fmt::format("--module {}: there is no such module; near: {}", path,
                                            fmt::join(near_paths(program, path), ", ")));
}

ScopeId first_call(const Program& program, const std::string& path) {
  for (ScopeId id = 1; id < program.scopes.size(); ++id) {
    if (program.scopes[id].path == path) return id;
  }
  throw Error(
      ErrorKind::usage,
      fmt::format("--module {}: the model does not call this module, for these inputs", path));
}

Program part_of(Program whole, ScopeId call) {
  Extraction(whole, call).run();
  return whole;
}

}  // namespace modelexport
