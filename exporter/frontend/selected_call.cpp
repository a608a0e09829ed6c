#include "exporter/frontend/selected_call.h"

#include <fmt/format.h>

#include <map>
#include <optional>

#include "exporter/error.h"
#include "exporter/frontend/host_values.h"
#include "exporter/frontend/value_paths.h"

namespace modelexport::frontend {
namespace {

// The first port that holds the same value of the program, by the name of each.
std::map<std::string, std::string> representatives(const std::vector<Port>& ports) {
  std::map<ValueId, std::string> first;
  std::map<std::string, std::string> names;
  for (const Port& port : ports) {
    names[port.name] = first.try_emplace(port.value, port.name).first->second;
  }
  return names;
}

}  // namespace

const c10::FunctionSchema& SelectedCall::schema() const {
  return object->type()->getMethod(method).getSchema();
}

std::vector<HostValue> SelectedCall::inputs(const std::vector<Port>& ports, size_t example) const {
  const std::map<std::string, std::string> names = representatives(ports);
  std::map<std::string, HostValue> found;
  const auto note = [&](const std::string& name,
                        const c10::IValue& value) -> std::optional<c10::IValue> {
    const auto port = names.find(name);
    if (port == names.end()) return std::nullopt;
    if (port->second == name) found.emplace(name, host_value(name, value));
    return value;
  };
  const auto& formals = schema().arguments();
  for (size_t i = 0; i < arguments.at(example).size(); ++i)
    rebuild(arguments[example][i], formals.at(i + 1).name(), note);
  std::vector<HostValue> inputs;
  for (const Port& port : ports) {
    const auto at = found.find(port.name);
    if (at != found.end()) inputs.push_back(std::move(at->second));
    found.erase(port.name);
  }
  return inputs;
}

std::vector<c10::IValue> SelectedCall::with_inputs(const std::vector<Port>& ports,
                                                   const std::vector<HostValue>& inputs) const {
  const std::map<std::string, std::string> names = representatives(ports);
  std::map<std::string, const HostValue*> given;
  for (const HostValue& input : inputs) given.emplace(input.name, &input);
  const auto replace = [&](const std::string& name,
                           const c10::IValue& value) -> std::optional<c10::IValue> {
    const auto port = names.find(name);
    if (port == names.end()) return std::nullopt;
    const auto at = given.find(port->second);
    if (at == given.end())
      throw Error(ErrorKind::internal, fmt::format("no value for input {}", port->second));
    return value_of(*at->second, value);
  };
  const auto& formals = schema().arguments();
  std::vector<c10::IValue> result;
  for (size_t i = 0; i < arguments.at(0).size(); ++i)
    result.push_back(rebuild(arguments[0][i], formals.at(i + 1).name(), replace));
  return result;
}

}  // namespace modelexport::frontend
