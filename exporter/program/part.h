// One module call of a program, alone: what `export --module PATH` exports.
//
// Everything but the body, its inputs and outputs and the weights' names is that of the whole: a
// node that is made of the part has the tags and the name that it has in the whole. Weights are
// named as in the module's own state dict; those that are passed to it from outside keep the names
// that they have in the whole.
#pragma once

#include <string>

#include "exporter/program/program.h"

namespace modelexport {

// Throws Error{usage} if there is no such module, with paths that are near.
void require_module(const Program& program, const std::string& path);

// The first call of the module at `path`. Throws Error{usage} if there is none.
ScopeId first_call(const Program& program, const std::string& path);

// Throws Error{unsupported} if the call uses what it is not given, such as an attribute that
// another module sets.
Program part_of(Program whole, ScopeId call);

}  // namespace modelexport
