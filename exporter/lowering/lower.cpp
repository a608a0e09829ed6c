#include "exporter/lowering/lower.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>

#include "exporter/error.h"
#include "exporter/graph/dtype_onnx.h"
#include "exporter/graph/verify.h"
#include "exporter/lowering/builder.h"
#include "exporter/lowering/call.h"
#include "exporter/lowering/complex_program.h"
#include "exporter/lowering/liveness.h"
#include "exporter/lowering/registry.h"

namespace modelexport::lowering {
namespace {

#ifdef NDEBUG
constexpr bool kDebug = false;
#else
constexpr bool kDebug = true;
#endif

bool same_size(Dim a, Dim b) { return a == b || !is_static(a) || !is_static(b); }

std::string to_text(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ",")); }

class Driver {
 public:
  Driver(const Program& program, const Options& options)
      : program_(program),
        builder_(program, options.opset),
        live_(live_operators(program, builder_.flow())) {
    builder_.lower_ops = [this](const Block& block) {
      const OriginId outer = builder_.origin();
      lower_ops(block);
      builder_.set_origin(outer);
    };
  }

  Result run() {
    lower_ops(program_.body);
    Result result{builder_.finish(), std::move(unsupported_)};
    if (kDebug && result.unsupported.empty()) graph::verify(result.graph, program_, "lowering");
    return result;
  }

 private:
  void lower_ops(const Block& block) {
    for (const Op& op : block.ops) {
      if (live_.contains(&op)) lower_op(op);
    }
  }

  void lower_op(const Op& op) {
    const std::string& key = program_.schemas[op.schema].key;
    if (bind_empty(op)) return;
    const Row* row = find_row(program_, op);
    if (!row) return leave_out(op, find(key) ? "no lowering for complex tensors" : "no lowering");
    const size_t depth = builder_.depth();
    const size_t first_new = builder_.value_count();
    try {
      Call call(builder_, program_, op);
      builder_.set_origin(op.origin);
      std::vector<V> results = call_lowering(*row, call);
      check_arguments(call);
      bind_results(op, call, std::move(results), first_new);
    } catch (const Unsupported& unsupported) {
      builder_.unwind(depth);
      leave_out(op, unsupported.reason);
    } catch (const std::exception& error) {
      throw Error(ErrorKind::internal,
                  fmt::format("lowering {} in {}: {}", key, place(op.origin), error.what()));
    }
  }

  // Results that never have an element need no operator.
  bool bind_empty(const Op& op) {
    const auto is_empty = [&](modelexport::ValueId id) {
      if (id == kNone) return true;
      const modelexport::Value& value = program_.values[id];
      return value.kind == Kind::tensor && is_static(value.shape) &&
             element_count(value.shape) == 0;
    };
    if (op.outputs.empty() || !op.blocks.empty() || !std::ranges::all_of(op.outputs, is_empty)) {
      return false;
    }
    for (modelexport::ValueId id : op.outputs) {
      if (id == kNone || builder_.is_free(id)) continue;
      const modelexport::Value& value = program_.values[id];
      builder_.bind(id, builder_.constant(value.dtype, value.shape, ""));
    }
    return true;
  }

  static std::vector<V> call_lowering(const Row& row, Call& call) {
    if (const auto* one = std::get_if<LowerOne>(&row.lower)) return {(*one)(call)};
    return std::get<LowerMany>(row.lower)(call);
  }

  static void check_arguments(const Call& call) {
    const std::vector<std::string> unread = call.unread();
    if (unread.empty()) return;
    throw Error(ErrorKind::internal, fmt::format("argument '{}' is neither read nor ignored",
                                                 fmt::join(unread, "', '")));
  }

  void bind_results(const Op& op, Call& call, std::vector<V> results, size_t first_new) {
    if (results.size() != op.outputs.size()) {
      throw Error(ErrorKind::internal,
                  fmt::format("{} results instead of {}", results.size(), op.outputs.size()));
    }
    for (size_t i = 0; i < results.size(); ++i) {
      if (op.outputs[i] == kNone) continue;
      if (results[i] == kOmitted) {
        throw Error(ErrorKind::internal, fmt::format("no value for result {}", i));
      }
      const V value = observed(call, results[i], program_.values[op.outputs[i]], first_new);
      builder_.bind(op.outputs[i], value);
    }
  }

