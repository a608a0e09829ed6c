#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Functions.h>
#include <fmt/format.h>

#include <set>

#include "exporter/error.h"
#include "exporter/frontend/examples.h"
#include "exporter/frontend/inputs_agree.h"
#include "exporter/frontend/inputs_auto.h"
#include "exporter/frontend/inputs_bind.h"
#include "exporter/frontend/inputs_files.h"
#include "exporter/frontend/inputs_spec.h"
#include "exporter/frontend/scalar_type.h"

namespace modelexport::frontend {
namespace {

// How the values of a tensor are distributed, as far as made-up ones should follow.
struct Distribution {
  int64_t low = 0, high = 2;                         // integers: low inclusive, high exclusive
  std::optional<std::pair<double, double>> choices;  // floats that take two values only (a mask)
};

Distribution distribution_of(const at::Tensor& tensor) {
  Distribution distribution;
  // Tensors of traced_inputs have sizes, but no bytes.
  const bool has_values =
      !tensor.is_meta() && tensor.numel() > 0 && tensor.has_storage() &&
      tensor.storage().nbytes() >= static_cast<size_t>(tensor.numel()) * tensor.element_size();
  if (!has_values) return distribution;
  if (at::isIntegralType(tensor.scalar_type(), false)) {
    const at::Tensor values = tensor.to(at::kLong);
    distribution.low = values.min().item<int64_t>();
    distribution.high = values.max().item<int64_t>() + 1;
  } else if (at::isFloatingType(tensor.scalar_type())) {
    const at::Tensor values = tensor.to(at::kDouble).flatten();
    const at::Tensor others = values.masked_select(values.ne(values[0]));
    const at::Tensor other = others.numel() > 0 ? others[0] : values[0];
    if (others.eq(other).all().item<bool>()) {
      distribution.choices = {values[0].item<double>(), other.item<double>()};
    }
  }
  return distribution;
}

// ---- from specifications
// ---------------------------------------------------------------------------------

class Maker {
 public:
  Maker(const c10::FunctionSchema& forward, const std::vector<c10::IValue>& traced, uint64_t seed)
      : forward_(forward), seed_(seed) {
    if (traced.empty()) return;
    traced_ = bind_arguments(forward, c10::ivalue::Tuple::create(traced), "traced_inputs.pkl");
    for (const FlatInput& input : flatten(forward, *traced_)) {
      traced_tensors_.emplace(input.name, input.tensor);
    }
  }

  // What `specs` leave open is as traced.
  Examples make(const std::vector<std::string>& specs) {
    size_t position = 0;
    std::vector<InputSpec> parsed;
    for (const std::string& text : specs) {
      parsed.push_back(parse_input_spec(text));
      if (parsed.back().name.empty()) parsed.back().name = argument_at(parsed.back(), ++position);
    }
    for (const InputSpec& spec : parsed) note_sizes(spec);
    std::vector<std::pair<std::string, c10::IValue>> values;
    for (const InputSpec& spec : parsed) {
      for (const auto& [name, value] : values) {
        if (name == spec.name) fail(spec, fmt::format("input '{}' is given twice", name));
      }
      values.emplace_back(spec.name, make_value(spec));
    }
    std::vector<c10::IValue> fallback;
    if (traced_) {
      std::vector<at::Tensor> tensors;
      for (const FlatInput& input : flatten(forward_, *traced_)) {
        // The checkpoint records no values to draw from.
        const at::Tensor kind = at::empty({0}, input.tensor.scalar_type());
        tensors.push_back(make_like(kind, input.tensor.sizes(), next_seed()));
      }
      fallback = unflatten(forward_, *traced_, tensors).arguments;
    }
    result_.examples = {bind_values(forward_, values, fallback)};
    result_.examples.front().numbers = std::move(numbers_);
    return std::move(result_);
  }

