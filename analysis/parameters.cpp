#include "analysis/parameters.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>
#include <system_error>
#include <unordered_map>

#include "exporter/onnx/tensor_bytes.h"

namespace modelexport::analysis {
namespace {

using Bytes = std::span<const std::byte>;

// Small enough that what was read is still in the cache when it is compared.
constexpr size_t kPiece = size_t{4} << 20;

// Tells the kernel that these pages of a mapped file are no longer needed, so that looking at all
// weights does not make the process as large as they are.
void release_pages(Bytes mapped) {
  static const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<uintptr_t>(mapped.data()) + page - 1) / page * page;
  const auto end = reinterpret_cast<uintptr_t>(mapped.data() + mapped.size()) / page * page;
  if (end > begin) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

bool same_bytes(const Program& program, const Tensor& tensor, const onnx::TensorView& view) {
  bool same = view.bytes.size() == onnx::byte_count(tensor);
  size_t position = 0;
  if (!same) return false;
  const bool in_file = program.storages[tensor.storage].file_offset >= 0 && tensor.is_contiguous();
  onnx::for_each_block(program, tensor, [&](Bytes block) {
    while (same && !block.empty()) {
      const Bytes piece = block.first(std::min(block.size(), kPiece));
      const Bytes written = view.bytes.subspan(position, piece.size());
      same = std::memcmp(piece.data(), written.data(), piece.size()) == 0;
      if (!view.location.empty()) release_pages(written);
      if (in_file) release_pages(piece);
      position += piece.size();
      block = block.subspan(piece.size());
    }
  });
  return same;
}

// "3 of 16 elements differ, the first is number 5"
std::string describe_difference(const Program& program, const Tensor& tensor,
                                const onnx::TensorView& view) {
  const size_t width = byte_size(tensor.dtype);
  size_t position = 0, count = 0, first = 0;
  onnx::for_each_block(program, tensor, [&](Bytes block) {
    for (size_t i = 0; i + width <= block.size(); i += width, ++position) {
      if (std::memcmp(block.data() + i, view.bytes.data() + position * width, width) == 0) continue;
      if (count++ == 0) first = position;
    }
  });
  return fmt::format("{} of {} elements differ, the first is number {}", count,
                     tensor.element_count(), first);
}

class ParameterChecker {
 public:
  ParameterChecker(const FileIndex& index, const Program& program, FindBy find_by,
                   const CheckedData& checked)
      : index_(index), program_(program), checked_location_(checked.location) {
    for (const auto& region : checked.regions) checked_.emplace(region.offset, region);
    for (const FileIndex::Initializer& initializer : index.initializers) {
      by_name_.emplace(initializer.view->name, initializer.view);
      if (find_by == FindBy::name_or_value)
        by_size_[{initializer.view->dtype, initializer.view->bytes.size()}].push_back(
            initializer.view);
    }
  }

  ParameterReport run(std::span<const RequiredTensor> required) {
    std::unordered_map<TensorId, std::string> names;  // in the file, of the required ones
    for (const RequiredTensor& tensor : required) names.emplace(tensor.tensor, tensor.name);
    for (TensorId id = 0; id < program_.tensors.size(); ++id) {
      const auto at = names.find(id);
      const bool is_required = at != names.end();
      if (program_.tensors[id].role == Role::constant && !is_required) continue;
      check(id, is_required, is_required ? at->second : "");
    }
    return std::move(report_);
  }

 private:
  void check(TensorId id, bool required, const std::string& name_in_file) {
    const Tensor& tensor = program_.tensors[id];
    ParameterCheck check{.tensor = id, .required = required};
    check.name = tensor.name.empty() ? name_in_file : tensor.name;
    check.shape = tensor.sizes;
    check.dtype = tensor.dtype;
    if (const onnx::TensorView* view = find_by_name(tensor, name_in_file, check)) {
      compare(tensor, *view, check);
    } else if (required && find_by_value(tensor, check)) {
      check.shape_matches = check.dtype_matches = check.value_matches = true;
    } else if (required) {
      report_.findings.push_back({Check::parameters, check.name,
                                  fmt::format("not found: expected {} [{}]", name(tensor.dtype),
                                              fmt::join(tensor.sizes, ", "))});
    }
    report_.parameters.push_back(std::move(check));
  }

  // A tensor with several names must be there under one of them only.
  const onnx::TensorView* find_by_name(const Tensor& tensor, const std::string& name_in_file,
                                       ParameterCheck& check) {
    std::vector<std::string> names = {name_in_file, tensor.name};
    names.insert(names.end(), tensor.aliases.begin(), tensor.aliases.end());
    const onnx::TensorView* found = nullptr;
    for (const std::string& name : names) {
      const auto at = by_name_.find(name);
      if (name.empty() || name == check.found_as || at == by_name_.end()) continue;
      if (!found) {
        found = at->second;
        check.found_as = name;
      } else {
        report_.findings.push_back(
            {Check::initializers, name,
             fmt::format("is the same parameter as {}, which is there too", check.found_as)});
      }
    }
    return found;
  }

