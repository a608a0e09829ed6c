#include "exporter/onnx/function_text.h"

#include <fmt/format.h>
#include <onnx/checker.h>
#include <onnx/defs/parser.h>
#include <onnx/onnx_pb.h>

#include <unordered_map>

#include "exporter/error.h"

namespace modelexport::onnx {
namespace {

namespace pb = ::onnx;

[[noreturn]] void fail(const std::string& what) {
  throw Error(ErrorKind::usage, "the ONNX function: " + what);
}

// onnx allows a function to import another opset than its model only where nothing it uses differs.
void import_opset(pb::FunctionProto& function, int opset) {
  for (const auto& import : function.opset_import()) {
    if (!import.domain().empty() && import.domain() != "ai.onnx") continue;
    if (import.version() == opset) return;
    fail(
        fmt::format("it imports opset {}, but the model is exported at opset {}; leave ai.onnx out "
                    "of opset_import, or export with --opset {}",
                    import.version(), opset, import.version()));
  }
  pb::OperatorSetIdProto* import = function.add_opset_import();
  import->set_domain("");
  import->set_version(opset);
}

void check(const pb::FunctionProto& function) {
  pb::checker::CheckerContext context;
  std::unordered_map<std::string, int> opsets;
  for (const auto& import : function.opset_import()) {
    opsets[import.domain()] = static_cast<int>(import.version());
  }
  context.set_ir_version(pb::IR_VERSION);
  context.set_opset_imports(opsets);
  pb::checker::check_function(function, context, pb::checker::LexicalScopeContext());
}

}  // namespace

ParsedFunction parse_function(const std::string& text, int opset) {
  pb::FunctionProto function;
  pb::OnnxParser parser(text.c_str());
  const auto status = parser.Parse(function);
  if (!status.IsOK()) fail(status.ErrorMessage());
  if (!parser.EndOfInput()) fail("more text follows its end; one function is expected");
  if (function.domain().empty()) fail("it has no domain: begin it with <domain: \"...\">");
  import_opset(function, opset);
  try {
    check(function);
  } catch (const std::exception& error) {
    fail(error.what());
  }
  ParsedFunction parsed{.function = {.domain = function.domain(), .name = function.name()},
                        .inputs = {function.input().begin(), function.input().end()},
                        .outputs = {function.output().begin(), function.output().end()},
                        .attributes = {function.attribute().begin(), function.attribute().end()}};
  for (const auto& attribute : function.attribute_proto()) {
    parsed.attributes.push_back(attribute.name());
  }
  parsed.function.proto = function.SerializeAsString();
  return parsed;
}

}  // namespace modelexport::onnx