 private:
  [[noreturn]] void fail(const InputSpec& spec, const std::string& what) const {
    throw Error(ErrorKind::usage, fmt::format("input specification '{}': {}; the module takes {}",
                                              spec.text, what, signature_text(forward_)));
  }

  uint64_t next_seed() { return seed_++; }

  std::string argument_at(const InputSpec& spec, size_t position) const {
    if (position < forward_.arguments().size()) return forward_.arguments()[position].name();
    fail(spec, fmt::format("it stands for input {}, but there are {}", position,
                           forward_.arguments().size() - 1));
  }

  const at::Tensor* traced_tensor(const std::string& name) const {
    const auto found = traced_tensors_.find(name);
    return found == traced_tensors_.end() ? nullptr : &found->second;
  }

  // int, float or bool: what forward takes for a number that the specification makes an input.
  std::optional<c10::TypeKind> number_kind(const InputSpec& spec) const {
    if (spec.dtype == DType::undefined) return std::nullopt;
    const c10::TypePtr type = type_at(forward_, spec.name);
    const c10::TypeKind kind = type ? type->kind() : c10::TypeKind::AnyType;
    const bool is_number = kind == c10::TypeKind::IntType || kind == c10::TypeKind::FloatType ||
                           kind == c10::TypeKind::BoolType;
    return is_number ? std::optional(kind) : std::nullopt;
  }

  void state_size(const InputSpec& spec, const std::string& name, int64_t size) {
    if (stated_.contains(name) && sizes_[name] != size) {
      fail(spec,
           fmt::format("dimension '{}' is {} here and {} elsewhere", name, size, sizes_[name]));
    }
    stated_.insert(name);
    sizes_[name] = size;
  }

  // Sizes that are stated or traced decide for all places of a name.
  void note_sizes(const InputSpec& spec) {
    if (number_kind(spec) == c10::TypeKind::IntType && spec.literal) {
      if (const auto* value = std::get_if<int64_t>(&*spec.literal)) {
        state_size(spec, spec.name, *value);
      }
    }
    if (!spec.dims) return;
    const at::Tensor* traced = traced_tensor(spec.name);
    for (size_t axis = 0; axis < spec.dims->size(); ++axis) {
      const DimSpec& dim = (*spec.dims)[axis];
      if (dim.size) taken_.insert(*dim.size);
      if (dim.name.empty()) continue;
      std::optional<int64_t> size = dim.size;
      if (!size && traced && traced->dim() == static_cast<int64_t>(spec.dims->size())) {
        if (!stated_.contains(dim.name)) sizes_.emplace(dim.name, traced->size(axis));
        continue;
      }
      if (size) state_size(spec, dim.name, *size);
    }
  }

  int64_t size_of(const DimSpec& dim) {
    if (dim.name.empty()) return *dim.size;
    if (const auto known = sizes_.find(dim.name); known != sizes_.end()) return known->second;
    int64_t size = 2;
    while (taken_.contains(size)) ++size;
    taken_.insert(size);
    return sizes_[dim.name] = size;
  }

  static c10::IValue value_of(const InputSpec::Literal& literal) {
    return std::visit(
        [](const auto& value) {
          if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::monostate>) {
            return c10::IValue();
          } else {
            return c10::IValue(value);
          }
        },
        literal);
  }

  // An int has its value in place of a size: it may be that of a dimension of the same name.
  c10::IValue make_number(const InputSpec& spec, c10::TypeKind kind) {
    numbers_.insert(spec.name);
    if (spec.range) result_.ranges[spec.name] = *spec.range;
    if (kind == c10::TypeKind::IntType) result_.dim_names[{spec.name, 0}] = spec.name;
    if (spec.literal) return value_of(*spec.literal);
    if (kind == c10::TypeKind::IntType && !spec.range) return size_of({.name = spec.name});
    return make_like(at::empty({0}, scalar_type_of(spec.dtype)), {}, next_seed(), spec.range);
  }

