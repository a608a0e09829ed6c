#include "exporter/onnx/function_text.h"

#include <gtest/gtest.h>

#include "exporter/error.h"

namespace modelexport::onnx {
namespace {

using Names = std::vector<std::string>;

std::string message(const std::string& text) {
  try {
    parse_function(text, 20);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    return error.what();
  }
  return "no error";
}

TEST(FunctionText, SaysWhatTheFunctionTakesAndGives) {
  const ParsedFunction parsed = parse_function(
      R"(<domain: "demo">
         scaled <alpha, beta: float = 1.0> (x, y) => (z) {
           factor = Constant <value_float: float = @alpha> ()
           product = Mul (x, factor)
           z = Add (product, y)
         })",
      20);
  EXPECT_EQ(parsed.function.domain, "demo");
  EXPECT_EQ(parsed.function.name, "scaled");
  EXPECT_EQ(parsed.inputs, (Names{"x", "y"}));
  EXPECT_EQ(parsed.outputs, Names{"z"});
  EXPECT_EQ(parsed.attributes, (Names{"alpha", "beta"}));
  EXPECT_FALSE(parsed.function.proto.empty());
}

TEST(FunctionText, Errors) {
  EXPECT_EQ(message("f (x) => (y) { y = Relu(x) }"),
            "the ONNX function: it has no domain: begin it with <domain: \"...\">");
  EXPECT_EQ(
      message(R"(<domain: "demo"> f (x) => (y) { y = Relu(x) } g (x) => (y) { y = Relu(x) })"),
      "the ONNX function: more text follows its end; one function is expected");
  EXPECT_EQ(message(R"(<domain: "demo", opset_import: ["" : 17]> f (x) => (y) { y = Relu(x) })"),
            "the ONNX function: it imports opset 17, but the model is exported at opset 20; leave "
            "ai.onnx "
            "out of opset_import, or export with --opset 17");
  EXPECT_EQ(message(R"(<domain: "demo"> f (x) => (y) { y = Rleu(x) })"),
            "the ONNX function: No Op registered for Rleu with domain_version of 20");
  EXPECT_NE(message(R"(<domain: "demo"> f (x) => (y) { y = Relu(x) )").find("[ParseError"),
            std::string::npos);
}

}  // namespace
}  // namespace modelexport::onnx
