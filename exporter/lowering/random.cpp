// Random numbers, and dropout. They follow PyTorch's distributions, not its generator.
#include <cmath>
#include <limits>
#include <string>

#include "exporter/lowering/expression.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/reduction.h"
#include "exporter/lowering/registry.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

// The dtype random numbers are drawn in for a result of `dtype`.
DType drawn_dtype(DType dtype) { return dtype == DType::f64 ? DType::f64 : DType::f32; }

// Random numbers of the observed shape: `like` is any value of that shape, or omitted if there is
// none.
Expr drawn(Call& c, std::string_view kind, V like, Attributes attributes) {
  const DType dtype = drawn_dtype(c.out_dtype());
  attributes.push_back(attr("dtype", dtype));
  const std::string op_type = std::string("Random") + std::string(kind);
  if (is_static(c.out_shape())) {
    attributes.push_back(attr("shape", c.out_shape()));
    return Expr(c, c.typed(c.node(op_type, {}, std::move(attributes)), dtype, c.out_shape()));
  }
  if (like == kOmitted) like = c.expand(c.constant(0.0, DType::f32), c.out_shape());
  V found = c.node(op_type + "Like", {like}, std::move(attributes));
  return Expr(c, c.typed(found, dtype, c.out_shape()));
}

Expr uniform(Call& c, V like, double low = 0.0, double high = 1.0) {
  return drawn(c, "Uniform", like, {attr("low", low), attr("high", high)});
}

Expr normal(Call& c, V like, double mean = 0.0, double std = 1.0) {
  return drawn(c, "Normal", like, {attr("mean", mean), attr("scale", std)});
}

// The same with the arguments `mean` and `std`.
Expr normal_of_arguments(Call& c, V like) {
  const DType dtype = drawn_dtype(c.out_dtype());
  Expr mean = number(c, "mean", dtype), std = number(c, "std", dtype);
  if (mean.is_number() && std.is_number()) return normal(c, like, mean.number(), std.number());
  return mean + std * normal(c, like);
}

// Uniform in (0, 1): log() of it is finite.
Expr open_uniform(Call& c, V like) { return uniform(c, like, 1e-38, 1.0); }

// aten::rand(SymInt[] size, *, ScalarType? dtype=None...) -> Tensor
V rand(Call& c) {
  ignore_all_but(c, {});
  return result(c, uniform(c, kOmitted));
}

// aten::rand_like(Tensor self, *, ScalarType? dtype=None...) -> Tensor
V rand_like(Call& c) {
  ignore_all_but(c, {"self"});
  return result(c, uniform(c, c.tensor("self")));
}

// aten::randn(SymInt[] size, *, ScalarType? dtype=None...) -> Tensor
V randn(Call& c) {
  ignore_all_but(c, {});
  return result(c, normal(c, kOmitted));
}

// aten::randn_like(Tensor self, *, ScalarType? dtype=None...) -> Tensor
V randn_like(Call& c) {
  ignore_all_but(c, {"self"});
  return result(c, normal(c, c.tensor("self")));
}

// aten::uniform(Tensor self, float from=0., float to=1., *, Generator? generator=None) -> Tensor
V uniform_between(Call& c) {
  c.ignore({"generator"});
  V self = c.tensor("self");
  const DType dtype = drawn_dtype(c.out_dtype());
  Expr from = number(c, "from", dtype), to = number(c, "to", dtype);
  if (from.is_number() && to.is_number())
    return result(c, uniform(c, self, from.number(), to.number()));
  return result(c, from + uniform(c, self) * (to - from));
}

// aten::normal_functional(Tensor self, float mean=0., float std=1., *,
//    Generator? generator=None) -> Tensor
V normal_like(Call& c) {
  c.ignore({"generator"});
  return result(c, normal_of_arguments(c, c.tensor("self")));
}

// aten::normal.float_float(float mean, float std, SymInt[] size, *,
//    Generator? generator=None...) -> Tensor
V normal_of_size(Call& c) {
  ignore_all_but(c, {"mean", "std"});
  return result(c, normal_of_arguments(c, kOmitted));
}

// aten::normal.Tensor_Tensor(Tensor mean, Tensor std, *, Generator? generator=None) -> Tensor
V normal_of_tensors(Call& c) {
  c.ignore({"generator"});
  const DType dtype = drawn_dtype(c.out_dtype());
  Expr mean(c, c.tensor("mean", dtype)), std(c, c.tensor("std", dtype));
  return result(c, mean + std * normal(c, kOmitted));
}

// aten::log_normal(Tensor self, float mean=1., float std=2., *,
//    Generator? generator=None) -> Tensor
V log_normal(Call& c) {
  c.ignore({"generator"});
  return result(c, exp(normal_of_arguments(c, c.tensor("self"))));
}

