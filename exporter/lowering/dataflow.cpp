#include "exporter/lowering/dataflow.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace modelexport::lowering {
namespace {

// Operators that look at the shape of their first argument only.
constexpr std::array<std::string_view, 16> kShapeOnly = {"aten::size",
                                                         "aten::sym_size",
                                                         "aten::numel",
                                                         "aten::sym_numel",
                                                         "aten::dim",
                                                         "aten::len",
                                                         "aten::zeros_like",
                                                         "aten::ones_like",
                                                         "aten::empty_like",
                                                         "aten::full_like",
                                                         "aten::new_zeros",
                                                         "aten::new_ones",
                                                         "aten::new_empty",
                                                         "aten::new_full",
                                                         "aten::_shape_as_tensor",
                                                         "aten::is_floating_point"};

std::string_view without_overload(std::string_view key) { return key.substr(0, key.find('.')); }

bool looks_at_shape_only(std::string_view key) {
  return std::find(kShapeOnly.begin(), kShapeOnly.end(), without_overload(key)) != kShapeOnly.end();
}

bool is_random(std::string_view key) {
  return key.starts_with("aten::rand") || key.starts_with("aten::bernoulli") ||
         key.starts_with("aten::multinomial") || key.starts_with("aten::normal");
}

class Walk {
 public:
  Walk(const Program& program, Dataflow& flow) : program_(program), flow_(flow) {}

  void walk(const Block& block) {
    for (const Op& op : block.ops) walk(op);
  }

 private:
  void walk(const Op& op) {
    const std::string& key = program_.schemas[op.schema].key;
    bool data = is_random(key), parameter = false;
    for (size_t i = 0; i < op.arguments.size(); ++i) {
      const bool shape_only = i == 0 && looks_at_shape_only(key);
      for_each_value(op.arguments[i], [&](ValueId id) {
        data |= flow_.from_data[id] && !shape_only;
        parameter |= flow_.from_parameter[id];
      });
    }
    // What a block gives depends on which one ran, and how often; one round feeds the next.
    for (int round = 0; round < 2; ++round) {
      for (const Block& block : op.blocks) {
        for (ValueId id : block.inputs) mark(id, data, parameter);
        walk(block);
        for (ValueId id : block.outputs) {
          data |= flow_.from_data[id];
          parameter |= flow_.from_parameter[id];
        }
      }
    }
    for (ValueId id : op.outputs) {
      if (id != kNone) mark(id, data, parameter);
    }
  }

  void mark(ValueId id, bool data, bool parameter) {
    if (data) flow_.from_data[id] = true;
    if (parameter) flow_.from_parameter[id] = true;
  }

  const Program& program_;
  Dataflow& flow_;
};

}  // namespace

Dataflow::Dataflow(const Program& program)
    : from_data(program.values.size()),
      from_parameter(program.values.size()),
      input_symbol(program.symbols.size()) {
  for (size_t i = 0; i < program.values.size(); ++i) {
    const TensorId constant = program.values[i].constant;
    from_parameter[i] = constant != kNone && program.tensors[constant].role == Role::parameter;
  }
  for (const Port& input : program.inputs) {
    from_data[input.value] = true;
    const Value& value = program.values[input.value];
    if (value.kind != Kind::tensor) continue;
    for (Dim dim : value.shape) {
      if (!is_static(dim)) input_symbol[symbol_index(dim)] = true;
    }
  }
  Walk(program, *this).walk(program.body);
}

}  // namespace modelexport::lowering
