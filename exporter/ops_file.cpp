#include "exporter/ops_file.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "exporter/error.h"
#include "exporter/lowering/custom_op.h"
#include "exporter/onnx/function_text.h"

namespace modelexport {
namespace {

using Names = std::vector<std::string>;
constexpr const char* kKeys[] = {"domain",     "op_type", "version", "function",
                                 "attributes", "inputs",  "values",  "ignore"};

template <typename T>
bool decode(const YAML::Node& node, T& value) {
  try {
    return YAML::convert<T>::decode(node, value);
  } catch (const YAML::BadConversion&) {
    return false;
  }
}

class OpsFile {
 public:
  OpsFile(const std::string& path, int opset) : path_(path), opset_(opset) {}

  void read(lowering::Lowerings& lowerings) const {
    const YAML::Node root = load();
    if (root.IsNull()) return;
    if (!root.IsMap()) fail(root, "expected operators, each with what it becomes");
    for (const auto& entry : root) {
      const std::string key = text(entry.first);
      if (key.find("::") == std::string::npos) {
        fail(entry.first, fmt::format("'{}' is no operator; write NAMESPACE::NAME", key));
      }
      lowerings.add(key, lowering::custom_lowering(custom_op(key, entry.first, entry.second)));
    }
  }

 private:
  [[noreturn]] void fail(const YAML::Node& node, const std::string& what) const {
    throw Error(ErrorKind::usage, fmt::format("{}: {}", where(node), what));
  }

  std::string where(const YAML::Node& node) const {
    return fmt::format("{}:{}", path_, node.Mark().line + 1);
  }

  YAML::Node load() const {
    try {
      return YAML::LoadFile(path_);
    } catch (const YAML::BadFile&) {
      throw Error(ErrorKind::usage,
                  fmt::format("{}: cannot be opened: {}", path_, std::strerror(errno)));
    } catch (const YAML::ParserException& error) {
      throw Error(ErrorKind::usage,
                  fmt::format("{}:{}: {}", path_, error.mark.line + 1, error.msg));
    }
  }

  lowering::CustomOp custom_op(const std::string& key, const YAML::Node& at,
                               const YAML::Node& map) const {
    if (!map.IsMap()) fail(at, fmt::format("'{}': expected a mapping", key));
    for (const auto& entry : map) check_key(entry.first);
    lowering::CustomOp op;
    op.where = where(at);
    if (const YAML::Node function = map["function"]) {
      add_function(function, op);
      for (const char* other : {"domain", "op_type", "version"}) {
        if (map[other])
          fail(map[other], fmt::format("'{}' is the function's own, and in its text", other));
      }
    } else {
      op.domain = required_text(key, at, map, "domain");
      op.op_type = required_text(key, at, map, "op_type");
      if (const YAML::Node version = map["version"]) op.version = positive(version);
    }
    if (const YAML::Node inputs = map["inputs"]) op.inputs = names(inputs);
    if (const YAML::Node ignored = map["ignore"]) op.ignored = names(ignored);
    if (const YAML::Node attributes = map["attributes"]) op.attributes = renamed(attributes);
    if (const YAML::Node values = map["values"]) {
      if (!values.IsMap()) fail(values, "'values': expected a mapping");
      for (const auto& entry : values) op.values.push_back(value(entry.first, entry.second));
    }
    return op;
  }

  void check_key(const YAML::Node& node) const {
    const std::string key = text(node);
    if (std::find(std::begin(kKeys), std::end(kKeys), key) != std::end(kKeys)) return;
    fail(node, fmt::format("unknown key '{}'; known are {}", key, fmt::join(kKeys, ", ")));
  }

  void add_function(const YAML::Node& node, lowering::CustomOp& op) const {
    try {
      op.function = onnx::parse_function(text(node), opset_).function;
    } catch (const Error& error) {
      fail(node, error.what());
    }
    op.domain = op.function->domain;
    op.op_type = op.function->name;
  }

  std::string text(const YAML::Node& node) const {
    if (!node.IsScalar()) fail(node, "expected a plain value");
    return node.Scalar();
  }

  std::string required_text(const std::string& key, const YAML::Node& at, const YAML::Node& map,
                            const char* name) const {
    if (map[name]) return text(map[name]);
    fail(at, fmt::format("'{}': needs a {} (or a function)", key, name));
  }

  int positive(const YAML::Node& node) const {
    int number = 0;
    if (!decode(node, number) || number < 1) {
      fail(node, fmt::format("expected an integer from 1, but found {}", text(node)));
    }
    return number;
  }

  Names names(const YAML::Node& node) const {
    if (!node.IsSequence()) fail(node, "expected a list of arguments");
    Names list;
    for (const YAML::Node& item : node) list.push_back(text(item));
    return list;
  }

  // {onnx_name: argument}, or [argument] for equal names.
  std::vector<std::pair<std::string, std::string>> renamed(const YAML::Node& node) const {
    std::vector<std::pair<std::string, std::string>> pairs;
    if (node.IsMap()) {
      for (const auto& entry : node) pairs.emplace_back(text(entry.first), text(entry.second));
    } else {
      for (const std::string& name : names(node)) pairs.emplace_back(name, name);
    }
    return pairs;
  }

  // An int, a float or a text, as it is written; or a list of such.
  graph::Attribute value(const YAML::Node& name, const YAML::Node& node) const {
    const bool quoted = node.Tag() == "!";
    int64_t integer = 0;
    float number = 0;
    std::vector<int64_t> integers;
    std::vector<float> numbers;
    if (!quoted && decode(node, integer)) return {text(name), integer};
    if (!quoted && decode(node, number)) return {text(name), number};
    if (decode(node, integers)) return {text(name), integers};
    if (decode(node, numbers)) return {text(name), numbers};
    if (node.IsSequence()) return {text(name), names(node)};
    return {text(name), text(node)};
  }

  const std::string& path_;
  const int opset_;
};

}  // namespace

void read_ops_file(const std::string& path, int opset, lowering::Lowerings& lowerings) {
  OpsFile(path, opset).read(lowerings);
}

}  // namespace modelexport