  c10::IValue make_value(const InputSpec& spec) {
    if (const auto kind = number_kind(spec); kind && !(spec.dims && !spec.dims->empty())) {
      return make_number(spec, *kind);
    }
    if (spec.literal) {
      if (spec.dtype == DType::undefined) return value_of(*spec.literal);
      fail(spec,
           fmt::format("'{}' is no int, float or bool that could have this value", spec.name));
    }
    const at::Tensor* traced = traced_tensor(spec.name);
    if (spec.dtype == DType::undefined && !traced) {
      fail(spec, "it has no dtype, and the checkpoint records none for it");
    }
    if (!spec.dims && !traced)
      fail(spec, "it has no sizes, and the checkpoint records none for it");
    const at::ScalarType type =
        spec.dtype == DType::undefined ? traced->scalar_type() : scalar_type_of(spec.dtype);
    std::vector<int64_t> sizes;
    if (spec.dims) {
      for (size_t axis = 0; axis < spec.dims->size(); ++axis) {
        const DimSpec& dim = (*spec.dims)[axis];
        sizes.push_back(size_of(dim));
        if (dim.name.empty()) continue;
        result_.dim_names[{spec.name, static_cast<int64_t>(axis)}] = dim.name;
      }
    } else {
      sizes = traced->sizes().vec();
    }
    if (spec.range) result_.ranges[spec.name] = *spec.range;
    return make_like(at::empty({0}, type), sizes, next_seed(), spec.range);
  }

  const c10::FunctionSchema& forward_;
  uint64_t seed_;
  std::optional<Example> traced_;
  std::map<std::string, at::Tensor> traced_tensors_;
  std::map<std::string, int64_t> sizes_;  // of named dimensions
  std::set<std::string> stated_;          // those of which a size was stated
  std::set<int64_t> taken_;
  std::set<std::string> numbers_;  // that are inputs
  Examples result_;
};

// ---- from files
// ---------------------------------------------------------------------------------------------

Examples read_examples(const c10::FunctionSchema& forward, const std::vector<std::string>& files) {
  Examples examples;
  for (const std::string& file : files) {
    examples.examples.push_back(bind_arguments(forward, read_input_file(file), file));
  }
  make_agree(forward, files, examples.examples);
  return examples;
}

// Marks as inputs those numbers and lists of numbers in the examples that are so called.
void mark_numbers(const c10::FunctionSchema& forward, const std::set<std::string>& names,
                  Examples& examples) {
  for (Example& example : examples.examples) mark_inputs(forward, names, example);
}

// Other values for the floats and bools that are inputs.
Example with_other_numbers(const c10::FunctionSchema& forward, const Examples& examples,
                           uint64_t seed) {
  const Example& like = examples.examples.back();
  std::vector<at::Tensor> tensors;
  for (const FlatInput& input : flatten(forward, like)) {
    const at::Tensor& value = input.tensor;
    const auto range = examples.ranges.find(input.name);
    if (!input.is_number || value.scalar_type() == at::kLong) {
      tensors.push_back(value);
    } else if (range != examples.ranges.end()) {
      tensors.push_back(make_like(value, {}, seed, range->second));
    } else if (value.scalar_type() == at::kBool) {
      tensors.push_back(value.logical_not());
    } else {  // within 0 and 1 if it was: a probability stays one
      tensors.push_back(value.item<double>() == 0 ? at::ones_like(value) : value / 2);
    }
  }
  return unflatten(forward, like, tensors);
}

// The places of each named dimension, and of each int that is an input and has the name of one.
std::map<std::string, std::vector<DimRef>> named(const c10::FunctionSchema& forward,
                                                 const Examples& examples) {
  std::map<std::string, std::vector<DimRef>> places;
  const std::vector<FlatInput> inputs = flatten(forward, examples.examples.front());
  for (const auto& [place, name] : examples.dim_names) {
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (inputs[i].name != place.first) continue;
      places[name].push_back({i, static_cast<size_t>(place.second)});
    }
  }
  return places;
}

