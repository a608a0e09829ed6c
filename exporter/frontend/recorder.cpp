#include "exporter/frontend/recorder.h"

#include <fmt/format.h>

#include <sstream>
#include <string_view>

#include "exporter/error.h"
#include "exporter/frontend/complex_pairs.h"
#include "exporter/frontend/scalar_type.h"

namespace modelexport::frontend {
namespace {

constexpr int64_t kCopyLimit = 16 * 1024;  // elements; larger constants are referred to, not copied

DType dtype_of_number(const c10::IValue& number) {
  if (number.isInt()) return DType::i64;
  if (number.isBool()) return DType::boolean;
  if (number.isComplexDouble()) return DType::c128;
  return DType::f64;
}

// "add" for "aten::add".
std::string without_namespace(const std::string& op) { return op.substr(op.rfind(':') + 1); }

}  // namespace

std::string unmangled(const std::string& qualified_name) {
  static constexpr std::string_view kRoot = "__torch__.", kMangle = "___torch_mangle_";
  std::string name = qualified_name.substr(qualified_name.starts_with(kRoot) ? kRoot.size() : 0);
  for (size_t at = 0; (at = name.find(kMangle, at)) != std::string::npos;) {
    const size_t end = name.find_first_not_of("0123456789", at + kMangle.size());
    const bool is_mangle =
        end != std::string::npos && name[end] == '.' && end > at + kMangle.size();
    if (is_mangle) {
      name.erase(at, end + 1 - at);
    } else {
      at += kMangle.size();
    }
  }
  return name;
}

std::string key_of(const c10::FunctionSchema& schema) {
  return schema.overload_name().empty() ? schema.name()
                                        : schema.name() + "." + schema.overload_name();
}

Recorder::Recorder(const Checkpoint& checkpoint, ValueObserver observer)
    : mapping_(*checkpoint.mapping), observer_(std::move(observer)) {
  program_.source_file = checkpoint.path;
  program_.class_name = unmangled(checkpoint.module.type()->name()->qualifiedName());
  program_.owners.push_back(checkpoint.mapping);
  add_module(checkpoint.module, "", kNone);
  for (const auto& storage : storages_) weight_storages_.insert(storage);
  blocks_.push_back(&program_.body);
}

void Recorder::add_module(const torch::jit::Module& module, const std::string& path,
                          ModuleId parent) {
  const auto id = static_cast<ModuleId>(program_.modules.size());
  const auto [object, is_new] = module_objects_.try_emplace(module._ivalue().get(), id);
  program_.modules.push_back({.path = path,
                              .class_name = unmangled(module.type()->name()->qualifiedName()),
                              .parent = parent,
                              .same_as = is_new ? kNone : object->second});
  module_paths_.emplace(path, id);
  const std::string prefix = path.empty() ? "" : path + ".";
  const auto& type = *module.type();
  for (size_t slot = 0; slot < type.numAttributes(); ++slot) {
    const auto value = module._ivalue()->getSlot(slot);
    const std::string name = prefix + type.getAttributeName(slot);
    if (type.getAttribute(slot)->is_module()) {
      add_module(torch::jit::Module(value.toObject()), name, id);
    } else if (value.isTensor() && value.toTensor().defined()) {
      const Role role = type.is_parameter(slot) ? Role::parameter : Role::buffer;
      const TensorId tensor = add_tensor(value.toTensor(), role, name, id);
      auto& own = program_.modules[id];
      (role == Role::parameter ? own.parameters : own.buffers).push_back(tensor);
    } else {
      add_packed(value, name, id);
    }
  }
}

// The weights in packed parameters get the names that they would have as parameters of the module;
// in a module with several such objects, with the name of the attribute.
void Recorder::add_packed(const c10::IValue& value, const std::string& name, ModuleId module) {
  const bool nested = !program_.modules[module].parameters.empty();
  const std::string& path = program_.modules[module].path;
  const std::string prefix = nested ? name : path;
  for (const PackedField& field : packed(value)) {
    const std::string full = prefix.empty() ? field.name : prefix + "." + field.name;
    if (field.value.isTensor()) {
      const TensorId tensor = add_tensor(field.value.toTensor(), Role::parameter, full, module);
      program_.modules[module].parameters.push_back(tensor);
    } else {
      add_packed(field.value, full, module);
    }
  }
}

const std::vector<PackedField>& Recorder::packed(const c10::IValue& value) {
  static const std::vector<PackedField> kNothing;
  if (!value.isObject()) return kNothing;
  const auto [found, is_new] = packed_.try_emplace(value.toObject().get());
  if (is_new) found->second = {value, open_packed(value).value_or(kNothing)};
  return found->second.second;
}

Recorder::TensorKey Recorder::key_of(const at::Tensor& tensor) {
  return {tensor.numel() > 0 ? tensor.const_data_ptr() : tensor.unsafeGetTensorImpl(),
          tensor.scalar_type(), tensor.sizes().vec(), tensor.strides().vec()};
}

TensorId Recorder::weight(const at::Tensor& tensor) const {
  if (!tensor.has_storage() || tensor.is_conj() || tensor.is_neg()) return kNone;
  const auto found = weights_.find(key_of(tensor));
  return found == weights_.end() ? kNone : found->second;
}

StorageId Recorder::storage_of(const at::Tensor& tensor) {
  const auto& storage = tensor.storage();
  const auto [found, is_new] =
      storages_.try_emplace(storage.data(), static_cast<StorageId>(program_.storages.size()));
  if (is_new) {
    program_.storages.push_back({static_cast<const std::byte*>(storage.data()), storage.nbytes(),
                                 mapping_.offset_of(storage.data())});
    program_.owners.push_back(std::make_shared<at::Tensor>(tensor));
  }
  return found->second;
}

TensorId Recorder::add_tensor(const at::Tensor& tensor, Role role, const std::string& name,
                              ModuleId module) {
  const bool plain = tensor.layout() == at::kStrided && tensor.has_storage();
  if (!plain) {
    throw Error(ErrorKind::unsupported,
                fmt::format("{}: tensors of layout {} cannot be exported", name,
                            (std::ostringstream() << tensor.layout()).str()));
  }
  const auto id = static_cast<TensorId>(program_.tensors.size());
  if (role != Role::constant) {
    const auto [found, is_new] = weights_.try_emplace(key_of(tensor), id);
    if (!is_new) {
      program_.tensors[found->second].aliases.push_back(name);
      return found->second;
    }
  }
  const at::Tensor parts = as_pairs(tensor);
  program_.tensors.push_back({.storage = storage_of(parts),
                              .dtype = dtype_of(c10::toUnderlying(parts.scalar_type())),
                              .sizes = parts.sizes().vec(),
                              .strides = parts.strides().vec(),
                              .offset = parts.storage_offset(),
                              .role = role,
                              .name = name,
                              .module = module,
                              .is_complex = tensor.is_complex()});
  return id;
}

ValueId Recorder::weight_value(TensorId id) {
  const auto [found, is_new] =
      weight_values_.try_emplace(id, static_cast<ValueId>(program_.values.size()));
  if (is_new) {
    const Tensor& tensor = program_.tensors[id];
    program_.values.push_back({.dtype = tensor.dtype,
                               .shape = tensor.sizes,
                               .constant = id,
                               .is_complex = tensor.is_complex});
  }
  return found->second;
}

void Recorder::set_constant(ValueId value, const at::Tensor& contents) {
  at::Tensor own = contents;
  const bool copy = contents.numel() <= kCopyLimit;
  if (copy) own = contents.detach().clone(at::MemoryFormat::Contiguous);
  const TensorId id = add_tensor(own, Role::constant, "", kNone);
  program_.values[value].constant = id;
  if (!copy) referred_.emplace(own.storage().unsafeGetStorageImpl(), std::make_pair(id, own));
}

void Recorder::before_write(const c10::StorageImpl* storage) {
  const auto [begin, end] = referred_.equal_range(storage);
  for (auto entry = begin; entry != end; ++entry) {
    const auto& [id, tensor] = entry->second;
    const at::Tensor copy = as_pairs(tensor.detach().clone(at::MemoryFormat::Contiguous));
    Tensor& target = program_.tensors[id];
    target.storage = storage_of(copy);
    target.strides = copy.strides().vec();
    target.offset = 0;
  }
  referred_.erase(storage);
}

Dim Recorder::dim(const std::vector<int64_t>& sizes) {
  if (std::adjacent_find(sizes.begin(), sizes.end(), std::not_equal_to<>()) == sizes.end()) {
    return sizes.front();
  }
  const auto [found, is_new] = symbols_.try_emplace(sizes, symbol_dim(program_.symbols.size()));
  if (is_new) program_.symbols.push_back({.name = "", .sizes = sizes});
  return found->second;
}

void Recorder::name_symbol(Dim dim, const std::string& name) {
  if (is_static(dim)) return;
  Symbol& symbol = program_.symbols[symbol_index(dim)];
  if (!symbol.name.empty()) return;
  const int uses = symbol_names_[name]++;
  symbol.name = uses == 0 ? name : fmt::format("{}_{}", name, uses);
}

ValueId Recorder::tensor_value(const std::vector<at::Tensor>& lanes) {
  const auto id = static_cast<ValueId>(program_.values.size());
  const DType dtype = dtype_of(c10::toUnderlying(lanes[0].scalar_type()));
  Value value{.dtype = part_dtype(dtype), .is_complex = is_complex(dtype)};
  std::vector<int64_t> sizes(lanes.size());
  for (int64_t axis = 0; axis < lanes[0].dim(); ++axis) {
    for (size_t lane = 0; lane < lanes.size(); ++lane) {
      if (lanes[lane].dim() != lanes[0].dim()) {
        throw Error(ErrorKind::unsupported,
                    fmt::format("a tensor has rank {} in one example and {} in another",
                                lanes[0].dim(), lanes[lane].dim()));
      }
      sizes[lane] = lanes[lane].size(axis);
    }
    value.shape.push_back(dim(sizes));
  }
  if (value.is_complex) value.shape.push_back(2);
  program_.values.push_back(std::move(value));
  observe(id, lanes[0]);
  return id;
}

ValueId Recorder::number_value(const std::vector<c10::IValue>& lanes) {
  const auto id = static_cast<ValueId>(program_.values.size());
  Value value{.dtype = dtype_of_number(lanes[0]), .is_number = true};
  if (is_complex(value.dtype)) {
    value = {.dtype = part_dtype(value.dtype), .shape = {2}, .is_number = true, .is_complex = true};
  }
  if (lanes[0].isInt()) {
    std::vector<int64_t> sizes;
    for (const auto& lane : lanes) sizes.push_back(lane.toInt());
    const bool can_be_size = std::all_of(sizes.begin(), sizes.end(), [](auto s) { return s >= 0; });
    if (can_be_size) value.size = dim(sizes);
  }
  program_.values.push_back(std::move(value));
  observe(id, lanes[0]);
  return id;
}

ValueId Recorder::sequence_value(const std::vector<c10::IValue>& lanes, ValueId like) {
  std::vector<at::Tensor> elements;
  std::vector<c10::IValue> numbers;
  for (const auto& lane : lanes) {
    for (const auto& element : lane.toListRef()) {
      if (element.isTensor()) elements.push_back(element.toTensor());
      if (element.isScalar()) numbers.push_back(element);
    }
  }
  if (!elements.empty() && elements[0].is_quantized()) {
    throw Error(ErrorKind::unsupported,
                "a list of quantised tensors whose length depends on the inputs");
  }
  for (const at::Tensor& element : elements) {
    if (element.scalar_type() == elements[0].scalar_type()) continue;
    throw Error(ErrorKind::unsupported,
                fmt::format("a list whose length depends on the inputs, of tensors of different "
                            "dtypes ({} and {}): ONNX's sequences have one",
                            c10::toString(elements[0].scalar_type()),
                            c10::toString(element.scalar_type())));
  }
  if (elements.empty() && numbers.empty()) {
    if (like != kNone) {
      program_.values.push_back(Value(program_.values[like]));
      return static_cast<ValueId>(program_.values.size() - 1);
    }
    throw Error(ErrorKind::unsupported,
                "a list whose length depends on the inputs is empty in all examples");
  }
  const ValueId id = elements.empty() ? number_value(numbers) : tensor_value(elements);
  program_.values[id].kind = Kind::sequence;
  observe(id, lanes[0]);
  return id;
}

SchemaId Recorder::schema(const std::string& key, std::vector<std::string> arguments) {
  const auto [found, is_new] =
      schemas_.try_emplace(key, static_cast<SchemaId>(program_.schemas.size()));
  if (is_new) program_.schemas.push_back({key, std::move(arguments), key});
  return found->second;
}

SchemaId Recorder::schema(const c10::FunctionSchema& schema) {
  const std::string key = frontend::key_of(schema);
  if (const auto found = schemas_.find(key); found != schemas_.end()) return found->second;
  std::vector<std::string> arguments;
  for (const auto& argument : schema.arguments()) arguments.push_back(argument.name());
  const SchemaId id = this->schema(key, std::move(arguments));
  program_.schemas[id].text = (std::ostringstream() << schema).str();
  for (const auto& argument : schema.arguments()) {
    program_.schemas[id].types.push_back(argument.type()->str());
  }
  return id;
}

ScopeId Recorder::scope(ScopeId parent, ModuleId module, const std::string& path,
                        const std::string& class_name, const std::string& method) {
  program_.scopes.push_back({parent, module, path, class_name, method});
  return static_cast<ScopeId>(program_.scopes.size() - 1);
}

SourceId Recorder::source(Source frames) {
  std::vector<std::tuple<std::string, int64_t, std::string>> key;
  for (const Frame& frame : frames) key.emplace_back(frame.file, frame.line, frame.function);
  const auto [found, is_new] =
      sources_.try_emplace(std::move(key), static_cast<SourceId>(program_.sources.size()));
  if (is_new) program_.sources.push_back(std::move(frames));
  return found->second;
}

OriginId Recorder::origin(ScopeId scope, SourceId source, const std::string& op) {
  const std::string base = without_namespace(op);
  const int uses = origin_names_[{scope, base}]++;
  program_.origins.push_back(
      {scope, source, op, uses == 0 ? base : fmt::format("{}_{}", base, uses)});
  return static_cast<OriginId>(program_.origins.size() - 1);
}

void Recorder::count_call(ModuleId module) {
  ++program_.modules[module].calls;
  calls_.push_back(module);
}

void Recorder::forget_since(const Mark& mark) {
  program_.scopes.resize(mark.scopes);
  for (; program_.origins.size() > mark.origins; program_.origins.pop_back()) {
    const Origin& last = program_.origins.back();
    --origin_names_[{last.scope, without_namespace(last.op)}];
  }
  for (; calls_.size() > mark.calls; calls_.pop_back()) --program_.modules[calls_.back()].calls;
}

ModuleId Recorder::module_at(const std::string& path) const {
  const auto found = module_paths_.find(path);
  return found == module_paths_.end() ? kNone : found->second;
}

ModuleId Recorder::module_of(const c10::ivalue::Object* object) const {
  const auto found = module_objects_.find(object);
  return found == module_objects_.end() ? kNone : found->second;
}

}  // namespace modelexport::frontend
