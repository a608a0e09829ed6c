// torch.fft: transforms by name, and what belongs to them.
#include <algorithm>
#include <numeric>
#include <string>

#include "exporter/lowering/complex.h"
#include "exporter/lowering/fourier.h"
#include "exporter/lowering/indexing.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/registry.h"
#include "exporter/lowering/spatial.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

enum Direction { kForward, kInverse };

// ---- arguments ----------------------------------------------------------------------------------

// "backward" (None) scales the inverse, "forward" the forward transform, "ortho" both.
double scale_of(Call& c, Direction direction) {
  const std::string norm = c.is_none("norm") ? "backward" : c.text("norm");
  if (norm == "ortho") return Scale::kRoot;
  const bool scales = direction == kInverse ? norm == "backward" : norm == "forward";
  return scales ? Scale::kWhole : Scale::kNone;
}

// Of the operators below those with names: 0 none, 1 by the root, 2 by the number of points.
double scale_by_number(Call& c) { return -0.5 * static_cast<double>(c.integer("normalization")); }

DType compute_in(Call& c) {
  const Shape unknown;
  const DType input = c.dtype_of(c.tensor("self")), output = c.out_dtype();
  return input == DType::f64 || output == DType::f64 ? DType::f64 : compute_dtype(output);
}

// The signal with its last dimension: 2 for pairs, 1 for real numbers.
V signal(Call& c, DType dtype) {
  const V x = c.tensor("self", dtype);
  return c.is_complex("self") ? x : c.unsqueeze(x, {c.rank(x)});
}

V as_pairs(Call& c, V x) { return c.is_complex("self") ? x : pairs(c, {Expr(c, x)}); }

// 2 (m - 1): how many points m of them determine.
Length mirrored(Call& c, const Length& half) {
  if (half.known) {
    return {2 * (*half.known - 1), c.constant_int(2 * (*half.known - 1)), true};
  }
  const V before = c.sub(half.number, c.constant_int(1));
  return {std::nullopt, c.add(before, before), true};
}

// One axis: arguments n and dim.
Transform one_axis(Call& c, Direction direction, bool from_half) {
  const V x = c.tensor("self");
  const int64_t rank = c.rank(x) - (c.is_complex("self") ? 1 : 0);
  const int64_t axis = c.axis("dim", rank);
  Length length = length_of(c, x, axis);
  if (!c.is_none("n")) {
    length = given_length(c, c.scalar("n", DType::i64));
  } else if (from_half) {
    length = mirrored(c, length);
  }
  return {{axis}, {length}, direction == kInverse, scale_of(c, direction)};
}

// Several: arguments s and dim. Without dim, the last ones.
Transform many_axes(Call& c, Direction direction, bool from_half) {
  const V x = c.tensor("self");
  const int64_t rank = c.rank(x) - (c.is_complex("self") ? 1 : 0);
  Transform transform{c.axes("dim", rank), {}, direction == kInverse, scale_of(c, direction)};
  const V sizes = c.is_none("s") ? kOmitted : c.int_list("s");
  const auto known = sizes == kOmitted ? std::nullopt : c.known_integers(sizes);
  if (transform.axes.empty()) {
    const int64_t count = sizes == kOmitted ? rank : c.shape(sizes).at(0);
    transform.axes.resize(count);
    std::iota(transform.axes.begin(), transform.axes.end(), rank - count);
  }
  for (size_t i = 0; i < transform.axes.size(); ++i) {
    const bool is_given = sizes != kOmitted && !(known && known->at(i) == -1);
    Length length = length_of(c, x, transform.axes[i]);
    if (is_given) {
      const auto at = static_cast<int64_t>(i);
      length = given_length(
          c, known ? c.constant_int(known->at(i)) : c.gather(sizes, c.constant_int(at), 0));
    } else if (from_half && i + 1 == transform.axes.size()) {
      length = mirrored(c, length);
    }
    transform.lengths.push_back(length);
  }
  return transform;
}

using Axes = Transform (*)(Call&, Direction, bool);

// ---- transforms ---------------------------------------------------------------------------------

