#include "exporter/onnx/tensor_bytes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "exporter/error.h"

namespace modelexport::onnx {
namespace {

constexpr size_t kBlock = size_t{1} << 20;

// The tensor's first element, after checking that its last one is within the storage too.
const std::byte* first_element(const Program& program, const Tensor& tensor) {
  const Storage& storage = program.storages.at(tensor.storage);
  const auto element = static_cast<int64_t>(byte_size(tensor.dtype));
  int64_t last = tensor.offset;
  bool valid = element > 0 && tensor.offset >= 0;
  for (size_t i = 0; i < tensor.sizes.size(); ++i) {
    valid = valid && tensor.strides[i] >= 0;
    last += (tensor.sizes[i] - 1) * tensor.strides[i];
  }
  if (!valid || (last + 1) * element > static_cast<int64_t>(storage.bytes)) {
    throw Error(
        ErrorKind::unreadable,
        fmt::format("{}: tensor {} reaches beyond its storage of {} bytes: the file is damaged",
                    program.source_file, tensor.name.empty() ? "(a constant)" : tensor.name,
                    storage.bytes));
  }
  return storage.data + tensor.offset * element;
}

// Copies rows along the last dimension, element by element of a size known when compiling.
template <size_t kSize>
void gather(const Tensor& tensor, const std::byte* first, const BlockFunction& take) {
  const size_t rank = tensor.sizes.size();
  std::vector<int64_t> index(rank, 0);
  std::vector<std::byte> buffer(kBlock);
  size_t used = 0;
  int64_t position = 0;  // of the current row, in elements
  const auto next_row = [&] {
    for (size_t i = rank - 1; i-- > 0;) {
      position += tensor.strides[i];
      if (++index[i] < tensor.sizes[i]) return true;
      position -= tensor.strides[i] * tensor.sizes[i];
      index[i] = 0;
    }
    return false;
  };
  do {
    for (int64_t i = 0; i < tensor.sizes[rank - 1]; ++i) {
      const int64_t element = position + i * tensor.strides[rank - 1];
      std::memcpy(buffer.data() + used, first + element * static_cast<int64_t>(kSize), kSize);
      used += kSize;
      if (used < kBlock) continue;
      take({buffer.data(), used});
      used = 0;
    }
  } while (next_row());
  if (used > 0) take({buffer.data(), used});
}

}  // namespace

size_t byte_count(const Tensor& tensor) {
  return static_cast<size_t>(tensor.element_count()) * byte_size(tensor.dtype);
}

std::span<const std::byte> contiguous_bytes(const Program& program, const Tensor& tensor) {
  const size_t bytes = byte_count(tensor);
  if (bytes == 0) return {};
  return {first_element(program, tensor), bytes};
}

void for_each_block(const Program& program, const Tensor& tensor, const BlockFunction& take) {
  if (byte_count(tensor) == 0) return;
  const std::byte* first = first_element(program, tensor);
  if (tensor.is_contiguous()) return take({first, byte_count(tensor)});
  switch (byte_size(tensor.dtype)) {
    case 1:
      return gather<1>(tensor, first, take);
    case 2:
      return gather<2>(tensor, first, take);
    case 4:
      return gather<4>(tensor, first, take);
    case 8:
      return gather<8>(tensor, first, take);
    case 16:
      return gather<16>(tensor, first, take);
  }
  throw Error(ErrorKind::internal, fmt::format("tensors of {} have no bytes", name(tensor.dtype)));
}

size_t byte_count(const Program& program, const graph::TensorData& tensor) {
  if (const auto* owned = std::get_if<std::string>(&tensor.data)) return owned->size();
  return byte_count(program.tensors.at(std::get<TensorId>(tensor.data)));
}

void for_each_block(const Program& program, const graph::TensorData& tensor,
                    const BlockFunction& take) {
  if (const auto* owned = std::get_if<std::string>(&tensor.data)) {
    if (!owned->empty()) take(std::as_bytes(std::span(*owned)));
  } else {
    for_each_block(program, program.tensors.at(std::get<TensorId>(tensor.data)), take);
  }
}

}  // namespace modelexport::onnx
