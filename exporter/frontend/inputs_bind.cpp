#include "exporter/frontend/inputs_bind.h"

#include <ATen/core/jit_type.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <functional>
#include <set>

#include "exporter/error.h"
#include "exporter/frontend/scalar_type.h"
#include "exporter/frontend/value_paths.h"

namespace modelexport::frontend {
namespace {

using Values =
    std::vector<std::pair<std::string, c10::IValue>>;  // by flat name or prefix, in order

std::string describe_value(const c10::IValue& value) {
  if (value.isNone()) return "None";
  if (value.isTensor()) {
    const at::Tensor& tensor = value.toTensor();
    return fmt::format("a {} tensor of shape [{}]", name(dtype_of(tensor.scalar_type())),
                       fmt::join(tensor.sizes(), ","));
  }
  return fmt::format("a value of type {}", value.type()->repr_str());
}

// Children of tuples, lists and dicts: "past" "0" -> "past.0".
std::string join(const std::string& path, const std::string& child) {
  return path.empty() ? child : path + "." + child;
}

class Binder {
 public:
  Binder(const c10::FunctionSchema& forward, const Values& values, std::string where)
      : forward_(forward), values_(values), where_(std::move(where)) {}

  // `fallback`: arguments for what is not given, or empty.
  Example bind(const std::vector<c10::IValue>& fallback) {
    Example example;
    for (size_t i = 1; i < forward_.arguments().size(); ++i) {
      const c10::Argument& argument = forward_.arguments()[i];
      const c10::IValue* other = i - 1 < fallback.size() ? &fallback[i - 1] : nullptr;
      std::optional<c10::IValue> value = find(argument.type(), argument.name(), other);
      if (!value && argument.default_value()) value = *argument.default_value();
      if (!value && argument.type()->kind() == c10::TypeKind::OptionalType) value = c10::IValue();
      if (!value) {
        fail(fmt::format("input '{}' is missing{}: expected {}", argument.name(), where_,
                         argument.type()->repr_str()));
      }
      example.arguments.push_back(*std::move(value));
    }
    for (const auto& [path, value] : values_) {
      if (used_.contains(path)) continue;
      fail(fmt::format("input '{}'{} is none that the module takes", path, where_));
    }
    return example;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorKind::usage, fmt::format("{}; it takes {}", what, signature_text(forward_)));
  }

  [[noreturn]] void fail_type(const std::string& path, const c10::TypePtr& type,
                              const c10::IValue& value) const {
    fail(fmt::format("input '{}'{}: expected {}, but it is {}", path, where_, type->repr_str(),
                     describe_value(value)));
  }

  std::optional<c10::IValue> find(const c10::TypePtr& type, const std::string& path,
                                  const c10::IValue* fallback) {
    bool inside = false;
    for (const auto& [name, value] : values_) {
      if (name == path) {
        used_.insert(name);
        return convert(value, type, path);
      }
      inside = inside || name.starts_with(path + ".");
    }
    if (inside) return build(type, path, fallback);
    if (fallback) return *fallback;
    return std::nullopt;
  }

  // A container of which at least one element is given.
  c10::IValue build(const c10::TypePtr& type, const std::string& path,
                    const c10::IValue* fallback) {
    switch (type->kind()) {
      case c10::TypeKind::OptionalType:
        return build(type->expectRef<c10::OptionalType>().getElementType(), path, fallback);
      case c10::TypeKind::TupleType:
        return build_tuple(type->expect<c10::TupleType>(), path, fallback);
      case c10::TypeKind::ListType:
        return build_list(type->expectRef<c10::ListType>().getElementType(), path, fallback);
      case c10::TypeKind::DictType:
        return build_dict(type->expectRef<c10::DictType>(), path, fallback);
      default:
        fail(fmt::format("input '{}'{} has no elements: it is a {}", path, where_,
                         type->repr_str()));
    }
  }

  c10::IValue build_tuple(const c10::TupleTypePtr& type, const std::string& path,
                          const c10::IValue* fallback) {
    std::vector<c10::IValue> elements;
    for (size_t i = 0; i < type->elements().size(); ++i) {
      const std::string child =
          join(path, type->schema() ? type->schema()->arguments()[i].name() : std::to_string(i));
      const c10::IValue* other =
          fallback && fallback->isTuple() ? &fallback->toTupleRef().elements()[i] : nullptr;
      elements.push_back(required(type->elements()[i], child, other));
    }
    return c10::ivalue::Tuple::createNamed(std::move(elements), type);
  }

  c10::IValue build_list(const c10::TypePtr& element, const std::string& path,
                         const c10::IValue* fallback) {
    c10::impl::GenericList list(element);
    const size_t known = fallback && fallback->isList() ? fallback->toListRef().size() : 0;
    for (size_t i = 0;; ++i) {
      const c10::IValue* other = i < known ? &fallback->toListRef()[i] : nullptr;
      std::optional<c10::IValue> value = find(element, join(path, std::to_string(i)), other);
      if (!value) return list;
      list.push_back(*std::move(value));
    }
  }

