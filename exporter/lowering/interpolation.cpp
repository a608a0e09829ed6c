#include "exporter/lowering/interpolation.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace modelexport::lowering {
namespace {

// Step in the input per step in the output.
double step(const ResizedAxis& axis) {
  if (axis.align_corners)
    return axis.out > 1 ? static_cast<double>(axis.in - 1) / static_cast<double>(axis.out - 1) : 0;
  if (axis.scale) return 1 / *axis.scale;
  return static_cast<double>(axis.in) / static_cast<double>(axis.out);
}

double source(const ResizedAxis& axis, int64_t i) {
  const double position = static_cast<double>(i);
  return axis.align_corners ? step(axis) * position : step(axis) * (position + 0.5) - 0.5;
}

// Keys' cubic convolution kernel.
double cubic_kernel(double x, double a) {
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

double sinc(double x) {
  if (x == 0) return 1;
  return std::sin(std::numbers::pi * x) / (std::numbers::pi * x);
}

double antialias_kernel(Interpolation mode, double x) {
  if (mode == Interpolation::linear) return std::max(0.0, 1 - std::abs(x));
  if (mode == Interpolation::cubic) return cubic_kernel(x, -0.5);
  return std::abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0;
}

double radius(Interpolation mode) {
  if (mode == Interpolation::linear) return 1;
  return mode == Interpolation::cubic ? 2 : 3;
}

// One column of the weight matrix.
class Column {
 public:
  Column(std::vector<double>& matrix, const ResizedAxis& axis, int64_t index)
      : matrix_(matrix), axis_(axis), index_(index) {}

  // Positions outside of the input count as its edges.
  void add(int64_t position, double weight) {
    position = std::clamp<int64_t>(position, 0, axis_.in - 1);
    matrix_[position * axis_.out + index_] += weight;
  }

 private:
  std::vector<double>& matrix_;
  const ResizedAxis& axis_;
  int64_t index_;
};

void add_linear(Column column, double x) {
  x = std::max(x, 0.0);
  const double whole = std::floor(x);
  column.add(static_cast<int64_t>(whole), 1 - (x - whole));
  column.add(static_cast<int64_t>(whole) + 1, x - whole);
}

void add_cubic(Column column, double x) {
  const double whole = std::floor(x);
  for (int k = -1; k <= 2; ++k)
    column.add(static_cast<int64_t>(whole) + k, cubic_kernel(x - whole - k, -0.75));
}

void add_antialiased(Column column, Interpolation mode, const ResizedAxis& axis, int64_t i) {
  const double stretch = std::max(step(axis), 1.0);
  const double centre = step(axis) * (static_cast<double>(i) + 0.5);
  const double support = radius(mode) * stretch;
  const int64_t first = std::max<int64_t>(static_cast<int64_t>(centre - support + 0.5), 0);
  const int64_t last = std::min(static_cast<int64_t>(centre + support + 0.5), axis.in);
  const auto weight = [&](int64_t j) {
    return antialias_kernel(mode, (static_cast<double>(j) - centre + 0.5) / stretch);
  };
  double total = 0;
  for (int64_t j = first; j < last; ++j) total += weight(j);
  for (int64_t j = first; j < last; ++j) column.add(j, total == 0 ? 0 : weight(j) / total);
}

}  // namespace

std::vector<int64_t> source_positions(Interpolation mode, const ResizedAxis& axis) {
  const float scale = axis.scale ? static_cast<float>(1 / *axis.scale)
                                 : static_cast<float>(axis.in) / static_cast<float>(axis.out);
  const float centre = mode == Interpolation::nearest_exact ? 0.5f : 0.0f;
  std::vector<int64_t> positions;
  for (int64_t i = 0; i < axis.out; ++i) {
    const float position = std::floor((static_cast<float>(i) + centre) * scale);
    positions.push_back(std::min(static_cast<int64_t>(position), axis.in - 1));
  }
  return positions;
}

std::vector<int64_t> resize_positions(Interpolation mode, const ResizedAxis& axis) {
  const float scale = axis.scale ? static_cast<float>(*axis.scale)
                                 : static_cast<float>(axis.out) / static_cast<float>(axis.in);
  std::vector<int64_t> positions;
  for (int64_t i = 0; i < axis.out; ++i) {
    const float index = static_cast<float>(i);
    const float position = mode == Interpolation::nearest
                               ? std::floor(index / scale)
                               : std::round((index + 0.5f) / scale - 0.5f);
    positions.push_back(std::clamp<int64_t>(static_cast<int64_t>(position), 0, axis.in - 1));
  }
  return positions;
}

std::vector<double> weight_matrix(Interpolation mode, const ResizedAxis& axis) {
  std::vector<double> matrix(axis.in * axis.out, 0.0);
  for (int64_t i = 0; i < axis.out; ++i) {
    const Column column(matrix, axis, i);
    if (axis.antialias)
      add_antialiased(column, mode, axis, i);
    else if (mode == Interpolation::linear)
      add_linear(column, source(axis, i));
    else
      add_cubic(column, source(axis, i));
  }
  return matrix;
}

void round_for_bytes(std::vector<double>& weights) {
  if (weights.empty()) return;
  const double largest = *std::ranges::max_element(weights);
  int bits = 0;
  while (bits < 22 && std::floor(0.5 + largest * std::exp2(bits + 1)) < std::exp2(15)) ++bits;
  for (double& weight : weights) weight = std::round(weight * std::exp2(bits)) / std::exp2(bits);
}

}  // namespace modelexport::lowering
