// Nested tensors, which nn.TransformerEncoder makes of padded sequences in evaluation mode: ONNX
// has none, so they stay padded, with a mask of what is in them.
#include <fmt/format.h>

#include <algorithm>

#include "exporter/error.h"
#include "exporter/frontend/interpreter.h"

namespace modelexport::frontend {
namespace {

using torch::jit::Node;

bool is_nested(const Val& val) {
  const auto* cell = get_if<TensorCell>(val);
  return cell != nullptr && (*cell)->present != nullptr;
}

// Of the same values.
std::shared_ptr<TensorCell> copy_of(const TensorCell& cell, ValueId value,
                                    std::shared_ptr<TensorCell> present) {
  auto copy = std::make_shared<TensorCell>(cell);
  copy->value = value;
  copy->base = std::make_shared<AliasBase>();
  copy->version = 0;
  copy->parent = nullptr;
  copy->present = std::move(present);
  return copy;
}

size_t index_of(const c10::FunctionSchema& schema, const std::string& name) {
  return static_cast<size_t>(schema.argumentIndexWithName(name).value());
}

// Whether sequences are left-aligned decides over becoming nested at all, and so over what stands
// in the padding afterwards.
constexpr const char* kPadded = R"(
def to_padded(x: Tensor, present: Tensor, padding: float):
  resumes = (present[:, 1:] & present[:, :-1].logical_not()).any()
  filled = present.logical_not() & resumes.logical_not()
  return x.masked_fill(filled.unsqueeze(-1), padding)
)";

constexpr const char* kAbsent = R"(
def absent(present: Tensor):
  return present.logical_not()
)";

}  // namespace

bool Interpreter::run_nested(Node* node, const NodeInfo& info, const std::vector<Val>& inputs,
                             Frame& frame) {
  const auto& schema = info.op->schema();
  const auto out = [&](const Val& val) {
    set(frame, node->output(), val);
    return true;
  };
  if (schema.name() == "aten::_nested_tensor_from_mask_left_aligned")
    return is_symbolic(inputs[1]) && out(c10::IValue(true));
  if (schema.name() == "aten::_nested_tensor_from_mask") {
    const auto& cell = std::get<std::shared_ptr<TensorCell>>(inputs[0]);
    return out(copy_of(*cell, current(cell), std::get<std::shared_ptr<TensorCell>>(inputs[1])));
  }
  if (std::none_of(inputs.begin(), inputs.end(), is_nested)) return false;
  if (schema.name() == "prim::is_nested") return out(c10::IValue(true));
  if (info.metadata_only) return false;
  if (schema.name() == "aten::_transformer_encoder_layer_fwd")
    return out(run_nested_layer(node, info, inputs, frame));
  if (schema.name() == "aten::to_padded_tensor" && !is_none(inputs[2])) {
    const auto& cell = std::get<std::shared_ptr<TensorCell>>(inputs[0]);
    const Val padded = copy_of(*cell, current(cell), nullptr);
    return out(
        call_source(kPadded, {padded, cell->present, inputs[1]}, frame, source_of(node, frame)));
  }
  throw Error(ErrorKind::unsupported, fmt::format("{} {}: ONNX has no nested tensors",
                                                  schema.name(), place_of(node, frame)));
}

// The layer of padded sequences, with the mask that says so.
Val Interpreter::run_nested_layer(Node* node, const NodeInfo& info, std::vector<Val> inputs,
                                  Frame& frame) {
  constexpr int64_t kOfKeys = 1;
  const auto& schema = info.op->schema();
  Val& source = inputs.at(index_of(schema, "src"));
  const auto cell = std::get<std::shared_ptr<TensorCell>>(source);
  source = copy_of(*cell, current(cell), nullptr);
  inputs.at(index_of(schema, "mask")) =
      call_source(kAbsent, {cell->present}, frame, source_of(node, frame));
  inputs.at(index_of(schema, "mask_type")) = c10::IValue(kOfKeys);
  run_operator(node, std::move(inputs), frame);
  const auto result = std::get<std::shared_ptr<TensorCell>>(get(frame, node->output()));
  return copy_of(*result, result->value, cell->present);
}

}  // namespace modelexport::frontend