// The same with an example in which the dimensions that are dynamic in a file have other sizes, if
// the module takes such sizes: if not, that file does not describe it.
Examples add_example_for_file(const torch::jit::Module& module, const Examples& given,
                              const InputOptions& options, const QuickTrial& quick_trial) {
  const c10::FunctionSchema& forward = module.get_method("forward").function().getSchema();
  Examples examples = given;
  for (const FlatInput& input : flatten(forward, given.examples.front())) {
    for (int64_t axis = 0; axis < input.tensor.dim(); ++axis) {
      const auto name = options.dim_names.find({input.name, axis});
      if (name != options.dim_names.end()) examples.dim_names.insert(*name);
    }
  }
  const auto places = named(forward, examples);
  if (places.empty()) return given;
  try {
    return add_example_at_other_sizes(module, std::move(examples), places, options.seed,
                                      quick_trial);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::usage) throw;
    return given;
  }
}

}  // namespace

at::Tensor make_like(const at::Tensor& like, at::IntArrayRef sizes, uint64_t seed,
                     std::optional<std::pair<int64_t, int64_t>> range) {
  const at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  const at::ScalarType type = like.scalar_type();
  Distribution known = distribution_of(like);
  if (range) std::tie(known.low, known.high) = *range;
  if (at::isIntegralType(type, true)) {
    if (type == at::kBool) known = {};
    return at::randint(known.low, known.high, sizes, generator, at::kLong).to(type);
  }
  if (range) {
    const double width = static_cast<double>(known.high - known.low);
    return at::rand(sizes, generator, at::kDouble).mul(width).add(known.low).to(type);
  }
  if (known.choices) {
    const at::Tensor first = at::randint(0, 2, sizes, generator, at::kBool);
    return at::where(first, at::Scalar(known.choices->first), at::Scalar(known.choices->second))
        .to(type);
  }
  if (at::isComplexType(type)) return at::randn(sizes, generator, at::kComplexDouble).to(type);
  return at::randn(sizes, generator, at::kFloat).to(type);
}

Examples make_examples(const torch::jit::Module& module, const InputOptions& options,
                       const std::vector<c10::IValue>& traced_inputs,
                       const QuickTrial& quick_trial) {
  const c10::FunctionSchema& forward = module.get_method("forward").function().getSchema();
  if (!options.files.empty() && !options.specs.empty()) {
    throw Error(ErrorKind::usage, "--inputs and --input exclude each other");
  }
  Examples examples;
  if (!options.files.empty()) {
    examples = read_examples(forward, options.files);
    mark_numbers(forward, options.numbers, examples);
    if (examples.examples.size() == 2) {
      examples = add_example_that_separates(module, std::move(examples), options.seed, quick_trial);
    }
  } else {
    if (options.specs.empty() && traced_inputs.empty() && forward.arguments().size() > 1) {
      throw Error(
          ErrorKind::usage,
          fmt::format("the checkpoint records no inputs, so they must be given, as "
                      "--inputs FILE.pt or --input 'NAME:DTYPE[SIZE,...]'; the module takes "
                      "{}",
                      signature_text(forward)));
    }
    Maker maker(forward, traced_inputs, options.seed);
    examples = maker.make(options.specs);
    const bool any_number = !examples.examples.front().numbers.empty();
    mark_numbers(forward, options.numbers, examples);
    const auto places = named(forward, examples);
    if (!places.empty()) {
      examples = add_example_at_other_sizes(module, std::move(examples), places, options.seed,
                                            quick_trial);
    } else if (any_number) {
      examples.examples.push_back(examples.examples.front());
    }
    if (any_number) {
      examples.examples.back() = with_other_numbers(forward, examples, options.seed);
    }
  }
  if (examples.examples.size() > 1) return examples;
  return add_example_for_file(module, examples, options, quick_trial);
}

}  // namespace modelexport::frontend
