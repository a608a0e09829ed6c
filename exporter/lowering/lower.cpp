#include "exporter/lowering/lower.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>

#include "exporter/error.h"
#include "exporter/graph/dtype_onnx.h"
#include "exporter/graph/verify.h"
#include "exporter/lowering/builder.h"
#include "exporter/lowering/call.h"
#include "exporter/lowering/cases.h"
#include "exporter/lowering/complex_program.h"
#include "exporter/lowering/custom_op.h"
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

bool is_usage(const std::exception& error) {
  const auto* own = dynamic_cast<const Error*>(&error);
  return own && own->kind() == ErrorKind::usage;
}

std::string to_text(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ",")); }

class Driver {
 public:
  Driver(const Program& program, const Options& options)
      : program_(program),
        builder_(program, options.opset, options.functions),
        lowerings_(options.lowerings),
        on_unsupported_(options.on_unsupported),
        live_(live_operators(program, builder_.flow(), options.lowerings)) {
    builder_.lower_ops = [this](const Block& block) {
      const OriginId outer = builder_.origin();
      lower_ops(block);
      builder_.set_origin(outer);
    };
  }

  Result run() {
    lower_ops(program_.body);
    std::vector<size_t> missing;
    for (size_t i = 0; i < program_.outputs.size(); ++i) {
      if (builder_.is_missing(program_.outputs[i].value)) missing.push_back(i);
    }
    Result result{builder_.finish(), std::move(unsupported_), std::move(missing)};
    const bool is_whole = result.unsupported.empty() || on_unsupported_ != OnUnsupported::raise;
    if (kDebug && is_whole) graph::verify(result.graph, program_, "lowering");
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
    const Lowering lowering = lowerings_.find(program_, op);
    if (!lowering) return not_lowered(op, why_not(op));
    const size_t depth = builder_.depth();
    try {
      lower_with(lowering, op);
    } catch (const Unsupported& unsupported) {
      builder_.unwind(depth);
      not_lowered(op, unsupported.reason);
    } catch (const Missing&) {
      builder_.unwind(depth);
      leave_out(op);
    } catch (const std::exception& error) {
      if (is_usage(error)) throw;  // what the user says of a custom operator
      throw Error(ErrorKind::internal,
                  fmt::format("lowering {} in {}: {}", key, place(op.origin), error.what()));
    }
  }

  void lower_with(const Lowering& lowering, const Op& op) {
    builder_.set_origin(op.origin);
    const size_t first_new = builder_.value_count();
    const std::vector<V> results = lowered(lowering, op);
    for (size_t i = 0; i < results.size(); ++i) {
      if (op.outputs[i] == kNone) continue;
      const modelexport::Value& expected = program_.values[op.outputs[i]];
      builder_.bind(op.outputs[i], with_observed_shape(results[i], expected, first_new));
    }
  }