// aten::exponential(Tensor self, float lambd=1., *, Generator? generator=None) -> Tensor
V exponential(Call& c) {
  c.ignore({"generator"});
  Expr logs = log(open_uniform(c, c.tensor("self")));
  return result(c, logs / -number(c, "lambd", logs.dtype()));
}

// aten::geometric(Tensor self, float p, *, Generator? generator=None) -> Tensor
V geometric(Call& c) {
  c.ignore({"generator"});
  Expr trials = log(open_uniform(c, c.tensor("self"))) / std::log1p(-c.number("p"));
  return result(c, apply("Ceil", trials));
}

// aten::cauchy(Tensor self, float median=0., float sigma=1., *,
//    Generator? generator=None) -> Tensor
V cauchy(Call& c) {
  c.ignore({"generator"});
  Expr angle = M_PI * (uniform(c, c.tensor("self")) - 0.5);
  Expr median = number(c, "median", angle.dtype()), sigma = number(c, "sigma", angle.dtype());
  return result(c, median + sigma * (sin(angle) / cos(angle)));
}

V random_integers(Call& c, V like, Expr low, Expr high) {
  Expr span = high - low;
  return result(c, low + minimum(floor(uniform(c, like) * span), span - 1.0));
}

Expr bound(Call& c, std::string_view name) {
  return Expr(c, c.scalar(name, drawn_dtype(c.out_dtype())));
}

Expr bound(Call& c, double value) { return Expr(c, c.constant(value, drawn_dtype(c.out_dtype()))); }

// aten::randint(SymInt high, SymInt[] size, *, ScalarType? dtype=4...) -> Tensor
V randint(Call& c) {
  ignore_all_but(c, {"high"});
  return random_integers(c, kOmitted, bound(c, 0.0), bound(c, "high"));
}

// aten::randint.low(SymInt low, SymInt high, SymInt[] size, *, ScalarType? dtype=4...) -> Tensor
V randint_low(Call& c) {
  ignore_all_but(c, {"low", "high"});
  Expr low = bound(c, "low");
  return random_integers(c, kOmitted, low, bound(c, "high"));
}

// aten::randint_like(Tensor self, SymInt high, *, ScalarType? dtype=None...) -> Tensor
V randint_like(Call& c) {
  ignore_all_but(c, {"self", "high"});
  return random_integers(c, c.tensor("self"), bound(c, 0.0), bound(c, "high"));
}

// aten::randint_like.low_dtype(Tensor self, SymInt low, SymInt high, *,
//    ScalarType? dtype=None...) -> Tensor
V randint_like_low(Call& c) {
  ignore_all_but(c, {"self", "low", "high"});
  Expr low = bound(c, "low");
  return random_integers(c, c.tensor("self"), low, bound(c, "high"));
}

// aten::random.from(Tensor self, int from, int? to, *, Generator? generator=None) -> Tensor
V random_from(Call& c) {
  c.ignore({"generator"});
  if (c.is_none("to")) throw Unsupported{"random integers without an upper bound"};
  Expr from = bound(c, "from");
  return random_integers(c, c.tensor("self"), from, bound(c, "to"));
}

// aten::random.to(Tensor self, int to, *, Generator? generator=None) -> Tensor
V random_to(Call& c) {
  c.ignore({"generator"});
  return random_integers(c, c.tensor("self"), bound(c, 0.0), bound(c, "to"));
}

// aten::randperm(SymInt n, *, ScalarType? dtype=4...) -> Tensor: the order of random numbers
V randperm(Call& c) {
  ignore_all_but(c, {"n"});
  Expr keys = uniform(c, kOmitted);
  const std::vector<V> found = c.nodes("TopK", {keys, c.int_list("n")}, 2, {attr("axis", 0)});
  return c.cast(c.typed(found[1], DType::i64), c.out_dtype());
}

// 1 with the probabilities given. (ONNX Runtime's Bernoulli gives 0 with them.)
V bernoulli_of(Call& c, V probabilities) {
  Expr p(c, c.cast(probabilities, drawn_dtype(c.out_dtype())));
  return c.cast(uniform(c, p) < p, c.out_dtype());
}

// aten::bernoulli(Tensor self, *, Generator? generator=None) -> Tensor
V bernoulli(Call& c) {
  c.ignore({"generator"});
  return bernoulli_of(c, c.tensor("self"));
}

// aten::bernoulli.p(Tensor self, float p, *, Generator? generator=None) -> Tensor
// aten::bernoulli.Tensor(Tensor self, Tensor p, *, Generator? generator=None) -> Tensor
V bernoulli_p(Call& c) {
  c.ignore({"self", "generator"});
  V p = c.tensor("p", drawn_dtype(c.out_dtype()));
  return bernoulli_of(c, c.expand(p, c.out_shape()));
}