V to_complex(Call& c, const Transform& transform) {
  const DType dtype = transform_dtype(compute_in(c), transform.lengths);
  V x = signal(c, dtype);
  // The inverse of double numbers swaps the parts, so both must be there.
  if (transform.axes.empty() || (transform.inverse && dtype == DType::f64)) x = as_pairs(c, x);
  return c.cast(transform.axes.empty() ? x : complex_transform(c, x, transform), c.out_dtype());
}

V to_half(Call& c, const Transform& transform) {
  const DType dtype = transform_dtype(compute_in(c), transform.lengths);
  return half_transform(c, signal(c, dtype), transform);
}

V to_real(Call& c, const Transform& transform) {
  const DType dtype = transform_dtype(compute_in(c), transform.lengths);
  return c.cast(real_transform(c, as_pairs(c, signal(c, dtype)), transform), c.out_dtype());
}

// aten::fft_fft(Tensor self, SymInt? n=None, int dim=-1, str? norm=None) -> Tensor
// aten::fft_fftn(Tensor self, SymInt[1]? s=None, int[1]? dim=None, str? norm=None) -> Tensor
template <Axes Of, Direction Way>
V fft(Call& c) {
  return to_complex(c, Of(c, Way, false));
}

// aten::fft_rfft(Tensor self, SymInt? n=None, int dim=-1, str? norm=None) -> Tensor
template <Axes Of>
V rfft(Call& c) {
  return c.cast(to_half(c, Of(c, kForward, false)), c.out_dtype());
}

// aten::fft_ihfft(Tensor self, SymInt? n=None, int dim=-1, str? norm=None) -> Tensor
template <Axes Of>
V ihfft(Call& c) {
  Transform transform = Of(c, kInverse, false);
  transform.inverse = false;  // of a real signal: the conjugate of the forward transform
  const V half = to_half(c, transform);
  return c.cast(c.mul(half, constant_numbers(c, c.dtype_of(half), {2}, {1, -1})), c.out_dtype());
}

// aten::fft_irfft(Tensor self, SymInt? n=None, int dim=-1, str? norm=None) -> Tensor, and hfft
template <Axes Of, Direction Way>
V irfft(Call& c) {
  return to_real(c, Of(c, Way, true));
}

// ---- the same by number -------------------------------------------------------------------------

Transform numbered(Call& c, bool inverse) {
  const V x = c.tensor("self");
  const int64_t rank = c.rank(x) - (c.is_complex("self") ? 1 : 0);
  Transform transform{c.axes("dim", rank), {}, inverse, scale_by_number(c)};
  for (int64_t axis : transform.axes) transform.lengths.push_back(length_of(c, x, axis));
  return transform;
}

// aten::_fft_c2c(Tensor self, SymInt[] dim, int normalization, bool forward) -> Tensor
V complex_to_complex(Call& c) { return to_complex(c, numbered(c, !c.boolean("forward"))); }

// aten::_fft_r2c(Tensor self, int[] dim, int normalization, bool onesided) -> Tensor
V real_to_complex(Call& c) {
  const Transform transform = numbered(c, false);
  if (!c.boolean("onesided")) return to_complex(c, transform);
  return c.cast(to_half(c, transform), c.out_dtype());
}

// aten::_fft_c2r(Tensor self, int[] dim, int normalization, SymInt last_dim_size) -> Tensor
V complex_to_real(Call& c) {
  Transform transform = numbered(c, true);
  transform.lengths.back() = given_length(c, c.scalar("last_dim_size", DType::i64));
  return to_real(c, transform);
}

// ---- frequencies --------------------------------------------------------------------------------

std::vector<int64_t> shifted_axes(Call& c, V x) {
  std::vector<int64_t> axes = c.axes("dim", c.rank(x));
  if (!c.is_none("dim")) return axes;
  axes.resize(c.rank(x));
  std::iota(axes.begin(), axes.end(), 0);
  return axes;
}

// Half the axis, rounded down, as 1-D int64 of one element.
V half_of(Call& c, V x, int64_t axis, bool backwards) {
  if (const auto size = static_size(c, x, axis)) {
    return c.constant_ints({backwards ? -(*size / 2) : *size / 2});
  }
  const V half = c.div(c.size_of(x, axis), c.constant_ints({2}));
  return backwards ? c.sub(c.constant_ints({0}), half) : half;
}

