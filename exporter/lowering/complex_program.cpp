#include "exporter/lowering/complex_program.h"

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "exporter/lowering/complex_emitter.h"
#include "exporter/lowering/complex_rules.h"
#include "exporter/lowering/dataflow.h"

namespace modelexport::lowering {
namespace {

// Arguments whose elements are part of the result: real ones there stand for complex ones. Of the
// others (indices, masks, sizes), both parts are computed with the same.
constexpr std::array<std::string_view, 10> kData = {
    "self", "other", "src", "source", "value", "values", "tensors", "prepend", "append", "y"};

bool is_complex_number(const Argument& argument) {
  return std::holds_alternative<std::complex<double>>(argument);
}

class Rewriter : ComplexEmitter {
 public:
  explicit Rewriter(Program& program) : ComplexEmitter(program) {}

  void rewrite(Block& block) {
    std::vector<Op> before = std::exchange(block.ops, {});
    for (Op& op : before) {
      for (Block& inner : op.blocks) rewrite(inner);
      emit_into(block, op.origin);
      if (!rewrite(op)) block.ops.push_back(std::move(op));
    }
  }

 private:
  // ---- what an operator becomes; false if it stays as it is -----------------------------------
  bool rewrite(Op& op) {
    const ComplexRule* rule = find_complex_rule(program_.schemas[op.schema].key);
    if (rule == nullptr || !touches_complex(op)) return false;
    switch (rule->rewrite) {
      case Rewrite::pairs:
        return on_pairs(op, *rule);
      case Rewrite::parts:
        return on_parts(op, *rule);
      case Rewrite::real:
        return on_values(op, [this](ValueId id) { return part(id, kReal); });
      case Rewrite::modulus:
        return on_values(op, [this](ValueId id) { return modulus(id); });
      case Rewrite::nonzero:
        return on_values(op, [this](ValueId id) { return differs_from_zero(id); });
      case Rewrite::polar:
        return on_polar(op, *rule);
      case Rewrite::bilinear:
        return on_product(op, *rule);
      case Rewrite::product_sum:
        return on_product_sum(op, *rule);
    }
    return false;
  }

  bool on_pairs(Op& op, const ComplexRule& rule) {
    // Without axes, the tensor is flattened, or all of them are meant; a number has none.
    if (const Argument* axes = argument(op, rule.axes); axes && !rule.of_result) {
      if (names_none(*axes) || rank_of_self(op) == 0) return on_parts(op, rule);
    }
    Op real = op;
    const bool promotes =
        std::ranges::all_of(op.outputs, [&](ValueId id) { return is_complex(id); });
    const std::vector<std::string> names = names_of(op);
    const int64_t rank = rule.of_result ? rank_of(op.outputs.at(0)) : rank_of_self(op);
    for (size_t i = 0; i < names.size(); ++i) {
      Argument& argument = real.arguments[i];
      const bool is_axis = names[i] == rule.axes || names[i] == rule.more_axes;
      if (is_axis && !count_from_front(argument, rank)) return false;
      if (names[i] == rule.sizes &&
          !append(argument, rule.last_size == kLastAxis ? rank : rule.last_size)) {
        return false;
      }
      const bool is_data = promotes && std::ranges::find(kData, names[i]) != kData.end();
      map_values(argument, [&](ValueId id) {
        if (is_complex(id)) return pairs(id);
        return is_data ? pairs(promoted(id, op.outputs[0])) : id;
      });
    }
    emit_real(std::move(real));
    return true;
  }

  bool on_parts(const Op& op, const ComplexRule& rule) {
    std::vector<ValueId> results[2];
    for (Part which : {kReal, kImaginary}) {
      Op real = op;
      const std::vector<std::string> names = names_of(op);
      for (size_t i = 0; i < names.size(); ++i) {
        const bool is_data = std::ranges::find(kData, names[i]) != kData.end();
        if (!is_data && is_complex_number(real.arguments[i])) return false;
        take_part(real.arguments[i], which, is_data);
      }
      for (ValueId& output : real.outputs) {
        if (output != kNone) output = new_value(part_type(output));
      }
      results[which] = real.outputs;
      emit(std::move(real));
    }
    for (size_t i = 0; i < op.outputs.size(); ++i) {
      if (op.outputs[i] == kNone) continue;
      const ValueId re = results[kReal][i], im = results[kImaginary][i];
      if (is_complex(op.outputs[i])) {
        emit("aten::complex", {"real", "imag"}, {ValueRef{re}, ValueRef{im}}, op.outputs[i]);
      } else if (rule.other == "aten::hypot") {
        emit("aten::hypot", {"self", "other"}, {ValueRef{re}, ValueRef{im}}, op.outputs[i]);
      } else {
        add(re, im, op.outputs[i]);
      }
    }
    return true;
  }