// aten::multinomial(Tensor self, SymInt num_samples, bool replacement=False, *,
//    Generator? generator=None) -> Tensor
V multinomial(Call& c) {
  c.ignore({"generator"});
  Expr logits = log(Expr(c, c.tensor("self", DType::f32)));
  const int64_t rank = c.rank(logits);
  if (!c.boolean("replacement")) {  // the largest of Gumbel-perturbed logits
    V noise = c.node("RandomUniformLike", {logits},
                     {attr("low", 1e-38), attr("high", 1.0), attr("dtype", DType::f32)});
    Expr keys = logits - log(-log(Expr(c, c.typed(noise, DType::f32))));
    return c.nodes("TopK", {keys, c.int_list("num_samples")}, 2, {attr("axis", rank - 1)})[1];
  }
  V rows = rank == 1 ? c.unsqueeze(logits, {0}) : V(logits);
  V found = c.node("Multinomial", {rows},
                   {attr("sample_size", c.integer("num_samples")), attr("dtype", DType::i64)});
  return rank == 1 ? c.squeeze(found, {0}) : found;
}

// ---- dropout -----------------------------------------------------------------------------------

std::vector<V> dropped(Call& c, V input) {
  V ratio = c.scalar("p", DType::f32);
  return run_many(c, "Dropout", {input, ratio, c.constant_int(1, DType::boolean)}, 2);
}

// aten::dropout(Tensor input, float p, bool train) -> Tensor
V dropout(Call& c) {
  V input = c.tensor("input");
  if (c.boolean("train")) return dropped(c, input)[0];
  c.ignore({"p"});
  return input;
}

// aten::native_dropout(Tensor input, float p, bool? train) -> (Tensor, Tensor)
std::vector<V> native_dropout(Call& c) {
  V input = c.tensor("input");
  if (c.is_none("train") || c.boolean("train")) return dropped(c, input);
  c.ignore({"p"});
  return {input, c.expand(c.constant_int(1, DType::boolean), c.out_shape(1))};
}

// aten::alpha_dropout(Tensor input, float p, bool train) -> Tensor, and of whole features
V other_dropout(Call& c) {
  const bool active = c.boolean("train") && !is(number(c, "p", DType::f32), 0.0);
  if (active) throw Unsupported{"training mode of this dropout; export the module after eval()"};
  c.ignore({"p"});
  return c.tensor("input");
}

constexpr Row kRows[] = {
    {"aten::alpha_dropout", other_dropout},
    {"aten::bernoulli", bernoulli},
    {"aten::bernoulli.Tensor", bernoulli_p},
    {"aten::bernoulli.p", bernoulli_p},
    {"aten::cauchy", cauchy},
    {"aten::dropout", dropout},
    {"aten::exponential", exponential},
    {"aten::feature_alpha_dropout", other_dropout},
    {"aten::feature_dropout", other_dropout},
    {"aten::geometric", geometric},
    {"aten::log_normal", log_normal},
    {"aten::multinomial", multinomial},
    {"aten::native_dropout", native_dropout},
    {"aten::normal.Tensor_Tensor", normal_of_tensors},
    {"aten::normal.Tensor_float", normal_of_tensors},
    {"aten::normal.float_Tensor", normal_of_tensors},
    {"aten::normal.float_float", normal_of_size},
    {"aten::normal_functional", normal_like},
    {"aten::rand", rand},
    {"aten::rand.generator", rand},
    {"aten::rand_like", rand_like},
    {"aten::rand_like.generator", rand_like},
    {"aten::randint", randint},
    {"aten::randint.generator", randint},
    {"aten::randint.low", randint_low},
    {"aten::randint.low_generator", randint_low},
    {"aten::randint_like", randint_like},
    {"aten::randint_like.Tensor", randint_like},
    {"aten::randint_like.Tensor_generator", randint_like},
    {"aten::randint_like.generator", randint_like},
    {"aten::randint_like.low_dtype", randint_like_low},
    {"aten::randint_like.low_generator_dtype", randint_like_low},
    {"aten::randn", randn},
    {"aten::randn.generator", randn},
    {"aten::randn_like", randn_like},
    {"aten::randn_like.generator", randn_like},
    {"aten::random.from", random_from},
    {"aten::random.to", random_to},
    {"aten::randperm", randperm},
    {"aten::randperm.generator", randperm},
    {"aten::uniform", uniform_between},
};

}  // namespace

std::span<const Row> random_table() { return kRows; }

}  // namespace modelexport::lowering
