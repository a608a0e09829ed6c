#include "exporter/lowering/custom_op.h"

#include <fmt/format.h>

#include <algorithm>

#include "exporter/error.h"
#include "exporter/lowering/arguments.h"
#include "exporter/lowering/builder.h"

namespace modelexport::lowering {
namespace {

const Schema& schema_of(const Call& c) { return c.program().schemas[c.op().schema]; }

[[noreturn]] void fail(const CustomOp& op, const std::string& what) {
  throw Error(ErrorKind::usage, fmt::format("{}: {}", op.where, what));
}

size_t required_argument(const CustomOp& op, const Call& c, const std::string& name) {
  const size_t index = argument_index(c, name);
  if (index != std::string::npos) return index;
  fail(op, fmt::format("{} has no argument '{}': {}", schema_of(c).key, name, schema_of(c).text));
}

std::vector<std::string> tensor_arguments(const Call& c) {
  const std::vector<std::string>& all = schema_of(c).arguments;
  std::vector<std::string> names;
  for (size_t i = 0; i < all.size(); ++i) {
    if (takes_tensors(c, i)) names.push_back(all[i]);
  }
  return names;
}

std::vector<V> lower_custom(const CustomOp& op, Call& c) {
  std::vector<V> inputs;
  for (const std::string& name : op.inputs ? *op.inputs : tensor_arguments(c)) {
    const std::vector<V> more = inputs_of(c, required_argument(op, c, name));
    inputs.insert(inputs.end(), more.begin(), more.end());
  }
  for (const std::string& name : op.ignored) c.argument_at(required_argument(op, c, name));
  Attributes attributes = op.values;
  const auto add = [&](const std::string& name, const std::string& argument) {
    auto attribute = attribute_of(c, required_argument(op, c, argument), name);
    if (attribute) attributes.push_back(std::move(*attribute));
  };
  if (op.attributes) {
    for (const auto& [name, argument] : *op.attributes) add(name, argument);
  } else {
    for (const std::string& name : c.unread()) {
      if (!takes_tensors(c, argument_index(c, name))) add(name, name);
    }
  }
  if (const std::vector<std::string> unread = c.unread(); !unread.empty()) {
    fail(op, fmt::format("argument '{}' of {} is in none of inputs, attributes and ignore: {}",
                         unread[0], schema_of(c).key, schema_of(c).text));
  }
  c.builder().import_domain(op.domain, op.version);
  if (op.function) c.builder().add_function(*op.function);
  return node_as_observed(c, op.domain, op.op_type, std::move(inputs), std::move(attributes));
}

bool refers_to_values(const Argument& argument) {
  bool refers = false;
  for_each_value(argument, [&](modelexport::ValueId) { refers = true; });
  return refers;
}

}  // namespace

Lowering custom_lowering(CustomOp op) {
  return [op = std::move(op)](Call& c) { return lower_custom(op, c); };
}

std::vector<V> approximate(Call& c) {
  const Schema& schema = schema_of(c);
  const size_t colon = schema.key.find("::");
  const size_t dot = schema.key.find('.', colon);
  const std::string domain = "pkg." + schema.key.substr(0, colon);
  const std::string op_type = schema.key.substr(colon + 2, dot - colon - 2);
  Attributes attributes = {attr("schema", schema.text)};
  if (dot != std::string::npos) attributes.push_back(attr("overload", schema.key.substr(dot + 1)));
  std::vector<V> inputs;
  std::vector<std::string> names;  // of the inputs
  for (size_t i = 0; i < c.argument_count(); ++i) {
    const std::string& name = schema.arguments.at(i);
    if (!refers_to_values(c.argument_at(i))) {
      if (auto attribute = attribute_of(c, i, name)) attributes.push_back(std::move(*attribute));
      continue;
    }
    const std::vector<V> more = inputs_of(c, i);
    for (size_t k = 0; k < more.size(); ++k) {
      names.push_back(more.size() == 1 ? name : fmt::format("{}.{}", name, k));
    }
    inputs.insert(inputs.end(), more.begin(), more.end());
  }
  attributes.push_back({"inputs", std::move(names)});
  c.builder().import_domain(domain, 1);
  return node_as_observed(c, domain, op_type, std::move(inputs), std::move(attributes));
}

}  // namespace modelexport::lowering
