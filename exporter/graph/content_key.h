// A text that is equal for equal things: what parts of graphs are compared by.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "exporter/graph/graph.h"

namespace modelexport::graph {

class ContentKey {
 public:
  void add(std::string_view text) {
    add(text.size());
    text_ += text;
  }
  template <typename T>
  requires std::is_arithmetic_v<T>
  void add(T number) { text_.append(reinterpret_cast<const char*>(&number), sizeof(number)); }
  template <typename T>
  void add(const std::vector<T>& list) {
    add(list.size());
    for (const T& element : list) add(element);
  }
  void add(const std::string& text) { add(std::string_view(text)); }
  void add(const TensorData& tensor) {
    add(static_cast<uint8_t>(tensor.dtype));
    add(tensor.dims);
    add(tensor.data.index());
    std::visit([&](const auto& data) { add(data); }, tensor.data);
  }
  void add(const std::shared_ptr<Block>&) {}  // whoever compares nodes with blocks looks into them
  void add(const Attribute& attribute) {
    add(attribute.name);
    add(attribute.value.index());
    std::visit([&](const auto& value) { add(value); }, attribute.value);
  }

  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

}  // namespace modelexport::graph
