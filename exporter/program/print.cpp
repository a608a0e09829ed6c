// The listing of a program: inputs, weights, operators with their types and places, outputs.
#include <fmt/format.h>

#include "exporter/program/program.h"

namespace modelexport {
namespace {

class Printer {
 public:
  explicit Printer(const Program& program) : program_(program) {}

  std::string run() {
    line(0, fmt::format("program {} from {}", program_.class_name, program_.source_file));
    for (const Symbol& symbol : program_.symbols) {
      line(0, fmt::format("symbol {} = {}", symbol.name, fmt::join(symbol.sizes, ", ")));
    }
    for (const Tensor& tensor : program_.tensors) line(0, text(tensor));
    for (const Port& input : program_.inputs)
      line(0, fmt::format("input {} = {}", input.name, typed(input.value)));
    print(program_.body, 0);
    for (const Port& output : program_.outputs) {
      line(0, fmt::format("output {} = {}", output.name, reference(output.value)));
    }
    for (const std::string& warning : program_.warnings) line(0, "warning: " + warning);
    return std::move(text_);
  }

 private:
  void line(int depth, const std::string& content) {
    text_ += fmt::format("{:{}}{}\n", "", 2 * depth, content);
  }

  void print(const Block& block, int depth) {
    for (const Op& op : block.ops) {
      line(depth, text(op));
      for (const Block& inner : op.blocks) {
        line(depth + 1, fmt::format("block({}):", list(inner.inputs, &Printer::typed)));
        print(inner, depth + 2);
        line(depth + 2, fmt::format("-> {}", list(inner.outputs, &Printer::reference)));
      }
    }
  }

  std::string text(const Op& op) {
    std::vector<std::string> arguments;
    for (const Argument& argument : op.arguments) arguments.push_back(text(argument));
    std::string call =
        fmt::format("{}({})", program_.schemas[op.schema].key, fmt::join(arguments, ", "));
    if (!op.outputs.empty()) call = fmt::format("{} = {}", list(op.outputs, &Printer::typed), call);
    return call + place(op.origin);
  }

  std::string place(OriginId id) const {
    if (id == kNone) return {};
    const Origin& origin = program_.origins[id];
    const std::string& path = program_.scopes[origin.scope].path;
    std::string text = fmt::format("  # {}{}{}", path, path.empty() ? "" : ".", origin.name);
    if (origin.source != kNone && !program_.sources[origin.source].empty()) {
      const Frame& frame = program_.sources[origin.source].back();
      text += fmt::format(" {}:{}", frame.file, frame.line);
    }
    return text;
  }

  std::string text(const Argument& argument) const {
    if (std::holds_alternative<std::monostate>(argument)) return "None";
    if (const auto* value = std::get_if<bool>(&argument)) return *value ? "True" : "False";
    if (const auto* value = std::get_if<int64_t>(&argument)) return std::to_string(*value);
    if (const auto* value = std::get_if<double>(&argument)) return number(*value);
    if (const auto* value = std::get_if<std::complex<double>>(&argument)) {
      return fmt::format("({}+{}j)", value->real(), value->imag());
    }
    if (const auto* value = std::get_if<std::string>(&argument)) return fmt::format("'{}'", *value);
    if (const auto* value = std::get_if<ValueRef>(&argument)) return reference(value->id);
    std::vector<std::string> elements;
    for (const Argument& element : std::get<ArgumentList>(argument))
      elements.push_back(text(element));
    return fmt::format("[{}]", fmt::join(elements, ", "));
  }

  // As Python prints it: "1.0" is no integer.
  static std::string number(double value) {
    const std::string text = fmt::format("{}", value);
    return text.find_first_of(".en") == std::string::npos ? text + ".0" : text;
  }

  std::string text(const Tensor& tensor) const {
    static constexpr const char* kRoles[] = {"parameter", "buffer", "constant"};
    const auto id = static_cast<size_t>(&tensor - program_.tensors.data());
    std::string text = fmt::format("{} ${}{}{}: {}[{}]", kRoles[static_cast<size_t>(tensor.role)],
                                   id, tensor.name.empty() ? "" : " ", tensor.name,
                                   modelexport::name(tensor.dtype), fmt::join(tensor.sizes, ","));
    if (tensor.is_complex) text += " complex";
    if (!tensor.is_contiguous())
      text += fmt::format(" strides [{}]", fmt::join(tensor.strides, ","));
    if (!tensor.aliases.empty()) text += fmt::format(" also {}", fmt::join(tensor.aliases, ", "));
    return text;
  }

  std::string dim(Dim dim) const {
    return is_static(dim) ? std::to_string(dim) : program_.symbols[symbol_index(dim)].name;
  }

  std::string reference(ValueId id) const { return id == kNone ? "_" : fmt::format("%{}", id); }

  // "%4: float32[batch,8]", "%5: int64[] = seq", "%6: sequence of float32[2,s1]", "%7: ... = $3"
  std::string typed(ValueId id) const {
    if (id == kNone) return "_";
    const Value& value = program_.values[id];
    std::vector<std::string> dims;
    for (Dim d : value.shape) dims.push_back(dim(d));
    std::string text =
        fmt::format("%{}: {}{}[{}]", id, value.kind == Kind::sequence ? "sequence of " : "",
                    modelexport::name(value.dtype), fmt::join(dims, ","));
    if (value.is_complex) text += " complex";
    if (value.size) text += " = " + dim(*value.size);
    if (value.constant != kNone) text += fmt::format(" = ${}", value.constant);
    return text;
  }

  std::string list(const std::vector<ValueId>& ids,
                   std::string (Printer::*print)(ValueId) const) const {
    std::vector<std::string> texts;
    for (ValueId id : ids) texts.push_back((this->*print)(id));
    return fmt::format("{}", fmt::join(texts, ", "));
  }

  const Program& program_;
  std::string text_;
};

}  // namespace

std::string to_string(const Program& program) { return Printer(program).run(); }

}  // namespace modelexport