  bool find_by_value(const Tensor& tensor, ParameterCheck& check) {
    const auto candidates = by_size_.find({tensor.dtype, onnx::byte_count(tensor)});
    if (candidates == by_size_.end()) return false;
    Tensor transpose = tensor;
    if (tensor.sizes.size() == 2) {
      std::swap(transpose.sizes[0], transpose.sizes[1]);
      std::swap(transpose.strides[0], transpose.strides[1]);
    }
    for (const Tensor* form : {&tensor, static_cast<const Tensor*>(&transpose)}) {
      for (const onnx::TensorView* view : candidates->second) {
        if (view->dims != form->sizes || !same_bytes(program_, *form, *view)) continue;
        check.found_as = view->name;
        check.transposed = form == &transpose;
        check.found_shape = view->dims;
        check.found_dtype = view->dtype;
        report_.bytes_compared += view->bytes.size();
        return true;
      }
    }
    return false;
  }

  void compare(const Tensor& tensor, const onnx::TensorView& view, ParameterCheck& check) {
    check.found_shape = view.dims;
    check.found_dtype = view.dtype;
    check.shape_matches = view.dims == tensor.sizes;
    check.dtype_matches = view.dtype == tensor.dtype;
    if (!check.shape_matches)
      report_.findings.push_back(
          {Check::parameters, check.name,
           fmt::format("shape: expected [{}], found [{}]", fmt::join(tensor.sizes, ", "),
                       fmt::join(view.dims, ", "))});
    if (!check.dtype_matches)
      report_.findings.push_back(
          {Check::parameters, check.name,
           fmt::format("dtype: expected {}, found {}", name(tensor.dtype), name(view.dtype))});
    if (!check.shape_matches || !check.dtype_matches) return;
    check.value_matches = is_in_checkpoint(tensor, view) || is_checked(tensor, view) ||
                          same_bytes(program_, tensor, view);
    report_.bytes_compared += view.bytes.size();
    if (!check.value_matches)
      report_.findings.push_back(
          {Check::parameters, check.name,
           "value: " + (view.bytes.size() == onnx::byte_count(tensor)
                            ? describe_difference(program_, tensor, view)
                            : fmt::format("expected {} bytes, found {}", onnx::byte_count(tensor),
                                          view.bytes.size()))});
  }

  // Does the file refer to the very bytes of the checkpoint that the tensor was loaded from?
  bool is_in_checkpoint(const Tensor& tensor, const onnx::TensorView& view) {
    const Storage& storage = program_.storages[tensor.storage];
    if (view.location.empty() || storage.file_offset < 0 || !tensor.is_contiguous()) return false;
    const uint64_t expected = static_cast<uint64_t>(storage.file_offset) +
                              static_cast<uint64_t>(tensor.offset) * byte_size(tensor.dtype);
    return view.offset == expected && view.bytes.size() == onnx::byte_count(tensor) &&
           is_checkpoint(view.location);
  }

  // Is it in the data file, where its bytes were compared when they were written?
  bool is_checked(const Tensor& tensor, const onnx::TensorView& view) const {
    const auto after = checked_.upper_bound(view.offset);
    if (view.location.empty() || view.location != checked_location_ || !tensor.is_contiguous() ||
        after == checked_.begin()) {
      return false;
    }
    const auto& [offset, region] = *std::prev(after);
    const uint64_t begin = static_cast<uint64_t>(tensor.offset) * byte_size(tensor.dtype);
    return region.extent.storage == tensor.storage &&
           region.extent.begin + (view.offset - offset) == begin &&
           begin + view.bytes.size() <= region.extent.end &&
           view.bytes.size() == onnx::byte_count(tensor);
  }

  bool is_checkpoint(const std::string& location) {
    const auto [at, is_new] = is_checkpoint_.try_emplace(location, false);
    if (is_new) {
      std::error_code ignored;  // a file that cannot be asked is not the checkpoint
      const auto folder = std::filesystem::path(index_.file.path).parent_path();
      at->second = std::filesystem::equivalent(folder / location, program_.source_file, ignored);
    }
    return at->second;
  }

  const FileIndex& index_;
  const Program& program_;
  std::unordered_map<std::string_view, const onnx::TensorView*> by_name_;
  std::map<std::pair<DType, size_t>, std::vector<const onnx::TensorView*>> by_size_;
  std::unordered_map<std::string, bool> is_checkpoint_;
  std::string checked_location_;
  std::map<uint64_t, onnx::DataLayout::Region> checked_;  // by offset there
  ParameterReport report_;
};

}  // namespace

ParameterReport check_parameters(const FileIndex& index, const Program& program,
                                 std::span<const RequiredTensor> required, FindBy find_by,
                                 const CheckedData& checked) {
  return ParameterChecker(index, program, find_by, checked).run(required);
}

}  // namespace modelexport::analysis
