#include "exporter/frontend/registered.h"

#include <ATen/core/dispatch/Dispatcher.h>

#include <algorithm>

#include "exporter/frontend/decomposition.h"
#include "exporter/frontend/recorder.h"

namespace modelexport::frontend {
namespace {

bool is_in_place(const std::string& name) { return name.ends_with("_") && !name.ends_with("__"); }

bool runs_on_cpu(const c10::OperatorHandle& op) {
  return op.hasKernelForDispatchKey(c10::DispatchKey::CPU) ||
         op.hasKernelForDispatchKey(c10::DispatchKey::QuantizedCPU) ||
         op.hasKernelForDispatchKey(c10::DispatchKey::CompositeImplicitAutograd) ||
         op.hasKernelForDispatchKey(c10::DispatchKey::CompositeExplicitAutograd) ||
         op.hasKernelForDispatchKey(c10::DispatchKey::CompositeExplicitAutogradNonFunctional);
}

bool makes_tensors(const c10::FunctionSchema& schema) {
  return std::any_of(schema.returns().begin(), schema.returns().end(), [](const auto& result) {
    return result.type()->isSubtypeOf(*c10::TensorType::get()) ||
           result.type()->isSubtypeOf(*c10::ListType::ofTensors());
  });
}

}  // namespace

std::vector<RegisteredOperator> functional_operators() {
  std::vector<RegisteredOperator> result;
  auto& dispatcher = c10::Dispatcher::singleton();
  for (const c10::OperatorName& name : dispatcher.getAllOpNames()) {
    const auto op = dispatcher.findSchema(name);
    const bool is_public = name.name.starts_with("aten::") || name.name.starts_with("quantized::");
    if (!op || !is_public) continue;
    const c10::FunctionSchema& schema = op->schema();
    if (schema.is_mutable() || is_in_place(name.name)) continue;
    result.push_back({key_of(schema), is_composite(*op), runs_on_cpu(*op), makes_tensors(schema)});
  }
  std::sort(result.begin(), result.end(),
            [](const auto& a, const auto& b) { return a.key < b.key; });
  return result;
}

}  // namespace modelexport::frontend
