// Input specifications as text: "--input SPEC". No torch in here.
//
//   input_ids:int64[batch=2,seq=16]=range(0,30522)  made up: by name, two dynamic dimensions
//   float32[1,3,224,224]                            made up: by position, all dimensions static
//   mask[batch,seq]                                 dtype and sizes are the checkpoint's traced
//   ones past.0.1:float16[batch=2,8,past=5,64]           an element of a tuple, list or dict
//   scale=0.5  flag=true  mode='mean'  mask=None    a value for an argument that is no tensor
//   steps:int=4  scale:float  flag:bool             a number that is an input; its first value
//
// Errors (usage) quote the specification and point at what is wrong in it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "exporter/program/dtype.h"

namespace modelexport::frontend {

struct DimSpec {
  std::string name;             // empty: static
  std::optional<int64_t> size;  // absent: the traced one, or one is made up
};

struct InputSpec {
  using Literal =
      std::variant<std::monostate, bool, int64_t, double, std::string>;  // None, True, 3...

  std::string text;                                  // as given, for messages
  std::string name;                                  // empty: by position
  DType dtype = DType::undefined;                    // undefined: the traced one
  std::optional<std::vector<DimSpec>> dims;          // absent: the traced ones
  std::optional<std::pair<int64_t, int64_t>> range;  // inclusive, exclusive
  std::optional<Literal> literal;  // no tensor, but this value; with a dtype, one of an input
};

InputSpec parse_input_spec(const std::string& text);

}  // namespace modelexport::frontend
