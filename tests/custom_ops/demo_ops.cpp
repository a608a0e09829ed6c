// Custom operators and a custom class, as a user compiles them: with LibTorch alone.
#include <ATen/ATen.h>
#include <torch/custom_class.h>
#include <torch/library.h>

namespace {

// x * factor + shift, with the shift left out if there is none.
at::Tensor scale(const at::Tensor& x, double factor, const std::optional<at::Tensor>& shift) {
  const at::Tensor scaled = x * factor;
  return shift ? scaled + *shift : scaled;
}

// The sums over `axes`, and how many elements each has.
std::tuple<at::Tensor, at::Tensor> sums(const at::Tensor& x, at::IntArrayRef axes) {
  const at::Tensor sum = x.sum(axes, /*keepdim=*/true);
  return {sum, at::full({}, x.numel() / sum.numel(), at::kLong)};
}

at::Tensor join(at::TensorList parts, int64_t axis) { return at::cat(parts, axis); }

// Something with a state that a checkpoint keeps.
struct Gain : torch::CustomClassHolder {
  explicit Gain(double factor) : factor(factor) {}
  at::Tensor apply(const at::Tensor& x) { return x * factor; }
  double factor;
};

}  // namespace

TORCH_LIBRARY(demo, library) {
  library.def("scale(Tensor x, float factor, Tensor? shift=None) -> Tensor", &scale);
  library.def("sums(Tensor x, int[] axes) -> (Tensor, Tensor)", &sums);
  library.def("join(Tensor[] parts, int axis=0) -> Tensor", &join);
  library.class_<Gain>("Gain")
      .def(torch::init<double>())
      .def("factor", [](const c10::intrusive_ptr<Gain>& gain) { return gain->factor; })
      .def("apply", &Gain::apply)
      .def_pickle([](const c10::intrusive_ptr<Gain>& gain) { return gain->factor; },
                  [](double factor) { return c10::make_intrusive<Gain>(factor); });
}
