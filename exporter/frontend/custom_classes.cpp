// Methods of C++ classes (torch.classes.*): objects are known, so a call whose arguments are known
// is evaluated; others are recorded as the operator "NAMESPACE::CLASS.METHOD".
#include <fmt/format.h>

#include "exporter/error.h"
#include "exporter/frontend/interpreter.h"

namespace modelexport::frontend {
namespace {

// "demo::Gain" of __torch__.torch.classes.demo.Gain
std::string class_name(const c10::ClassType& type) {
  static constexpr std::string_view kPrefix = "__torch__.torch.classes.";
  std::string name = type.name()->qualifiedName();
  if (name.starts_with(kPrefix)) name.erase(0, kPrefix.size());
  const size_t dot = name.rfind('.');
  if (dot != std::string::npos) name.replace(dot, 1, "::");
  return name;
}

}  // namespace

Val Interpreter::call_custom_class(const torch::jit::Node* node, const std::string& name,
                                   const std::vector<Val>& inputs, Frame& frame) {
  const auto type = known(inputs.at(0))->toObjectRef().type();
  torch::jit::Function& method = type->getMethod(name);
  const bool symbolic = std::any_of(inputs.begin(), inputs.end(), is_symbolic);
  std::vector<c10::IValue> lanes;
  for (size_t lane = 0; lane < (symbolic ? lanes_ : 1); ++lane) {
    torch::jit::Stack stack;
    for (const Val& input : inputs) {
      stack.push_back(in_lane(input, lane));
      stand_ins_.require_numbers(stack.back());
    }
    try {
      method.run(stack);
    } catch (const std::exception& error) {
      throw Error(ErrorKind::usage,
                  fmt::format("the module raises {}: {}.{}: {}", place_of(node, frame),
                              class_name(*type), name, reason_of(error)));
    }
    lanes.push_back(stack.at(0));
  }
  origin_ = origin_of(node, frame);
  if (!symbolic) return constant(lanes[0]);

  const SchemaId schema =
      recorder_.schema(method.getSchema().cloneWithName(class_name(*type), name));
  std::vector<Argument> arguments = this->arguments(inputs);
  std::vector<ValueId> values;
  Val result = this->result(lanes, true, false, false, values);
  recorder_.emit({schema, std::move(arguments), std::move(values), origin_, {}});
  return result;
}

}  // namespace modelexport::frontend
