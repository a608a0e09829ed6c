// Short-time Fourier transforms and their inverse.
#include <cmath>

#include "exporter/lowering/complex.h"
#include "exporter/lowering/fourier.h"
#include "exporter/lowering/indexing.h"
#include "exporter/lowering/kernels.h"
#include "exporter/lowering/spatial.h"
#include "exporter/lowering/tables.h"

namespace modelexport::lowering {
namespace {

struct Frames {
  int64_t size, step;
  DType dtype;  // to compute in
  V window;     // of that size, 1-D
};

// The window stands in the middle of a frame; without one, it is all ones.
Frames frames(Call& c, DType signal_dtype) {
  const int64_t size = c.integer("n_fft");
  const int64_t step = c.optional_integer("hop_length").value_or(size / 4);
  const int64_t length = c.optional_integer("win_length").value_or(size);
  const DType dtype = transform_dtype(signal_dtype, {given_length(c, c.constant_int(size))});
  const V window = c.is_none("window")
                       ? constant_numbers(c, dtype, {length}, std::vector<double>(length, 1))
                       : c.tensor("window", dtype);
  const int64_t left = (size - length) / 2;
  if (length == size) return {size, step, dtype, window};
  return {size, step, dtype,
          run(c, "Pad", {window, c.constant_ints({left, size - length - left})})};
}

double normalization(Call& c, const Frames& frames) {
  return c.boolean("normalized") ? std::sqrt(static_cast<double>(frames.size)) : 1;
}

// [frames, points, 2] in front of which a batch stands, as [points, frames, 2].
V with_frames_last(Call& c, V x, bool has_batch) {
  if (has_batch) return c.transpose(x, {0, 2, 1, 3});
  return c.transpose(c.squeeze(x, {0}), {1, 0, 2});
}

// aten::stft(Tensor self, int n_fft, int? hop_length=None, int? win_length=None,
//    Tensor? window=None, bool normalized=False, bool? onesided=None, bool? return_complex=None,
//    bool? align_to_window=None) -> Tensor
V stft(Call& c) {
  c.ignore({"return_complex", "align_to_window"});
  const bool complex = c.is_complex("self");
  const Frames of = frames(c, c.out_dtype());
  if (c.is_complex("window")) throw Unsupported{"a complex window"};
  V x = c.tensor("self", of.dtype);
  if (!complex) x = c.unsqueeze(x, {c.rank(x)});
  const bool has_batch = c.rank(x) == 3;
  if (!has_batch) x = c.unsqueeze(x, {0});
  const bool onesided = c.is_none("onesided") ? !complex : c.boolean("onesided");
  const V y = c.node("STFT", {x, c.constant_int(of.step), of.window, c.constant_int(of.size)},
                     {attr("onesided", onesided)});
  const V spectrum = with_frames_last(c, y, has_batch);
  const double divisor = normalization(c, of);
  const V scaled = divisor == 1 ? spectrum : c.mul(spectrum, c.constant(1 / divisor, of.dtype));
  return c.cast(scaled, c.out_dtype());
}

// Frames [batch, frames, size] added up where they overlap: [batch, length]. A frame is cut into
// pieces as long as a step; the first pieces of all frames make a signal, the second ones another
// that begins a step later...
V overlapped(Call& c, V x, const Frames& of) {
  const int64_t pieces = (of.size + of.step - 1) / of.step, rest = pieces * of.step - of.size;
  const DType dtype = of.dtype;
  if (rest > 0) x = run(c, "Pad", {x, c.constant_ints({0, 0, 0, 0, 0, rest})});
  V sum;
  for (int64_t i = 0; i < pieces; ++i) {
    const V piece = c.node("Slice", {x, c.constant_ints({i * of.step}),
                                     c.constant_ints({(i + 1) * of.step}), c.constant_ints({2})});
    V signal = c.reshape_to(piece, c.constant_ints({0, -1}));
    signal = run(
        c, "Pad",
        {c.typed(signal, dtype), c.constant_ints({0, i * of.step, 0, (pieces - 1 - i) * of.step})});
    sum = i == 0 ? signal : c.add(sum, signal);
  }
  return sum;
}

// The part of the signal that is asked for, without the last `rest` elements, which filled up the
// last piece of a frame.
V cut(Call& c, V x, const Frames& of, int64_t rest) {
  const int64_t start = c.boolean("center") ? of.size / 2 : 0;
  const V begin = c.constant_ints({start}), axis = c.constant_ints({1});
  const auto until = [&](int64_t from_end) {
    return c.constant_ints({from_end == 0 ? INT64_MAX : -from_end});
  };
  if (c.is_none("length")) return c.node("Slice", {x, begin, until(start + rest), axis});
  if (rest > 0) x = c.node("Slice", {x, c.constant_ints({0}), until(rest), axis});
  return c.node("Slice", {x, begin, add_sizes(c, begin, c.int_list("length")), axis});
}

// Zeros after the signal, up to the length asked for.
V padded(Call& c, V x) {
  if (c.is_none("length")) return x;
  const V size = c.node("Shape", {x}, {attr("start", 1), attr("end", 2)});
  const V missing = c.sub(c.int_list("length"), size);
  return run(c, "Pad", {x, c.concat({c.constant_ints({0, 0, 0}), missing}, 0)});
}

// aten::istft(Tensor self, int n_fft, int? hop_length=None, int? win_length=None,
//    Tensor? window=None, bool center=True, bool normalized=False, bool? onesided=None,
//    int? length=None, bool return_complex=False) -> Tensor
V istft(Call& c) {
  if (c.boolean("return_complex")) throw Unsupported{"a complex signal"};
  const Frames of = frames(c, c.out_dtype());
  V x = c.tensor("self", of.dtype);
  const bool has_batch = c.rank(x) == 4;
  if (!has_batch) x = c.unsqueeze(x, {0});
  x = c.transpose(x, {0, 2, 1, 3});
  const bool is_half = c.is_none("onesided") ? c.shape(x)[2] != of.size : c.boolean("onesided");
  const Length length{of.size, c.constant_int(of.size), true};
  const Transform transform{
      {2}, {length}, true, c.boolean("normalized") ? Scale::kRoot : Scale::kWhole};
  if (!is_half) x = c.slice(x, 2, 0, of.size / 2 + 1);
  const V frames = c.mul(real_transform(c, x, transform), of.window);
  const V squares = c.mul(of.window, of.window);
  const V count = c.node("Shape", {x}, {attr("start", 1), attr("end", 2)});
  const V shape = c.concat({c.constant_ints({1}), count, c.constant_ints({of.size})}, 0);
  const V weights = c.node("Expand", {squares, shape});
  const int64_t rest = (of.size + of.step - 1) / of.step * of.step - of.size;
  const V signal = c.div(cut(c, overlapped(c, frames, of), of, rest),
                         cut(c, overlapped(c, weights, of), of, rest));
  const V result = c.cast(padded(c, signal), c.out_dtype());
  return has_batch ? result : c.squeeze(result, {0});
}

}  // namespace

std::span<const Row> spectrogram_rows() {
  static constexpr Row kRows[] = {
      {"aten::istft", istft},
      {"aten::stft", stft},
  };
  return kRows;
}

}  // namespace modelexport::lowering
