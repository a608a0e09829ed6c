#include "exporter/graph/body_key.h"

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <unordered_map>

#include "exporter/graph/content_key.h"
#include "exporter/graph/scopes.h"

namespace modelexport::graph {
namespace {

class BodyKey {
 public:
  BodyKey(const Graph& body, const Program& program, ScopeId call)
      : body_(body), program_(program), call_(call) {
    for (const Initializer& constant : body.initializers)
      constants_.emplace(constant.value, &constant);
  }

  std::string take() {
    key_.add(program_.scopes[call_].class_name);
    add(body_.body);
    return key_.take();
  }

 private:
  void add(const Block& block) {
    key_.add(block.inputs.size());
    for (const ValueId id : block.inputs) define(id);
    key_.add(block.nodes.size());
    for (const Node& node : block.nodes) add(node);
    key_.add(block.outputs.size());
    for (const ValueId id : block.outputs) use(id);
  }

  void add(const Node& node) {
    key_.add(node.domain);
    key_.add(node.op_type);
    for (const ValueId id : node.inputs) use(id);
    key_.add(node.attributes.size());
    for (const Attribute& attribute : node.attributes) {
      key_.add(attribute);
      const auto* inner = std::get_if<std::shared_ptr<Block>>(&attribute.value);
      if (inner) add(**inner);
    }
    key_.add(node.outputs.size());
    for (const ValueId id : node.outputs) define(id);
    add_origin(node);
  }

  // What its tags are made of.
  void add_origin(const Node& node) {
    const std::string_view above = program_.scopes[call_].path;
    const ScopeId scope = node.call != kNone ? node.call : scope_of(node, program_);
    const std::string_view path = program_.scopes[scope].path;
    key_.add(path == above ? std::string_view() : relative_path(path, above));
    key_.add(program_.scopes[scope].class_name);
    key_.add(static_cast<uint8_t>(node.tag));
    const Origin& origin = program_.origins[node.origin];
    if (node.call == kNone) {
      key_.add(origin.op);
      key_.add(origin.name);
    }
    if (origin.source == kNone) return;
    const Source& frames = program_.sources[origin.source];
    const size_t end = node.call != kNone ? program_.scopes[node.call].callers : frames.size();
    for (size_t i = program_.scopes[call_].callers; i < std::min(end, frames.size()); ++i) {
      key_.add(frames[i].file);
      key_.add(frames[i].line);
      key_.add(frames[i].function);
    }
  }

  void define(ValueId id) {
    key_.add(id == kNone);
    if (id != kNone) numbers_.emplace(id, numbers_.size());
  }

  void use(ValueId id) {
    if (const auto constant = constants_.find(id); constant != constants_.end()) {
      key_.add(std::string_view("constant"));
      key_.add(constant->second->tensor);
    } else {
      key_.add(id == kNone ? SIZE_MAX : numbers_.at(id));
    }
  }

  const Graph& body_;
  const Program& program_;
  const ScopeId call_;
  std::unordered_map<ValueId, const Initializer*> constants_;
  std::unordered_map<ValueId, size_t> numbers_;
  ContentKey key_;
};

}  // namespace

std::string body_key(const Graph& body, const Program& program, ScopeId call) {
  return BodyKey(body, program, call).take();
}

}  // namespace modelexport::graph
