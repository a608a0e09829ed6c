#include "tests/ops/compile.h"

#include <ATen/Context.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/frontend/resolver.h>
#include <torch/csrc/jit/runtime/operator.h>
#include <torch/csrc/jit/serialization/pickle.h>

#include <fstream>
#include <limits>
#include <unordered_map>

#include "exporter/error.h"
#include "tests/ops/values.h"

namespace modelexport::ops_test {
namespace {

namespace jit = torch::jit;

// `torch`: the operators of aten, and dtypes by name.
class TorchNamespace : public jit::BuiltinModule {
 public:
  TorchNamespace() : BuiltinModule("aten") {}

  std::shared_ptr<jit::SugaredValue> attr(const jit::SourceRange& where, jit::GraphFunction& method,
                                          const std::string& field) override {
    const auto& dtypes = c10::getStringToDtypeMap();
    const auto dtype = dtypes.find(field);
    if (dtype == dtypes.end()) return BuiltinModule::attr(where, method, field);
    const c10::IValue number(static_cast<int64_t>(dtype->second));
    return std::make_shared<jit::SimpleValue>(method.graph()->insertConstant(number, where));
  }
};

// `ops.NAMESPACE.NAME`.
class OpsNamespace : public jit::SugaredValue {
 public:
  std::string kind() const override { return "namespace of operators"; }
  std::shared_ptr<jit::SugaredValue> attr(const jit::SourceRange&, jit::GraphFunction&,
                                          const std::string& field) override {
    return std::make_shared<jit::BuiltinModule>(field);
  }
};

// The names that saved TorchScript source uses.
struct Resolver : jit::Resolver {
  std::shared_ptr<jit::SugaredValue> resolveValue(const std::string& name,
                                                  jit::GraphFunction& method,
                                                  const jit::SourceRange& where) override {
    if (name == "torch") return std::make_shared<TorchNamespace>();
    if (name == "ops") return std::make_shared<OpsNamespace>();
    if (name == "math") return std::make_shared<jit::BuiltinModule>("aten");
    const double number = name == "inf"   ? std::numeric_limits<double>::infinity()
                          : name == "nan" ? std::numeric_limits<double>::quiet_NaN()
                                          : 0;
    if (number == 0) return nullptr;
    return std::make_shared<jit::SimpleValue>(method.graph()->insertConstant(number, where));
  }
};

at::ScalarType scalar_type(DType dtype) {
  switch (dtype) {
    case DType::boolean:
      return at::kBool;
    case DType::u8:
      return at::kByte;
    case DType::u16:
      return at::kUInt16;
    case DType::u32:
      return at::kUInt32;
    case DType::u64:
      return at::kUInt64;
    case DType::i8:
      return at::kChar;
    case DType::i16:
      return at::kShort;
    case DType::i32:
      return at::kInt;
    case DType::i64:
      return at::kLong;
    case DType::f16:
      return at::kHalf;
    case DType::bf16:
      return at::kBFloat16;
    case DType::f32:
      return at::kFloat;
    case DType::f64:
      return at::kDouble;
    case DType::c64:
      return at::kComplexFloat;
    case DType::c128:
      return at::kComplexDouble;
    default:
      throw Error(ErrorKind::internal, "no such dtype in a case");
  }
}

at::Tensor to_tensor(const HostTensor& host) {
  at::Tensor tensor = at::empty(host.dims, scalar_type(host.dtype));
  if (!host.bytes.empty()) std::memcpy(tensor.data_ptr(), host.bytes.data(), host.bytes.size());
  return tensor;
}

// One argument; takes as many of `values` as it has tensors.
c10::IValue assemble(const InputSpec& spec, const std::vector<HostValue>& values, size_t& next) {
  using Kind = InputSpec::Kind;
  if (spec.kind == Kind::tensor) return to_tensor(values[next++].tensors[0]);
  std::vector<c10::IValue> elements;
  for (const InputSpec& element : spec.elements)
    elements.push_back(assemble(element, values, next));
  if (spec.kind == Kind::tuple) return c10::ivalue::Tuple::create(std::move(elements));
  if (spec.kind == Kind::list) {
    c10::List<at::Tensor> list;
    for (const c10::IValue& element : elements) list.push_back(element.toTensor());
    return list;
  }
  c10::Dict<std::string, at::Tensor> dict;
  for (size_t i = 0; i < elements.size(); ++i) dict.insert(spec.keys[i], elements[i].toTensor());
  return dict;
}

}  // namespace

void switch_off_onednn() { at::globalContext().setUserEnabledMkldnn(false); }

void save_module(const Case& one, uint64_t seed, const std::string& path) {
  jit::Module module("__torch__.Case");
  for (const Weight& weight : one.weights) {
    const at::Tensor tensor = to_tensor(make_tensor(weight.name, weight.spec, 0, seed));
    if (weight.is_parameter)
      module.register_parameter(weight.name, tensor, false);
    else
      module.register_buffer(weight.name, tensor);
  }
  module.define(one.source, std::make_shared<Resolver>());
  module.eval();
  module.save(path);
}

void save_example(const Case& one, const std::vector<HostValue>& values, const std::string& path) {
  std::vector<c10::IValue> arguments;
  size_t next = 0;
  for (const Input& input : one.inputs) arguments.push_back(assemble(input.spec, values, next));
  const std::vector<char> bytes =
      jit::pickle_save(c10::ivalue::Tuple::create(std::move(arguments)));
  std::ofstream(path, std::ios::binary)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

std::set<std::string> registered_operators() {
  std::set<std::string> keys;
  for (const auto& registered : jit::getAllOperators()) {
    const c10::FunctionSchema& schema = registered->schema();
    const std::string& overload = schema.overload_name();
    keys.insert(overload.empty() ? schema.name() : schema.name() + "." + overload);
  }
  return keys;
}

}  // namespace modelexport::ops_test
