// Programs made by hand, a line per operator:
//
//   HandMade p;
//   const ValueId x = p.input("x", DType::f32, {p.symbol("batch"), 4});
//   p.output("y", p.op("aten::relu(self)", {ref(x)}, DType::f32, {p.symbol("batch"), 4}));
#pragma once

#include <algorithm>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

#include "exporter/program/program.h"

namespace modelexport::test {

inline Argument ref(ValueId id) { return ValueRef{id}; }

struct HandMade {
  Program program;
  std::vector<Block*> blocks;  // where op() appends
  ScopeId scope = 0;           // of the next operator
  std::deque<std::string> data;

  HandMade() {
    program.source_file = "model.pt";
    program.class_name = "pkg.Net";
    program.modules = {{.path = "", .class_name = "pkg.Net"}};
    program.scopes = {{.path = "", .class_name = "pkg.Net", .method = "forward"}};
    program.sources = {{{"net.py", 7, "forward"}}};
    blocks = {&program.body};
  }

  Dim symbol(const std::string& name) {
    for (size_t i = 0; i < program.symbols.size(); ++i) {
      if (program.symbols[i].name == name) return symbol_dim(i);
    }
    program.symbols.push_back({name, {2, 3}});
    return symbol_dim(program.symbols.size() - 1);
  }

  ScopeId call(ScopeId parent, const std::string& path, const std::string& class_name) {
    program.scopes.push_back(
        {.parent = parent, .path = path, .class_name = class_name, .method = "forward"});
    return static_cast<ScopeId>(program.scopes.size() - 1);
  }

  ValueId value(DType dtype, Shape shape) {
    program.values.push_back({.dtype = dtype, .shape = std::move(shape)});
    return static_cast<ValueId>(program.values.size() - 1);
  }
  ValueId integer(std::optional<Dim> size = std::nullopt) {
    const ValueId id = value(DType::i64, {});
    program.values[id].is_number = true;
    program.values[id].size = size;
    return id;
  }
  ValueId sequence(DType dtype, Shape shape) {
    const ValueId id = value(dtype, std::move(shape));
    program.values[id].kind = Kind::sequence;
    return id;
  }
  ValueId input(const std::string& name, DType dtype, Shape shape) {
    const ValueId id = value(dtype, std::move(shape));
    program.inputs.push_back({name, id});
    program.body.inputs.push_back(id);
    return id;
  }
  void output(const std::string& name, ValueId id) {
    program.outputs.push_back({name, id});
    program.body.outputs.push_back(id);
  }

  // A value with known contents, all zero.
  ValueId tensor(const std::string& name, DType dtype, const std::vector<int64_t>& sizes,
                 Role role) {
    Tensor tensor{.storage = static_cast<StorageId>(program.storages.size()),
                  .dtype = dtype,
                  .sizes = sizes,
                  .strides = std::vector<int64_t>(sizes.size(), 1),
                  .role = role,
                  .name = name};
    for (size_t i = sizes.size(); i-- > 1;) tensor.strides[i - 1] = tensor.strides[i] * sizes[i];
    data.emplace_back(static_cast<size_t>(tensor.element_count()) * byte_size(dtype), '\0');
    program.storages.push_back({.data = reinterpret_cast<const std::byte*>(data.back().data()),
                                .bytes = data.back().size()});
    program.tensors.push_back(tensor);
    const ValueId id = value(dtype, Shape(sizes));
    program.values[id].constant = static_cast<TensorId>(program.tensors.size() - 1);
    return id;
  }

  OriginId origin(const std::string& op) {
    program.origins.push_back({.scope = scope, .source = 0, .op = op, .name = op});
    return static_cast<OriginId>(program.origins.size() - 1);
  }

  // "aten::add.Tensor(self, other, alpha)"
  SchemaId schema(const std::string& text) {
    const size_t open = text.find('(');
    Schema schema{.key = text.substr(0, open), .text = text};
    std::string name;
    for (char c : text.substr(open + 1)) {
      if (c != ',' && c != ')') {
        if (c != ' ') name += c;
      } else if (!name.empty()) {
        schema.arguments.push_back(std::exchange(name, ""));
      }
    }
    program.schemas.push_back(schema);
    return static_cast<SchemaId>(program.schemas.size() - 1);
  }

  Op& op(const std::string& text, std::vector<Argument> arguments, std::vector<ValueId> outputs) {
    const std::string key = text.substr(0, text.find('('));
    blocks.back()->ops.push_back({.schema = schema(text),
                                  .arguments = std::move(arguments),
                                  .outputs = std::move(outputs),
                                  .origin = origin(key)});
    return blocks.back()->ops.back();
  }
  ValueId op(const std::string& text, std::vector<Argument> arguments, DType dtype, Shape shape) {
    const ValueId id = value(dtype, std::move(shape));
    op(text, std::move(arguments), {id});
    return id;
  }
};

}  // namespace modelexport::test
