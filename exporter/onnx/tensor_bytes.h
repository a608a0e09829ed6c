// The contents of a Program's tensor as ONNX stores them: row-major, without gaps. A contiguous
// tensor is seen where it lies; any other is gathered block by block, never as a whole.
// Errors (Error): unreadable if the tensor reaches beyond its storage.
#pragma once

#include <cstddef>
#include <functional>
#include <span>

#include "exporter/graph/graph.h"
#include "exporter/program/program.h"

namespace modelexport::onnx {

using BlockFunction = std::function<void(std::span<const std::byte>)>;

size_t byte_count(const Tensor& tensor);

// Only for contiguous tensors.
std::span<const std::byte> contiguous_bytes(const Program& program, const Tensor& tensor);

// Calls `take` with consecutive pieces: one for a contiguous tensor, else of at most 1 MiB each.
void for_each_block(const Program& program, const Tensor& tensor, const BlockFunction& take);

// The same for the graph's tensors, whose bytes are their own or those of a Program's tensor.
size_t byte_count(const Program& program, const graph::TensorData& tensor);
void for_each_block(const Program& program, const graph::TensorData& tensor,
                    const BlockFunction& take);

}  // namespace modelexport::onnx