  std::vector<V> lowered(const Lowering& lowering, const Op& op) {
    const size_t depth = builder_.depth();
    try {
      Call call(builder_, program_, op);
      std::vector<V> results = lowering(call);
      check_arguments(call);
      return in_observed_dtypes(op, call, std::move(results));
    } catch (const Undecided& undecided) {
      builder_.unwind(depth);
      return by_cases(builder_, program_, op, undecided,
                      [&](const Op& decided) { return lowered(lowering, decided); });
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

  static void check_arguments(const Call& call) {
    const std::vector<std::string> unread = call.unread();
    if (unread.empty()) return;
    throw Error(ErrorKind::internal, fmt::format("argument '{}' is neither read nor ignored",
                                                 fmt::join(unread, "', '")));
  }

  static std::vector<V> in_observed_dtypes(const Op& op, Call& call, std::vector<V> results) {
    if (results.size() != op.outputs.size()) {
      throw Error(ErrorKind::internal,
                  fmt::format("{} results instead of {}", results.size(), op.outputs.size()));
    }
    for (size_t i = 0; i < results.size(); ++i) {
      if (op.outputs[i] == kNone) {
        results[i] = kOmitted;
        continue;
      }
      if (results[i] == kOmitted) {
        throw Error(ErrorKind::internal, fmt::format("no value for result {}", i));
      }
      results[i] = in_observed_dtype(call, results[i], call.program().values[op.outputs[i]]);
    }
    return results;
  }

  // Holds the inferred dtype against the observed one: a difference is a defect of the lowering,
  // which a release build makes up for with a Cast.
  static V in_observed_dtype(Call& call, V value, const modelexport::Value& expected) {
    if (expected.kind == Kind::sequence) {
      call.builder().at(value).dtype = expected.dtype;
      call.builder().at(value).kind = Kind::sequence;
      return value;
    }
    const DType inferred = call.dtype_of(value);
    if (graph::onnx_number(inferred) == graph::onnx_number(expected.dtype)) return value;
    if (kDebug) {
      throw Error(ErrorKind::internal, fmt::format("the result is {}, but {} was observed",
                                                   name(inferred), name(expected.dtype)));
    }
    return call.cast(value, expected.dtype);
  }

  // Gives a value that this call made the shape that was observed, after the same check.
  V with_observed_shape(V value, const modelexport::Value& expected, size_t first_new) {
    if (expected.kind == Kind::sequence) return value;
    const std::optional<Shape>& inferred = builder_.at(value).shape;
    if (kDebug && inferred &&
        !std::equal(inferred->begin(), inferred->end(), expected.shape.begin(),
                    expected.shape.end(), same_size)) {
      throw Error(ErrorKind::internal, fmt::format("the result has shape {}, but {} was observed",
                                                   to_text(*inferred), to_text(expected.shape)));
    }
    if (value.id >= first_new && !builder_.constant_of(value))
      builder_.at(value).shape = expected.shape;
    return value;
  }

  void not_lowered(const Op& op, const std::string& reason) {
    if (!is_needed(op)) return;
    const bool approximated =
        on_unsupported_ == OnUnsupported::approximate && try_to_approximate(op);
    report(op, reason, approximated);
    if (!approximated) leave_out(op);
  }

  // The lowering of an operator whose results are all at hand otherwise may fail.
  bool is_needed(const Op& op) const {
    return std::any_of(op.outputs.begin(), op.outputs.end(), [&](modelexport::ValueId id) {
      return id != kNone && !builder_.is_free(id);
    });
  }

  bool try_to_approximate(const Op& op) {
    if (!op.blocks.empty()) return false;
    try {
      lower_with(approximate, op);
      return true;
    } catch (const Unsupported&) {
    } catch (const Missing&) {
    }
    return false;
  }

  // When all are to be found, what is computed from the results is still lowered.
  void leave_out(const Op& op) {
    for (modelexport::ValueId id : op.outputs) {
      if (id == kNone || builder_.is_free(id)) continue;
      if (on_unsupported_ != OnUnsupported::raise) {
        builder_.set_missing(id);
        continue;
      }
      const modelexport::Value& value = program_.values[id];
      builder_.bind(id, builder_.new_value(value.dtype, value.shape, value.kind));
    }
  }

  void report(const Op& op, const std::string& reason, bool approximated) {
    const std::string& key = program_.schemas[op.schema].key;
    const auto same =
        std::find_if(unsupported_.begin(), unsupported_.end(), [&](const UnsupportedOp& seen) {
          return seen.key == key && seen.reason == reason && seen.approximated == approximated;
        });
    if (same != unsupported_.end())
      same->places.push_back(op.origin);
    else
      unsupported_.push_back({key, reason, {op.origin}, approximated});
  }

  std::string why_not(const Op& op) const {
    const std::string& key = program_.schemas[op.schema].key;
    if (find(key) == nullptr) return "no lowering" + hint(key);
    bool complex = false;  // if not, what has no lowering is the same operator on sequences
    const auto look = [&](modelexport::ValueId id) { complex |= program_.values[id].is_complex; };
    for (const Argument& argument : op.arguments) for_each_value(argument, look);
    return complex ? "no lowering for complex tensors" : "no lowering";
  }

  // The nearest supported form: other overloads.
  static std::string hint(const std::string& key) {
    const std::string name = key.substr(0, key.find('.'));
    std::vector<std::string_view> others;
    for (const std::string_view other : keys()) {
      if (other.substr(0, other.find('.')) == name && other != key) others.push_back(other);
    }
    return others.empty() ? "" : fmt::format(", but there is one for {}", fmt::join(others, ", "));
  }

  std::string place(OriginId origin) const { return lowering::place(program_, origin); }

  const Program& program_;
  Builder builder_;
  const Lowerings& lowerings_;
  const OnUnsupported on_unsupported_;
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

std::string list(const std::vector<UnsupportedOp>& unsupported, const Program& program) {
  constexpr size_t kShown = 3;
  std::string text;
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
  return text;
}

std::string describe(const std::vector<UnsupportedOp>& unsupported, const Program& program) {
  if (unsupported.empty()) return {};
  return fmt::format(
      "these operators cannot be exported:\n{}"
      "`modelexport ops` lists what is supported; --ops maps other operators to ONNX, and "
      "--on-unsupported exports the rest.",
      list(unsupported, program));
}

}  // namespace modelexport::lowering
