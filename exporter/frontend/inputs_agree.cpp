#include "exporter/frontend/inputs_agree.h"

#include <fmt/format.h>

#include "exporter/error.h"
#include "exporter/frontend/value_paths.h"

namespace modelexport::frontend {
namespace {

// Walks two examples side by side.
class Agreement {
 public:
  Agreement(const c10::FunctionSchema& forward, const Example& first, const std::string& first_file,
            const Example& other, const std::string& file)
      : forward_(forward), first_(first), first_file_(first_file), other_(other), file_(file) {}

  // Names of the numbers that differ, and of the lists of numbers whose lengths do.
  std::set<std::string> differing() {
    for (size_t i = 0; i < first_.arguments.size(); ++i) {
      compare(first_.arguments[i], other_.arguments[i], forward_.arguments()[i + 1].name());
    }
    return std::move(differing_);
  }

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    throw Error(
        ErrorKind::usage,
        fmt::format("{} and {} do not go together: {}; one holds {}, the other {}", first_file_,
                    file_, what, describe(forward_, first_), describe(forward_, other_)));
  }

  void compare(const c10::IValue& a, const c10::IValue& b, const std::string& name) {
    if (a.isNone() != b.isNone()) {
      refuse(
          fmt::format("'{}' is None in one of them only, which becomes part of the exported "
                      "model",
                      name));
    }
    if (a.tagKind() != b.tagKind()) refuse(fmt::format("the types of '{}' differ", name));
    if (a.isTensor()) {
      compare_tensors(a.toTensor(), b.toTensor(), name);
    } else if (a.isTuple()) {
      compare_elements(a.toTupleRef().elements().vec(), b.toTupleRef().elements().vec(), name);
    } else if (is_number_list(a) && a.toListRef().size() != b.toListRef().size()) {
      differing_.insert(name);
    } else if (a.isList()) {
      compare_elements(a.toListRef().vec(), b.toListRef().vec(), name);
    } else if (a.isGenericDict()) {
      compare_dicts(a.toGenericDict(), b.toGenericDict(), name);
    } else if (a != b) {
      if (!a.isScalar()) {
        refuse(fmt::format("the values of '{}' differ, which become part of the exported model",
                           name));
      }
      differing_.insert(name);
    }
  }

  void compare_tensors(const at::Tensor& a, const at::Tensor& b, const std::string& name) const {
    if (a.scalar_type() != b.scalar_type()) {
      refuse(fmt::format("the dtypes of '{}' differ", name));
    }
    if (a.dim() != b.dim()) refuse(fmt::format("the ranks of '{}' differ", name));
  }

  void compare_elements(const std::vector<c10::IValue>& a, const std::vector<c10::IValue>& b,
                        const std::string& name) {
    if (a.size() != b.size()) refuse(fmt::format("the lengths of '{}' differ", name));
    for (size_t i = 0; i < a.size(); ++i) compare(a[i], b[i], fmt::format("{}.{}", name, i));
  }

  void compare_dicts(const c10::impl::GenericDict& a, const c10::impl::GenericDict& b,
                     const std::string& name) {
    bool same_keys = a.size() == b.size();
    for (auto x = a.begin(), y = b.begin(); same_keys && x != a.end(); ++x, ++y) {
      same_keys = x->key() == y->key();
    }
    if (!same_keys) refuse(fmt::format("the keys of '{}', or their order, differ", name));
    for (auto x = a.begin(), y = b.begin(); x != a.end(); ++x, ++y) {
      compare(x->value(), y->value(), name + "." + key_text(x->key()));
    }
  }

  const c10::FunctionSchema& forward_;
  const Example& first_;
  const std::string& first_file_;
  const Example& other_;
  const std::string& file_;
  std::set<std::string> differing_;
};

}  // namespace

void make_agree(const c10::FunctionSchema& forward, const std::vector<std::string>& files,
                std::vector<Example>& examples) {
  std::set<std::string> inputs;
  for (size_t i = 1; i < examples.size(); ++i) {
    Agreement agreement(forward, examples[0], files[0], examples[i], files[i]);
    inputs.merge(agreement.differing());
  }
  for (Example& example : examples) mark_inputs(forward, inputs, example);
}

}  // namespace modelexport::frontend