  c10::IValue build_dict(const c10::DictType& type, const std::string& path,
                         const c10::IValue* fallback) {
    c10::impl::GenericDict dict(type.getKeyType(), type.getValueType());
    if (fallback && fallback->isGenericDict()) {
      for (const auto& entry : fallback->toGenericDict()) {
        const std::string key = fmt::format("{}", entry.key().to<std::string>());
        const c10::IValue other = entry.value();
        dict.insert(entry.key(), required(type.getValueType(), join(path, key), &other));
      }
    }
    for (const auto& [name, value] : values_) {
      if (!name.starts_with(path + ".")) continue;
      const std::string rest = name.substr(path.size() + 1);
      const std::string key = rest.substr(0, rest.find('.'));
      if (dict.contains(key)) continue;
      dict.insert(key, required(type.getValueType(), join(path, key), nullptr));
    }
    return dict;
  }

  c10::IValue required(const c10::TypePtr& type, const std::string& path,
                       const c10::IValue* fallback) {
    std::optional<c10::IValue> value = find(type, path, fallback);
    if (!value) fail(fmt::format("input '{}' is missing{}", path, where_));
    return *std::move(value);
  }

  c10::IValue convert(const c10::IValue& value, const c10::TypePtr& type, const std::string& path) {
    switch (type->kind()) {
      case c10::TypeKind::OptionalType:
        if (value.isNone()) return value;
        return convert(value, type->expectRef<c10::OptionalType>().getElementType(), path);
      case c10::TypeKind::TensorType:
        if (value.isTensor() && value.toTensor().defined()) return value.toTensor().detach();
        break;
      case c10::TypeKind::IntType:
      case c10::TypeKind::FloatType:
      case c10::TypeKind::BoolType:
      case c10::TypeKind::NumberType:
        if (std::optional<c10::IValue> number = convert_number(value, type)) return *number;
        break;
      case c10::TypeKind::ListType:
        if (value.isTuple() || value.isList()) return convert_list(value, type, path);
        break;
      case c10::TypeKind::TupleType:
        if (value.isTuple() || value.isList()) {
          return convert_tuple(value, type->expect<c10::TupleType>(), path);
        }
        if (value.isGenericDict() && type->expectRef<c10::TupleType>().schema()) {
          return convert_fields(value.toGenericDict(), type->expect<c10::TupleType>(), path);
        }
        break;
      case c10::TypeKind::DictType:
        if (value.isGenericDict())
          return convert_dict(value, type->expectRef<c10::DictType>(), path);
        break;
      default:
        if (value.type()->isSubtypeOf(*type)) return value;
    }
    fail_type(path, type, value);
  }

  // A one-element tensor is taken as a number, an int as a float.
  static std::optional<c10::IValue> convert_number(const c10::IValue& value,
                                                   const c10::TypePtr& type) {
    const bool is_tensor = value.isTensor() && value.toTensor().defined();
    if (is_tensor && value.toTensor().numel() != 1) return std::nullopt;
    const c10::IValue number = is_tensor ? c10::IValue(value.toTensor().item()) : value;
    if (number.type()->isSubtypeOf(*type)) return number;
    if (type->kind() == c10::TypeKind::FloatType && number.isInt()) {
      return c10::IValue(static_cast<double>(number.toInt()));
    }
    return std::nullopt;
  }

  static std::vector<c10::IValue> elements_of(const c10::IValue& value) {
    if (value.isTuple()) return value.toTupleRef().elements().vec();
    return value.toListRef().vec();
  }

  c10::IValue convert_list(const c10::IValue& value, const c10::TypePtr& type,
                           const std::string& path) {
    const c10::TypePtr element = type->expectRef<c10::ListType>().getElementType();
    c10::impl::GenericList list(element);
    for (const c10::IValue& item : elements_of(value)) {
      list.push_back(convert(item, element, join(path, std::to_string(list.size()))));
    }
    return list;
  }

  c10::IValue convert_tuple(const c10::IValue& value, const c10::TupleTypePtr& type,
                            const std::string& path) {
    std::vector<c10::IValue> elements = elements_of(value);
    if (elements.size() != type->elements().size()) {
      fail(fmt::format("input '{}'{}: expected {} of {} elements, but it has {}", path, where_,
                       type->repr_str(), type->elements().size(), elements.size()));
    }
    for (size_t i = 0; i < elements.size(); ++i) {
      elements[i] = convert(elements[i], type->elements()[i], join(path, std::to_string(i)));
    }
    return c10::ivalue::Tuple::createNamed(std::move(elements), type);
  }

  c10::IValue convert_fields(const c10::impl::GenericDict& dict, const c10::TupleTypePtr& type,
                             const std::string& path) {
    std::vector<c10::IValue> elements;
    for (size_t i = 0; i < type->elements().size(); ++i) {
      const std::string& field = type->schema()->arguments()[i].name();
      if (!dict.contains(field))
        fail(fmt::format("input '{}.{}' is missing{}", path, field, where_));
      elements.push_back(convert(dict.at(field), type->elements()[i], join(path, field)));
    }
    return c10::ivalue::Tuple::createNamed(std::move(elements), type);
  }

