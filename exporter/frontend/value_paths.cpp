#include "exporter/frontend/value_paths.h"

namespace modelexport::frontend {

std::string key_text(const c10::IValue& key) {
  return key.isString() ? key.toStringRef() : std::to_string(key.toInt());
}

c10::IValue rebuild(const c10::IValue& value, const std::string& name, const Replace& replace) {
  if (std::optional<c10::IValue> other = replace(name, value)) return *other;
  const auto child = [&](const c10::IValue& element, const std::string& key) {
    return rebuild(element, name + "." + key, replace);
  };
  if (value.isTuple()) {
    const auto type = value.type()->expect<c10::TupleType>();
    const auto* schema = type->schema().get();
    std::vector<c10::IValue> elements;
    for (const c10::IValue& element : value.toTupleRef().elements()) {
      const size_t index = elements.size();
      elements.push_back(
          child(element, schema ? schema->arguments().at(index).name() : std::to_string(index)));
    }
    return c10::ivalue::Tuple::createNamed(std::move(elements), type);
  }
  if (value.isList()) {
    c10::impl::GenericList list(value.toList().elementType());
    for (const c10::IValue& element : value.toListRef())
      list.push_back(child(element, std::to_string(list.size())));
    return list;
  }
  if (value.isGenericDict()) {
    const auto dict = value.toGenericDict();
    c10::impl::GenericDict copy(dict.keyType(), dict.valueType());
    for (const auto& entry : dict) {
      copy.insert(entry.key(), child(entry.value(), key_text(entry.key())));
    }
    return copy;
  }
  return value;
}

}  // namespace modelexport::frontend
