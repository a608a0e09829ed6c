// Arguments of a call as a node of any operator has them: for operators that are not lowered by a
// function of their own (custom ones, unsupported ones).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "exporter/lowering/call.h"

namespace modelexport::lowering {

// Of the schema; npos of std::string if there is none of that name.
size_t argument_index(const Call& c, const std::string& name);
// "Tensor", "int[]"; empty if not known.
std::string argument_type(const Call& c, size_t index);
// Whether it is one by its type: Tensor, Tensor?, Tensor[]...
bool takes_tensors(const Call& c, size_t index);

// As inputs: a tensor or number is one, a list of tensors has one for each, a list of ints is one
// (1-D).
std::vector<V> inputs_of(Call& c, size_t index);
// As an attribute; nullopt for None. Unsupported if it depends on the inputs.
std::optional<graph::Attribute> attribute_of(Call& c, size_t index, const std::string& name);

// A node with the results that were observed.
std::vector<V> node_as_observed(Call& c, const std::string& domain, const std::string& op_type,
                                std::vector<V> inputs, Attributes attributes);

}  // namespace modelexport::lowering
