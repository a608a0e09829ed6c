#include "tests/ops/values.h"

#include <cmath>
#include <cstring>
#include <numbers>
#include <numeric>
#include <random>

#include "exporter/graph/literal.h"

namespace modelexport::ops_test {
namespace {

// The standard's distributions differ between libraries, its engines do not.
class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}

  double uniform() { return static_cast<double>(engine_() >> 11) * 0x1p-53; }  // [0, 1)
  double normal() {
    const double radius = std::sqrt(-2 * std::log(1 - uniform()));
    return radius * std::cos(2 * std::numbers::pi * uniform());
  }
  int64_t below(int64_t count) {
    return static_cast<int64_t>(uniform() * static_cast<double>(count));
  }

 private:
  std::mt19937_64 engine_;
};

double natural_value(DType dtype, Random& random) {
  if (dtype == DType::boolean) return random.uniform() < 0.5 ? 0 : 1;
  if (is_integral(dtype)) return is_signed(dtype) ? random.below(11) - 5 : random.below(11);
  return random.normal();
}

double range_value(const TensorSpec& spec, Random& random) {
  const double value = spec.low + random.uniform() * (spec.high - spec.low);
  return is_integral(spec.dtype) ? std::floor(value) : value;
}

// A shuffled arithmetic progression around 0, from 0 for unsigned integers.
std::vector<double> distinct_values(const TensorSpec& spec, int64_t count, Random& random) {
  const double step = is_integral(spec.dtype) ? 1 : 0.5;
  const bool is_unsigned = is_integral(spec.dtype) && !is_signed(spec.dtype);
  const int64_t first = is_unsigned ? 0 : -(count / 2);
  std::vector<double> values(count);
  for (int64_t i = 0; i < count; ++i) values[i] = static_cast<double>(first + i) * step;
  for (int64_t i = count - 1; i > 0; --i) std::swap(values[i], values[random.below(i + 1)]);
  return values;
}

std::vector<double> make_values(const TensorSpec& spec, int64_t count, Random& random) {
  if (spec.fill == Fill::distinct) return distinct_values(spec, count, random);
  std::vector<double> values(count);
  for (int64_t i = 0; i < count; ++i) {
    if (spec.fill == Fill::values)
      values[i] = spec.values[i % spec.values.size()];
    else if (spec.fill == Fill::range)
      values[i] = range_value(spec, random);
    else
      values[i] = natural_value(spec.dtype, random);
  }
  return values;
}

uint64_t hash(std::string_view text, uint64_t seed) {  // FNV-1a
  uint64_t value = 0xcbf29ce484222325 ^ seed;
  for (unsigned char c : text) value = (value ^ c) * 0x100000001b3;
  return value;
}

void flatten(const std::string& name, const InputSpec& spec, size_t size_set, uint64_t seed,
             std::vector<HostValue>& values) {
  if (spec.kind == InputSpec::Kind::tensor) {
    HostValue& value = values.emplace_back();
    value.name = name;
    value.tensors.push_back(make_tensor(name, spec.tensor, size_set, seed));
    return;
  }
  for (size_t i = 0; i < spec.elements.size(); ++i) {
    const std::string key = spec.keys.empty() ? std::to_string(i) : spec.keys[i];
    flatten(name + "." + key, spec.elements[i], size_set, seed, values);
  }
}

}  // namespace

HostTensor make_tensor(const std::string& name, const TensorSpec& spec, size_t size_set,
                       uint64_t seed) {
  HostTensor tensor;
  tensor.name = name;
  tensor.dtype = spec.dtype;
  tensor.dims = spec.sizes(size_set);
  int64_t count =
      std::accumulate(tensor.dims.begin(), tensor.dims.end(), int64_t{1}, std::multiplies());
  Random random(hash(name, seed));
  if (is_complex(spec.dtype)) count *= 2;  // real and imaginary parts
  std::string bytes;
  for (double value : make_values(spec, count, random)) {
    graph::append_element(bytes, part_dtype(spec.dtype), value);
  }
  tensor.bytes.resize(bytes.size());
  if (!bytes.empty()) std::memcpy(tensor.bytes.data(), bytes.data(), bytes.size());
  return tensor;
}

std::vector<HostValue> make_inputs(const Case& one, size_t size_set, uint64_t seed) {
  std::vector<HostValue> values;
  for (const Input& input : one.inputs) flatten(input.name, input.spec, size_set, seed, values);
  return values;
}

uint64_t seed_of(const Case& one) { return hash(one.name, hash(one.family, 0)); }

}  // namespace modelexport::ops_test
