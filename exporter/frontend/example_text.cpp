// Examples, signatures and LibTorch's errors in words, for messages.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <sstream>
#include <string_view>

#include "exporter/frontend/examples.h"
#include "exporter/frontend/scalar_type.h"

namespace modelexport::frontend {
namespace {

std::string one_line(const std::string& text) {
  constexpr size_t kLongest = 600;
  std::string line;
  for (const char c : text) {
    if (c != '\n' && c != ' ') {
      line += c;
    } else if (!line.empty() && line.back() != ' ') {
      line += ' ';
    }
  }
  while (line.ends_with(' ')) line.pop_back();
  if (line.size() > kLongest) line = line.substr(0, kLongest) + "...";
  return line;
}

}  // namespace

std::string describe(const c10::FunctionSchema& forward, const Example& example) {
  std::vector<std::string> parts;
  for (const FlatInput& input : flatten(forward, example)) {
    if (input.is_number) continue;
    parts.push_back(fmt::format("{} {}[{}]", input.name, name(dtype_of(input.tensor.scalar_type())),
                                fmt::join(input.tensor.sizes(), ",")));
  }
  for (size_t i = 0; i < example.arguments.size(); ++i) {
    const c10::IValue& argument = example.arguments[i];
    if (!argument.isScalar() && !argument.isString()) continue;
    std::ostringstream text;
    text << forward.arguments()[i + 1].name() << '=' << argument;
    parts.push_back(text.str());
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string signature_text(const c10::FunctionSchema& forward) {
  std::vector<std::string> arguments;
  for (size_t i = 1; i < forward.arguments().size(); ++i) {
    const c10::Argument& argument = forward.arguments()[i];
    std::ostringstream text;
    text << argument.type()->str() << ' ' << argument.name();
    if (argument.default_value()) text << '=' << *argument.default_value();
    arguments.push_back(text.str());
  }
  std::vector<std::string> results;
  for (const c10::Argument& result : forward.returns()) results.push_back(result.type()->str());
  return fmt::format("{}({}) -> {}", forward.name(), fmt::join(arguments, ", "),
                     fmt::join(results, ", "));
}

std::string reason_of(const std::exception& error) {
  const auto* torch_error = dynamic_cast<const c10::Error*>(&error);
  std::string text = torch_error ? torch_error->what_without_backtrace() : error.what();
  // "The following operation failed in the TorchScript interpreter. Traceback ... RuntimeError:
  // <why>"
  if (const size_t trace = text.find("Traceback of TorchScript"); trace != std::string::npos) {
    const size_t why = text.find("Error: ", trace);
    if (why != std::string::npos) text = text.substr(why + 7);
  }
  // "x INTERNAL ASSERT FAILED at "...":7, please report a bug to PyTorch. y"
  constexpr std::string_view kEnd = "please report a bug to PyTorch. ";
  const size_t begin = text.find(" INTERNAL ASSERT FAILED at ");
  if (const size_t end = text.find(kEnd); begin < end && end != std::string::npos) {
    text.replace(begin, end + kEnd.size() - begin, ": ");
  }
  return one_line(text);
}

}  // namespace modelexport::frontend
