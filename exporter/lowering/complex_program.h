// Operators on complex tensors as operators on real ones, before anything is lowered.
//
// The program holds a complex tensor as pairs (see program.h), but the arguments of its operators
// speak of the tensor without that last dimension. An operator that only moves elements, or that is
// linear in them, need not be lowered anew: complex_rules.h says how each becomes the same operator
// on real tensors (all pairs at once, or real and imaginary parts one after the other). Between
// them stand aten::view_as_real, aten::view_as_complex, aten::real, aten::imag and aten::complex;
// those, and operators without a rule, stay, and find_for_complex() (registry.h) has their
// lowerings.
#pragma once

#include "exporter/program/program.h"

namespace modelexport::lowering {

bool has_complex(const Program& program);
void rewrite_complex(Program& program);

}  // namespace modelexport::lowering
