#include "exporter/lowering/infer.h"

#include <unordered_map>

#include "exporter/lowering/infer_rules.h"

namespace modelexport::lowering {
namespace {

using namespace rules;

using Rule = Type (*)(const Node&);

constexpr Rule same = [](const Node& n) { return n.same(); };
constexpr Rule unknown_shape = [](const Node& n) { return tensor(n.dtype(0)); };
constexpr Rule integers = [](const Node&) { return tensor(DType::i64); };
constexpr Rule floats_by_attribute = [](const Node& n) {
  return tensor(n.dtype_attribute("dtype", DType::f32), n.list("shape"));
};
constexpr Rule like = [](const Node& n) {
  return tensor(n.dtype_attribute("dtype", n.dtype(0)), n.shape(0));
};

const std::unordered_map<std::string_view, Rule>& rule_table() {
  static const std::unordered_map<std::string_view, Rule> kRules = [] {
    std::unordered_map<std::string_view, Rule> rules;
    for (std::string_view op : {"Abs",
                                "Acos",
                                "Acosh",
                                "Asin",
                                "Asinh",
                                "Atan",
                                "Atanh",
                                "BitwiseNot",
                                "Ceil",
                                "Celu",
                                "Clip",
                                "Cos",
                                "Cosh",
                                "CumSum",
                                "Elu",
                                "Erf",
                                "Exp",
                                "Floor",
                                "Gelu",
                                "GroupNormalization",
                                "HardSigmoid",
                                "HardSwish",
                                "Hardmax",
                                "Identity",
                                "InstanceNormalization",
                                "LRN",
                                "LayerNormalization",
                                "LeakyRelu",
                                "Log",
                                "LogSoftmax",
                                "LpNormalization",
                                "MeanVarianceNormalization",
                                "Mish",
                                "Neg",
                                "PRelu",
                                "RMSNormalization",
                                "Reciprocal",
                                "Relu",
                                "ReverseSequence",
                                "RotaryEmbedding",
                                "Round",
                                "ScatterElements",
                                "ScatterND",
                                "Selu",
                                "Shrink",
                                "Sigmoid",
                                "Sign",
                                "Sin",
                                "Sinh",
                                "Softmax",
                                "Softplus",
                                "Softsign",
                                "Sqrt",
                                "Swish",
                                "Tan",
                                "Tanh",
                                "ThresholdedRelu",
                                "Trilu",
                                "BatchNormalization",
                                "Dropout",
                                "SequenceInsert",
                                "SequenceErase",
                                "TensorScatter"}) {
      rules.emplace(op, same);
    }
    for (std::string_view op : {"Add", "Sub", "Mul", "Div", "Pow", "Mod", "Min", "Max", "Sum",
                                "Mean", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "BitShift"}) {
      rules.emplace(op, elementwise);
    }
    for (std::string_view op : {"Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "And",
                                "Or", "Xor", "Not", "IsNaN", "IsInf"}) {
      rules.emplace(op, predicate);
    }
    for (std::string_view op :
         {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2",
          "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"}) {
      rules.emplace(op, reduce);
    }
    for (std::string_view op : {"NonZero", "NonMaxSuppression"}) rules.emplace(op, integers);
    for (std::string_view op : {"RandomNormal", "RandomUniform"}) {
      rules.emplace(op, floats_by_attribute);
    }
    for (std::string_view op : {"RandomNormalLike", "RandomUniformLike", "Bernoulli", "EyeLike"}) {
      rules.emplace(op, like);
    }
    rules.insert({
        {"ArgMax", arg_reduce},
        {"ArgMin", arg_reduce},
        {"Cast",
         [](const Node& n) { return tensor(n.dtype_attribute("to", DType::f32), n.shape(0)); }},
        {"CastLike", [](const Node& n) { return tensor(n.dtype(1), n.shape(0)); }},
        {"Concat", concat},
        {"ConcatFromSequence", unknown_shape},
        {"ConstantOfShape", constant_of_shape},
        {"DequantizeLinear", [](const Node& n) { return tensor(n.dtype(1), n.shape(0)); }},
        {"DynamicQuantizeLinear", [](const Node& n) { return tensor(DType::u8, n.shape(0)); }},
        {"Expand", expand},
        {"Gather", gather},
        {"GatherElements", gather_elements},
        {"Gemm", gemm},
        {"MatMul", matmul},
        {"MatMulInteger", [](const Node& n) { return tensor(DType::i32, matmul(n).shape); }},
        {"ConvInteger", [](const Node&) { return tensor(DType::i32); }},
        {"Multinomial",
         [](const Node& n) { return tensor(n.dtype_attribute("dtype", DType::i32)); }},
        {"OneHot", [](const Node& n) { return tensor(n.dtype(2)); }},
        {"QuantizeLinear",
         [](const Node& n) { return tensor(n.has(2) ? n.dtype(2) : DType::u8, n.shape(0)); }},
        {"Reshape", reshape},
        {"SequenceAt", sequence_at},
        {"SequenceConstruct", sequence_of},
        {"SequenceEmpty", sequence_of},
        {"SequenceLength", [](const Node&) { return tensor(DType::i64, Shape{}); }},
        {"Shape", shape_op},
        {"Size", [](const Node&) { return tensor(DType::i64, Shape{}); }},
        {"Slice", slice},
        {"SplitToSequence",
         [](const Node& n) {
           return Type{Kind::sequence, n.dtype(0), {}};
         }},
        {"Squeeze", squeeze},
        {"Transpose", transpose},
        {"Unsqueeze", unsqueeze},
        {"Where", where},
    });
    return rules;
  }();
  return kRules;
}

// Further outputs whose dtype is not that of the first input.
DType further_output(std::string_view op_type, size_t index, DType first) {
  if (op_type == "TopK" || op_type == "Unique" || op_type == "MaxPool") return DType::i64;
  if (op_type == "Dropout") return DType::boolean;
  if (op_type == "DynamicQuantizeLinear") return index == 1 ? DType::f32 : DType::u8;
  return first;
}

}  // namespace

std::vector<Type> infer(const InferenceInput& input, size_t outputs) {
  const Node node(input);
  const auto rule = rule_table().find(input.op_type);
  std::vector<Type> types(outputs);
  for (size_t i = 0; i < outputs; ++i) {
    if (input.op_type == "Loop") {  // as the carried values begin; their shapes may change
      types[i] = {node.same(i + 2).kind, node.dtype(i + 2), std::nullopt};
    } else if (i > 0) {
      types[i] = tensor(further_output(input.op_type, i, node.dtype(0)));
    } else {
      types[i] = rule != rule_table().end() ? rule->second(node) : unknown_shape(node);
    }
  }
  return types;
}

}  // namespace modelexport::lowering