  c10::IValue convert_dict(const c10::IValue& value, const c10::DictType& type,
                           const std::string& path) {
    c10::impl::GenericDict dict(type.getKeyType(), type.getValueType());
    for (const auto& entry : value.toGenericDict()) {
      const std::string key = key_text(entry.key());
      if (!entry.key().type()->isSubtypeOf(*type.getKeyType())) {
        fail_type(join(path, key), type.getKeyType(), entry.key());
      }
      dict.insert(entry.key(), convert(entry.value(), type.getValueType(), join(path, key)));
    }
    return dict;
  }

  const c10::FunctionSchema& forward_;
  const Values& values_;
  const std::string where_;  // " in a.pt", or nothing
  std::set<std::string> used_;
};

bool takes_container(const c10::FunctionSchema& forward, c10::TypeKind a, c10::TypeKind b) {
  if (forward.arguments().size() < 2) return false;
  c10::TypePtr type = forward.arguments()[1].type();
  if (type->kind() == c10::TypeKind::OptionalType) {
    type = type->expectRef<c10::OptionalType>().getElementType();
  }
  return type->kind() == a || type->kind() == b;
}

bool has_argument(const c10::FunctionSchema& forward, const std::string& path) {
  const std::string name = path.substr(0, path.find('.'));
  return forward.argumentIndexWithName(name).value_or(0) > 0;
}

// Of the element that has this index or key; null if there is none.
c10::TypePtr element_type(const c10::Type& type, const std::string& key) {
  if (type.kind() == c10::TypeKind::ListType) return type.containedType(0);
  if (type.kind() == c10::TypeKind::DictType) return type.containedType(1);
  if (type.kind() != c10::TypeKind::TupleType) return nullptr;
  const auto& tuple = type.expectRef<c10::TupleType>();
  for (size_t i = 0; i < tuple.elements().size(); ++i) {
    const std::string name =
        tuple.schema() ? tuple.schema()->arguments()[i].name() : std::to_string(i);
    if (name == key) return tuple.elements()[i];
  }
  return nullptr;
}

}  // namespace

Example bind_arguments(const c10::FunctionSchema& forward, const c10::IValue& given,
                       const std::string& where) {
  const std::string in_where = fmt::format(" in {}", where);
  const auto refuse = [&](const std::string& what) {
    throw Error(ErrorKind::usage,
                fmt::format("{} {}; the module takes {}", where, what, signature_text(forward)));
  };
  std::vector<c10::IValue> positional;
  Values values;
  if (given.isGenericDict()) {
    const c10::impl::GenericDict dict = given.toGenericDict();
    bool by_name = !takes_container(forward, c10::TypeKind::DictType, c10::TypeKind::DictType);
    for (const auto& entry : dict) {
      if (!entry.key().isString()) refuse("holds a dict whose keys are no names");
      by_name = by_name || has_argument(forward, entry.key().toStringRef());
    }
    if (!by_name) positional = {given};
    for (const auto& entry : dict) {
      if (by_name) values.emplace_back(entry.key().toStringRef(), entry.value());
    }
  } else if (given.isTuple() || given.isList()) {
    positional = given.isTuple() ? given.toTupleRef().elements().vec() : given.toListRef().vec();
    const bool is_flat = positional.empty() || positional.front().isTensor();
    if (is_flat && takes_container(forward, c10::TypeKind::ListType, c10::TypeKind::TupleType)) {
      positional = {given};
    }
  } else if (given.isTensor()) {
    positional = {given};
  } else {
    refuse(fmt::format("holds {}, not tensors", describe_value(given)));
  }
  if (positional.size() + 1 > forward.arguments().size()) {
    refuse(fmt::format("holds {} inputs, but {} are expected", positional.size(),
                       forward.arguments().size() - 1));
  }
  for (size_t i = 0; i < positional.size(); ++i) {
    values.emplace_back(forward.arguments()[i + 1].name(), positional[i]);
  }
  return Binder(forward, values, in_where).bind({});
}

c10::TypePtr type_at(const c10::FunctionSchema& forward, const std::string& name) {
  const auto given = [](const c10::TypePtr& type) {
    return type->kind() == c10::TypeKind::OptionalType
               ? type->expectRef<c10::OptionalType>().getElementType()
               : type;
  };
  size_t end = name.find('.');
  const auto argument = forward.argumentIndexWithName(name.substr(0, end));
  if (!argument) return nullptr;
  c10::TypePtr type = given(forward.arguments()[*argument].type());
  while (type && end != std::string::npos) {
    const size_t begin = end + 1;
    end = name.find('.', begin);
    type = element_type(*type, name.substr(begin, end - begin));
    if (type) type = given(type);
  }
  return type;
}

Example bind_values(const c10::FunctionSchema& forward,
                    const std::vector<std::pair<std::string, c10::IValue>>& values,
                    const std::vector<c10::IValue>& fallback) {
  return Binder(forward, values, "").bind(fallback);
}

}  // namespace modelexport::frontend