  bool on_values(const Op& op, const std::function<ValueId(ValueId)>& seen_as) {
    Op real = op;
    for (Argument& argument : real.arguments) {
      map_values(argument, [&](ValueId id) { return is_complex(id) ? seen_as(id) : id; });
    }
    emit(std::move(real));
    return true;
  }

  bool on_polar(const Op& op, const ComplexRule& rule) {
    Op moduli = op, angles = op;
    angles.schema = schema(std::string(rule.other), names_of(op));
    const ValueId self = std::get<ValueRef>(op.arguments.at(0)).id;
    if (!is_complex(self)) return false;
    moduli.arguments[0] = ValueRef{modulus(self)};
    angles.arguments[0] =
        ValueRef{emit("aten::angle", {"self"}, {ValueRef{self}}, new_value(part_type(self)))};
    for (Op* half : {&moduli, &angles}) {
      half->outputs[0] = new_value(part_type(op.outputs[0]));
      emit(*half);
    }
    emit("aten::polar", {"abs", "angle"},
         {ValueRef{moduli.outputs[0]}, ValueRef{angles.outputs[0]}}, op.outputs[0]);
    return true;
  }

  // ---- products ---------------------------------------------------------------------------------
  bool on_product(Op& op, const ComplexRule& rule) {
    const std::vector<Argument*> factors = factors_of(op, rule);
    if (factors.size() == 1) return on_parts(op, rule);
    if (factors.size() != 2) return false;
    const ValueId a = value_of(*factors[0]), b = value_of(*factors[1]);
    if (a == kNone || b == kNone) return false;
    const auto times = [&](ValueId left, ValueId right) { return times_of(op, rule, left, right); };
    ValueId re = times(part(a, kReal), part(b, kReal)), im;
    if (is_complex(a) && is_complex(b)) {
      re = subtract(re, times(part(a, kImaginary), part(b, kImaginary)));
      im = times(part(a, kReal), part(b, kImaginary));
      im = add(im, times(part(a, kImaginary), part(b, kReal)), like(im));
    } else {
      im = is_complex(a) ? times(part(a, kImaginary), b) : times(a, part(b, kImaginary));
    }
    if (const ValueId bias = bias_of(op, rule); bias != kNone) {
      re = add(re, along_channels(op, rule, part(bias, kReal)), like(re));
      if (is_complex(bias)) {
        im = add(im, along_channels(op, rule, part(bias, kImaginary)), like(im));
      }
    }
    emit("aten::complex", {"real", "imag"}, {ValueRef{re}, ValueRef{im}}, op.outputs[0]);
    return true;
  }

  ValueId times_of(Op& op, const ComplexRule& rule, ValueId left, ValueId right) {
    Op real = op;
    if (Argument* bias = argument(real, rule.bias)) *bias = std::monostate{};
    const std::vector<Argument*> factors = factors_of(real, rule);
    *factors[0] = ValueRef{left};
    *factors[1] = ValueRef{right};
    real.outputs[0] = new_value(part_type(op.outputs[0]));
    emit(real);
    return real.outputs[0];
  }

  std::vector<Argument*> factors_of(Op& op, const ComplexRule& rule) {
    std::vector<Argument*> factors{argument(op, rule.left)};
    if (rule.left != rule.right) {
      factors.push_back(argument(op, rule.right));
    } else if (auto* list = std::get_if<ArgumentList>(factors[0])) {
      factors.clear();
      for (Argument& element : *list) factors.push_back(&element);
    }
    return factors;
  }

  ValueId bias_of(Op& op, const ComplexRule& rule) {
    const Argument* bias = argument(op, rule.bias);
    return bias ? value_of(*bias) : kNone;
  }

  // A convolution's bias in the shape [channels, 1...], a linear layer's as it is.
  ValueId along_channels(Op& op, const ComplexRule& rule, ValueId bias) {
    const ValueId weight = value_of(*argument(op, rule.right));
    const Shape channels = program_.values[bias].shape;
    const auto spatial = static_cast<size_t>(std::max<int64_t>(rank_of(weight) - 2, 0));
    if (spatial == 0) return bias;
    Value type{.dtype = program_.values[bias].dtype, .shape = channels};
    type.shape.resize(channels.size() + spatial, 1);
    ArgumentList size{int64_t{-1}};
    size.resize(1 + spatial, int64_t{1});
    return emit("aten::view", {"self", "size"}, {ValueRef{bias}, size}, new_value(type));
  }