  // Gives a value that this call made the type that was observed, and holds its inferred type
  // against that: a difference is a defect of the lowering, which a release build makes up for with
  // a Cast.
  V observed(Call& call, V value, const modelexport::Value& expected, size_t first_new) {
    if (expected.kind == Kind::sequence) {
      builder_.at(value).dtype = expected.dtype;
      builder_.at(value).kind = Kind::sequence;
      return value;
    }
    const graph::Value inferred = builder_.at(value);
    if (graph::onnx_number(inferred.dtype) != graph::onnx_number(expected.dtype)) {
      if (kDebug) {
        throw Error(ErrorKind::internal, fmt::format("the result is {}, but {} was observed",
                                                     name(inferred.dtype), name(expected.dtype)));
      }
      value = call.cast(value, expected.dtype);
    }
    if (kDebug && inferred.shape &&
        !std::equal(inferred.shape->begin(), inferred.shape->end(), expected.shape.begin(),
                    expected.shape.end(), same_size)) {
      throw Error(ErrorKind::internal,
                  fmt::format("the result has shape {}, but {} was observed",
                              to_text(*inferred.shape), to_text(expected.shape)));
    }
    if (value.id >= first_new && !builder_.constant_of(value))
      builder_.at(value).shape = expected.shape;
    return value;
  }

  // What is computed from the results is still lowered, so that everything missing is reported at
  // once.
  void leave_out(const Op& op, const std::string& reason) {
    bool needed = false;
    for (modelexport::ValueId id : op.outputs) {
      if (id == kNone || builder_.is_free(id)) continue;
      const modelexport::Value& value = program_.values[id];
      builder_.bind(id, builder_.new_value(value.dtype, value.shape, value.kind));
      needed = true;
    }
    if (!needed) return;
    const std::string& key = program_.schemas[op.schema].key;
    const auto same = std::find_if(
        unsupported_.begin(), unsupported_.end(),
        [&](const UnsupportedOp& seen) { return seen.key == key && seen.reason == reason; });
    if (same != unsupported_.end())
      same->places.push_back(op.origin);
    else
      unsupported_.push_back({key, reason, {op.origin}});
  }

  std::string place(OriginId origin) const { return lowering::place(program_, origin); }

  const Program& program_;
  Builder builder_;
  LiveOperators live_;
  std::vector<UnsupportedOp> unsupported_;
};

}  // namespace

Result lower(const Program& program, const Options& options) {
  if (has_complex(program)) {
    Program real = program;
    rewrite_complex(real);
    return Driver(real, options).run();
  }
  return Driver(program, options).run();
}

std::string place(const Program& program, OriginId origin) {
  const Origin& of = program.origins[origin];
  const Scope& scope = program.scopes[of.scope];
  std::string text =
      fmt::format("{} ({})", scope.path.empty() ? "the model" : scope.path, scope.class_name);
  if (of.source == kNone || program.sources[of.source].empty()) return text;
  const Frame& frame = program.sources[of.source].back();  // the innermost
  text += fmt::format(", {}:{}", frame.file, frame.line);
  if (!frame.function.empty()) text += " in " + frame.function;
  return text;
}

std::string describe(const std::vector<UnsupportedOp>& unsupported, const Program& program) {
  constexpr size_t kShown = 3;
  if (unsupported.empty()) return {};
  std::string text = "these operators cannot be exported:\n";
  for (const UnsupportedOp& op : unsupported) {
    text += fmt::format("  {} ({}): {}\n", op.key,
                        op.places.size() == 1 ? "once" : fmt::format("{} times", op.places.size()),
                        op.reason);
    for (size_t i = 0; i < std::min(kShown, op.places.size()); ++i) {
      text += fmt::format("    in {}\n", place(program, op.places[i]));
    }
    if (op.places.size() > kShown)
      text += fmt::format("    and {} more\n", op.places.size() - kShown);
  }
  return text + "`modelexport ops` lists what is supported.";
}

}  // namespace modelexport::lowering