// aten::fft_fftshift(Tensor self, int[1]? dim=None) -> Tensor
V fftshift(Call& c) {
  V x = c.tensor("self");
  for (int64_t axis : shifted_axes(c, x)) x = roll(c, x, half_of(c, x, axis, false), axis);
  return x;
}

// aten::fft_ifftshift(Tensor self, int[1]? dim=None) -> Tensor
V ifftshift(Call& c) {
  V x = c.tensor("self");
  for (int64_t axis : shifted_axes(c, x)) x = roll(c, x, half_of(c, x, axis, true), axis);
  return x;
}

V frequencies(Call& c, V numbers, V n) {
  const DType dtype = DType::f64;
  const V length = c.mul(c.cast(n, dtype), c.scalar("d", dtype));
  return c.cast(c.div(c.cast(numbers, dtype), length), c.out_dtype());
}

// aten::fft_fftfreq(SymInt n, float d=1.0, *, ScalarType? dtype=None, Layout? layout=None,
//    Device? device=None, bool? pin_memory=None) -> Tensor
V fftfreq(Call& c) {
  ignore_all_but(c, {"n", "d"});
  const V n = c.scalar("n", DType::i64), number = iota(c, n), two = c.constant_int(2);
  const V positive = c.node("Less", {number, c.div(c.add(n, c.constant_int(1)), two)});
  return frequencies(c, c.where(positive, number, c.sub(number, n)), n);
}

// aten::fft_rfftfreq(SymInt n, float d=1.0, *, ScalarType? dtype=None, Layout? layout=None,
//    Device? device=None, bool? pin_memory=None) -> Tensor
V rfftfreq(Call& c) {
  ignore_all_but(c, {"n", "d"});
  const V n = c.scalar("n", DType::i64);
  const V count = c.add(c.div(n, c.constant_int(2)), c.constant_int(1));
  return frequencies(c, iota(c, count), n);
}

// Of half a spectrum, which is complex or, being real, taken for one.
constexpr Row kOfHalf[] = {
    {"aten::fft_hfft", irfft<one_axis, kForward>},
    {"aten::fft_hfft2", irfft<many_axes, kForward>},
    {"aten::fft_hfftn", irfft<many_axes, kForward>},
    {"aten::fft_irfft", irfft<one_axis, kInverse>},
    {"aten::fft_irfft2", irfft<many_axes, kInverse>},
    {"aten::fft_irfftn", irfft<many_axes, kInverse>},
};

}  // namespace

std::span<const Row> fourier_table() {
  static constexpr Row kRows[] = {
      {"aten::_fft_c2c", complex_to_complex},
      {"aten::_fft_c2r", complex_to_real},
      {"aten::_fft_r2c", real_to_complex},
      {"aten::fft_fft", fft<one_axis, kForward>},
      {"aten::fft_fft2", fft<many_axes, kForward>},
      {"aten::fft_fftn", fft<many_axes, kForward>},
      {"aten::fft_ifft", fft<one_axis, kInverse>},
      {"aten::fft_ifft2", fft<many_axes, kInverse>},
      {"aten::fft_ifftn", fft<many_axes, kInverse>},
      {"aten::fft_ihfft", ihfft<one_axis>},
      {"aten::fft_ihfft2", ihfft<many_axes>},
      {"aten::fft_ihfftn", ihfft<many_axes>},
      {"aten::fft_rfft", rfft<one_axis>},
      {"aten::fft_rfft2", rfft<many_axes>},
      {"aten::fft_rfftn", rfft<many_axes>},
  };
  static const std::vector<Row> kAll = joined(joined(kRows, kOfHalf), spectrogram_rows());
  return kAll;
}

std::span<const Row> frequency_table() {
  static constexpr Row kRows[] = {
      {"aten::fft_fftfreq", fftfreq},
      {"aten::fft_fftshift", fftshift},
      {"aten::fft_ifftshift", ifftshift},
      {"aten::fft_rfftfreq", rfftfreq},
  };
  // stft makes real pairs where it is told to.
  static const std::vector<Row> kAll = joined(joined(kRows, kOfHalf), spectrogram_rows());
  return kAll;
}

}  // namespace modelexport::lowering