  bool on_product_sum(Op& op, const ComplexRule& rule) {
    static const std::map<std::string_view, std::vector<std::string>> kFactors = {
        {"aten::mm", {"self", "mat2"}},
        {"aten::bmm", {"self", "mat2"}},
        {"aten::mv", {"self", "vec"}},
        {"aten::outer", {"self", "vec2"}}};
    const ValueId product = new_value(program_.values[op.outputs[0]]);
    Op times{.schema = schema(std::string(rule.other), kFactors.at(rule.other)),
             .arguments = {*argument(op, rule.left), *argument(op, rule.right)},
             .outputs = {product},
             .origin = op.origin};
    if (!rewrite(times)) emit(times);
    const ValueId scaled_product = scaled(product, *argument(op, "alpha"));
    const ValueId self = value_of(*argument(op, "self"));
    add(scaled(self, *argument(op, "beta")), scaled_product, op.outputs[0]);
    return true;
  }

  ValueId scaled(ValueId value, const Argument& factor) {
    const auto* integer = std::get_if<int64_t>(&factor);
    if (integer && *integer == 1) return value;
    Value type = program_.values[value];
    type.constant = kNone;
    if (is_complex_number(factor) && !type.is_complex) {
      value = promoted(value, value);
      type = program_.values[value];
    }
    return emit("aten::mul.Scalar", {"self", "other"}, {ValueRef{value}, factor}, new_value(type));
  }

  // ---- arguments --------------------------------------------------------------------------------
  // By value: emitting operators moves the schemas.
  std::vector<std::string> names_of(const Op& op) const {
    return program_.schemas[op.schema].arguments;
  }

  Argument* argument(Op& op, std::string_view name) const {
    const std::vector<std::string> names = names_of(op);
    const auto found = std::ranges::find(names, name);
    return found == names.end() ? nullptr : &op.arguments[found - names.begin()];
  }

  static ValueId value_of(const Argument& argument) {
    const auto* ref = std::get_if<ValueRef>(&argument);
    return ref ? ref->id : kNone;
  }

  int64_t rank_of_self(const Op& op) const {
    ValueId first = kNone;
    for_each_value(op.arguments.at(0), [&](ValueId id) { first = first == kNone ? id : first; });
    return first == kNone ? 0 : rank_of(first);
  }

  static bool names_none(const Argument& axes) {
    const auto* list = std::get_if<ArgumentList>(&axes);
    return std::holds_alternative<std::monostate>(axes) || (list && list->empty());
  }

  template <typename Map>
  static void map_values(Argument& argument, const Map& map) {
    if (auto* ref = std::get_if<ValueRef>(&argument)) {
      if (ref->id != kNone) ref->id = map(ref->id);
    } else if (auto* list = std::get_if<ArgumentList>(&argument)) {
      for (Argument& element : *list) map_values(element, map);
    }
  }

  // False if the axes depend on the inputs.
  static bool count_from_front(Argument& axes, int64_t rank) {
    if (auto* axis = std::get_if<int64_t>(&axes)) {
      if (*axis < 0) *axis += std::max<int64_t>(rank, 1);
      return true;
    }
    auto* list = std::get_if<ArgumentList>(&axes);
    return list &&
           std::ranges::all_of(*list, [&](Argument& axis) { return count_from_front(axis, rank); });
  }

  // False if how many sizes there are depends on the inputs.
  static bool append(Argument& sizes, int64_t last) {
    if (std::holds_alternative<int64_t>(sizes)) sizes = ArgumentList{sizes};
    auto* list = std::get_if<ArgumentList>(&sizes);
    if (list) list->emplace_back(last);
    return list != nullptr;
  }

  void take_part(Argument& argument, Part which, bool is_data) {
    if (auto* list = std::get_if<ArgumentList>(&argument)) {
      for (Argument& element : *list) take_part(element, which, is_data);
    } else if (const auto* number = std::get_if<std::complex<double>>(&argument)) {
      argument = which == kReal ? number->real() : number->imag();
    } else if (const ValueId id = value_of(argument); id != kNone) {
      if (is_complex(id)) {
        argument = ValueRef{part(id, which)};
      } else if (is_data && which == kImaginary) {
        argument = ValueRef{zeros_like(id)};
      }
    } else if (is_data && which == kImaginary &&
               !std::holds_alternative<std::monostate>(argument)) {
      argument = int64_t{0};
    }
  }
};

}  // namespace

bool has_complex(const Program& program) {
  return std::ranges::any_of(program.values, [](const Value& value) { return value.is_complex; });
}

void rewrite_complex(Program& program) { Rewriter(program).rewrite(program.body); }

}  // namespace modelexport::lowering
