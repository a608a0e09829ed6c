#include "exporter/onnx/tensor_reader.h"

#include <fmt/format.h>

#include <charconv>
#include <filesystem>

#include "exporter/error.h"
#include "exporter/graph/dtype_onnx.h"

namespace modelexport::onnx {
namespace {

namespace fs = std::filesystem;

std::optional<uint64_t> parse_number(const std::string& text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// nullopt if a dimension is negative or the product does not fit.
std::optional<uint64_t> byte_count(const std::vector<int64_t>& dims, size_t element) {
  uint64_t bytes = element;
  for (int64_t dim : dims) {
    if (dim < 0 || __builtin_mul_overflow(bytes, static_cast<uint64_t>(dim), &bytes)) {
      return std::nullopt;
    }
  }
  return bytes;
}

// The low-order bytes of each number.
template <typename Numbers>
void append_narrowed(const Numbers& numbers, size_t element, std::string& to) {
  for (auto number : numbers) to.append(reinterpret_cast<const char*>(&number), element);
}

}  // namespace

void TensorReader::fail(const std::string& tensor, const std::string& what) const {
  throw Error(ErrorKind::unreadable, fmt::format("{}: tensor {} {}", model_path_, tensor, what));
}

TensorView TensorReader::read(const pb::TensorProto& tensor) {
  TensorView view{.name = tensor.name(), .dtype = graph::dtype_from_onnx(tensor.data_type())};
  view.dims.assign(tensor.dims().begin(), tensor.dims().end());
  for (const auto& entry : tensor.metadata_props()) {
    view.metadata.emplace_back(entry.key(), entry.value());
  }
  const size_t element = byte_size(view.dtype);
  const std::optional<uint64_t> expected = byte_count(view.dims, element);
  if (!expected) fail(view.name, "has an impossible shape");
  if (tensor.data_location() == pb::TensorProto::EXTERNAL) {
    view.bytes = external_bytes(tensor, view);
  } else if (tensor.has_raw_data()) {
    view.bytes = std::as_bytes(std::span(tensor.raw_data()));
  } else if (element > 0) {
    view.bytes = converted_bytes(tensor, element);
  }
  if (element > 0 && view.bytes.size() != *expected) {
    fail(view.name, fmt::format("has {} bytes where its type and shape need {}", view.bytes.size(),
                                *expected));
  }
  return view;
}

std::span<const std::byte> TensorReader::external_bytes(const pb::TensorProto& tensor,
                                                        TensorView& view) {
  std::optional<uint64_t> length;
  for (const auto& entry : tensor.external_data()) {
    if (entry.key() == "location") {
      view.location = entry.value();
      continue;
    }
    if (entry.key() != "offset" && entry.key() != "length") continue;
    const auto number = parse_number(entry.value());
    if (!number) fail(view.name, fmt::format("has the {} \"{}\"", entry.key(), entry.value()));
    if (entry.key() == "offset") view.offset = *number;
    if (entry.key() == "length") length = *number;
  }
  const fs::path relative = fs::path(view.location).lexically_normal();
  if (view.location.empty() || relative.is_absolute() || *relative.begin() == "..") {
    fail(view.name, fmt::format("has its data in \"{}\", which is outside the folder of the model",
                                view.location));
  }
  const std::span<const std::byte> bytes = file(view.location).bytes();
  // Without a length, the tensor takes what its shape needs.
  const auto needed = byte_count(view.dims, byte_size(view.dtype));
  const uint64_t size = length.value_or(needed.value_or(0));
  if (view.offset > bytes.size() || size > bytes.size() - view.offset) {
    fail(view.name, fmt::format("is at {} in {} and has {} bytes, but that file ends at {}",
                                view.offset, view.location, size, bytes.size()));
  }
  return bytes.subspan(view.offset, size);
}

const MappedFile& TensorReader::file(const std::string& location) {
  std::unique_ptr<MappedFile>& mapped = files_[location];
  if (!mapped) {
    mapped =
        std::make_unique<MappedFile>((fs::path(model_path_).parent_path() / location).native());
  }
  return *mapped;
}

std::span<const std::byte> TensorReader::converted_bytes(const pb::TensorProto& tensor,
                                                         size_t element) {
  std::string bytes;
  const size_t part =
      is_complex(graph::dtype_from_onnx(tensor.data_type())) ? element / 2 : element;
  append_narrowed(tensor.float_data(), part, bytes);
  append_narrowed(tensor.double_data(), part, bytes);
  append_narrowed(tensor.int32_data(), part, bytes);
  append_narrowed(tensor.int64_data(), part, bytes);
  append_narrowed(tensor.uint64_data(), part, bytes);
  converted_.push_back(std::move(bytes));
  return std::as_bytes(std::span(converted_.back()));
}

}  // namespace modelexport::onnx
