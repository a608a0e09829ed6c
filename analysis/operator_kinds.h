// What kinds of operators matter to the question who uses a parameter: by the names of ATen
// ("aten::add", in place or not) and of ONNX ("Add").
#pragma once

#include <string_view>

namespace modelexport::analysis {

bool is_lookup(std::string_view op);         // rows of its first argument, by its second
bool reads_shape_only(std::string_view op);  // whatever its argument holds
bool normalizes(std::string_view op);        // softmax
bool attends(std::string_view op);           // softmax and product in one
bool multiplies(std::string_view op);        // matrices
bool hands_on(std::string_view op);          // a view, or a sum with something else
bool masks(std::string_view op);  // what stands between softmax and product: drops some of it

}  // namespace modelexport::analysis
