#include "exporter/frontend/host_values.h"

#include <ATen/ATen.h>

#include <cstring>

#include "exporter/frontend/complex_pairs.h"
#include "exporter/frontend/scalar_type.h"

namespace modelexport::frontend {
namespace {

HostTensor host_tensor(const std::string& name, const at::Tensor& tensor) {
  const at::Tensor numbers = tensor.is_quantized() ? tensor.int_repr() : tensor.detach();
  const at::Tensor plain = as_pairs(numbers).contiguous();
  HostTensor result{name, dtype_of(plain.scalar_type()), plain.sizes().vec(), {}};
  result.bytes.resize(plain.nbytes());
  if (plain.nbytes() > 0) std::memcpy(result.bytes.data(), plain.const_data_ptr(), plain.nbytes());
  return result;
}

at::Tensor tensor_of(const HostTensor& host, bool is_complex) {
  at::Tensor tensor = at::empty(host.dims, at::TensorOptions(scalar_type_of(host.dtype)));
  if (!host.bytes.empty())
    std::memcpy(tensor.mutable_data_ptr(), host.bytes.data(), host.bytes.size());
  return is_complex ? at::view_as_complex(tensor) : tensor;
}

at::Tensor number_tensor(const c10::IValue& number) {
  const auto dtype = number.isBool()            ? at::kBool
                     : number.isInt()           ? at::kLong
                     : number.isComplexDouble() ? at::kComplexDouble
                                                : at::kDouble;
  return at::scalar_tensor(number.toScalar(), dtype);
}

c10::IValue value_of(const HostTensor& host, const c10::IValue& like) {
  const bool is_complex =
      like.isComplexDouble() || (like.isTensor() && like.toTensor().is_complex());
  const at::Tensor tensor = tensor_of(host, is_complex);
  if (like.isTensor()) return tensor;
  if (like.isBool()) return tensor.item().toBool();
  if (like.isInt()) return tensor.item().toLong();
  if (like.isDouble()) return tensor.item().toDouble();
  return tensor.item().toComplexDouble();
}

}  // namespace

HostValue host_value(const std::string& name, const at::Tensor& tensor) {
  return {name, false, {host_tensor(name, tensor)}};
}

HostValue host_value(const std::string& name, const c10::IValue& value) {
  if (value.isTensor()) return host_value(name, value.toTensor());
  if (!value.isList()) return host_value(name, number_tensor(value));
  HostValue sequence{name, true, {}};
  for (const c10::IValue& element : value.toListRef()) {
    sequence.tensors.push_back(std::move(host_value(name, element).tensors.at(0)));
  }
  return sequence;
}

c10::IValue value_of(const HostValue& host, const c10::IValue& like) {
  if (!like.isList()) return value_of(host.tensors.at(0), like);
  c10::impl::GenericList list(like.toList().elementType());
  const c10::IValue element =
      like.toListRef().empty() ? c10::IValue(at::Tensor()) : like.toListRef()[0];
  for (const HostTensor& tensor : host.tensors) list.push_back(value_of(tensor, element));
  return list;
}

}  // namespace modelexport::frontend
