#include "exporter/lowering/kernels.h"

#include <algorithm>
#include <iterator>
#include <span>
#include <string>

namespace modelexport::lowering {
namespace {

using enum DType;

constexpr DType kFloats[] = {f16, f32, f64};
constexpr DType kSingles[] = {f16, f32};
constexpr DType kSingle[] = {f32};
constexpr DType kReduced[] = {i32, i64, f16, f32, f64};
constexpr DType kExtrema[] = {u8, i8, i32, i64, f16, f32, f64};
constexpr DType kMinMax[] = {u8, u32, u64, i8, i32, i64, f16, f32, f64};
constexpr DType kSelected[] = {u8, u32, i8, i32, i64, f16, f32, f64};
constexpr DType kSorted[] = {u8, i8, i16, i32, i64, f16, f32, f64};
constexpr DType kSigned[] = {i8, i16, i32, i64, f16, f32, f64};
constexpr DType kNumbers[] = {u8, u16, u32, u64, i8, i16, i32, i64, f16, f32, f64};
constexpr DType kAll[] = {boolean, u8, u16, u32, u64, i8, i16, i32, i64, f16, f32, f64};
constexpr DType kCompared[] = {boolean, u8, i8, i32, i64, f16, f32, f64};
constexpr DType kUnique[] = {i8, i64, f32, f64};
constexpr DType kEyes[] = {u64, i32, i64, f16, f32, f64};
constexpr DType kTriangles[] = {boolean, i32, i64, f16, f32, f64};
constexpr DType kRanges[] = {i16, i32, i64, f32, f64};
constexpr DType kNonZero[] = {boolean, u8, i32, i64, f16, f32};
constexpr DType kShifted[] = {u8, u16, u32, u64};
constexpr DType kBits[] = {u8, u16, u32, u64, i8, i16, i32, i64};
constexpr DType kPadded[] = {boolean, u8, u32, u64, i8, i32, i64, f16, f32, f64};
constexpr DType kShuffled[] = {u8, i8, f16, f32, f64};
constexpr DType kResized[] = {u8, i8, i32, f16, f32};

struct Kernel {
  std::string_view op_type;
  std::span<const DType> dtypes;
};

// What the CPU provider of ONNX Runtime 1.32 has at every opset from 17 to 23; sorted. float16
// counts where the runtime inserts the casts itself. What is not listed has kNumbers.
constexpr Kernel kKernels[] = {
    {"Acos", kSingles},
    {"Acosh", kSingles},
    {"AffineGrid", kFloats},
    {"ArgMax", kExtrema},
    {"ArgMin", kExtrema},
    {"Asin", kSingles},
    {"Asinh", kSingles},
    {"Atan", kSingles},
    {"Atanh", kSingles},
    {"AveragePool", kSingles},
    {"BatchNormalization", kFloats},
    {"BitShift", kShifted},
    {"BitwiseAnd", kBits},
    {"BitwiseNot", kBits},
    {"BitwiseOr", kBits},
    {"BitwiseXor", kBits},
    {"Ceil", kFloats},
    {"Celu", kSingle},
    {"Clip", kMinMax},
    {"Col2Im", kSingles},
    {"Compress", kAll},
    {"Conv", kSingles},
    {"ConvTranspose", kSingles},
    {"Cos", kFloats},
    {"Cosh", kSingles},
    {"CumSum", kReduced},
    {"DepthToSpace", kShuffled},
    {"Dropout", kFloats},
    {"Elu", kSingles},
    {"Equal", kAll},
    {"Erf", kSingles},
    {"Exp", kFloats},
    {"Expand", kAll},
    {"EyeLike", kEyes},
    {"Floor", kFloats},
    {"Gelu", kSingles},
    {"GlobalAveragePool", kSingles},
    {"GlobalMaxPool", kSingles},
    {"GridSample", kSingles},
    {"GroupNormalization", kFloats},
    {"HardSigmoid", kSingles},
    {"HardSwish", kSingles},
    {"InstanceNormalization", kSingles},
    {"LayerNormalization", kFloats},
    {"LeakyRelu", kSingles},
    {"Log", kFloats},
    {"LogSoftmax", kFloats},
    {"Max", kMinMax},
    {"MaxPool", kShuffled},
    {"Min", kMinMax},
    {"Mish", kSingles},
    {"Neg", kSigned},
    {"NegativeLogLikelihoodLoss", kFloats},
    {"NonZero", kNonZero},
    {"Pad", kPadded},
    {"Pow", kReduced},
    {"PRelu", kSingles},
    {"Range", kRanges},
    {"Reciprocal", kFloats},
    {"ReduceL1", kReduced},
    {"ReduceL2", kReduced},
    {"ReduceLogSumExp", kReduced},
    {"ReduceMax", kExtrema},
    {"ReduceMean", kReduced},
    {"ReduceMin", kExtrema},
    {"ReduceProd", kReduced},
    {"ReduceSum", kReduced},
    {"ReduceSumSquare", kReduced},
    {"Relu", kFloats},
    {"Resize", kResized},
    {"RMSNormalization", kFloats},
    {"Round", kFloats},
    {"Selu", kSingles},
    {"Sigmoid", kFloats},
    {"Sin", kFloats},
    {"Sinh", kSingles},
    {"Softmax", kFloats},
    {"SoftmaxCrossEntropyLoss", kFloats},
    {"Softplus", kSingles},
    {"Sqrt", kFloats},
    {"Tan", kSingles},
    {"Tanh", kFloats},
    {"TopK", kSorted},
    {"Trilu", kTriangles},
    {"Unique", kUnique},
    {"Where", kSelected},
};

std::span<const DType> dtypes_of(std::string_view op_type) {
  const auto found = std::ranges::find(kKernels, op_type, &Kernel::op_type);
  return found == std::end(kKernels) ? std::span<const DType>(kNumbers) : found->dtypes;
}

// Dtypes that hold the values of `dtype`, nearest first; then the closest ones that nearly do.
std::vector<DType> substitutes(DType dtype) {
  switch (dtype) {
    case boolean:
      return {u8, i32, i64, f32};
    case u8:
      return {i16, i32, i64, u16, u32, f32};
    case i8:
      return {i16, i32, i64, u8, f32};
    case u16:
      return {i32, i64, u32, f32};
    case i16:
      return {i32, i64, u16, f32};
    case u32:
      return {i64, f64};
    case i32:
      return {i64, u32, f64};
    case u64:
      return {i64, f64};
    case i64:
      return {u64, f64};
    case f16:
    case bf16:
    case f8_e4m3fn:
    case f8_e5m2:
      return {f32};
    case f32:
      return {f64};
    case f64:
      return {f32};
    default:
      return {};
  }
}

}  // namespace

DType kernel_dtype(std::string_view op_type, DType dtype) {
  const std::span<const DType> kernels = dtypes_of(op_type);
  const auto has = [&](DType d) { return std::ranges::find(kernels, d) != kernels.end(); };
  if (has(dtype)) return dtype;
  const std::vector<DType> candidates = substitutes(dtype);
  const auto found = std::ranges::find_if(candidates, has);
  if (found == candidates.end()) {
    throw Unsupported{std::string(name(dtype)) + " tensors: ONNX has no " + std::string(op_type) +
                      " for them"};
  }
  return *found;
}

std::vector<V> run_many(Call& c, std::string_view op_type, std::vector<V> inputs, size_t outputs,
                        Attributes attributes) {
  const DType dtype = c.dtype_of(inputs[op_type == "Where" ? 1 : 0]);
  const DType compute = kernel_dtype(op_type, dtype);
  for (size_t i = op_type == "Where" ? 1 : 0; i < inputs.size(); ++i) {
    V& input = inputs[i];
    if (input != kOmitted && c.dtype_of(input) == dtype) input = c.cast(input, compute);
  }
  std::vector<V> results = c.nodes(op_type, std::move(inputs), outputs, std::move(attributes));
  if (c.dtype_of(results[0]) == compute) results[0] = c.cast(results[0], dtype);
  return results;
}

V run(Call& c, std::string_view op_type, std::vector<V> inputs, Attributes attributes) {
  return run_many(c, op_type, std::move(inputs), 1, std::move(attributes))[0];
}

V reduce(Call& c, std::string_view op_type, V x, const std::vector<int64_t>& axes, bool keepdim) {
  Attributes attributes{attr("keepdims", keepdim)};
  std::vector<V> inputs{x};
  // A rank-0 tensor has no axis 0 in ONNX; without axes it is reduced to itself.
  const bool scalar = c.has_shape(x) && c.rank(x) == 0;
  if (!axes.empty() && !scalar) {
    if (c.opset() >= 18 || op_type == "ReduceSum") {
      inputs.push_back(c.constant_ints(axes));
    } else {
      attributes.push_back(attr("axes", axes));
    }
  }
  return run(c, op_type, std::move(inputs), std::move(attributes));
}

V filled(Call& c, V value) {
  if (c.dtype_of(value) != bf16) return c.expand(value, c.out_shape());
  return c.cast(c.expand(c.cast(value, f32), c.out_shape()), bf16);
}

V filled(Call& c, double value) { return filled(c, c.constant(value, c.out_dtype())); }

void ignore_all_but(Call& c, std::initializer_list<std::string_view> names) {
  for (const std::string& argument : c.program().schemas[c.op().schema].arguments) {
    if (std::ranges::find(names, argument) == names.end()) c.ignore({argument});
  }
}

}  // namespace modelexport::lowering
