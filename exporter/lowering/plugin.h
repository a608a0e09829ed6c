// A shared library with lowerings, for --load-lowerings. It needs these headers and no library:
// what they declare is resolved in modelexport when it loads it.
//
//   #include "exporter/lowering/plugin.h"
//   using namespace modelexport::lowering;
//
//   // my::scale(Tensor x, float factor) -> Tensor
//   V scale(Call& c) {
//     const V x = c.tensor("x");
//     return c.mul(x, c.constant(c.number("factor"), c.dtype_of(x)));
//   }
//   constexpr Row kRows[] = {{"my::scale", scale}};
//   MODELEXPORT_LOWERINGS(kRows)
//
// A key may also be that of a built-in lowering, which it then takes the place of. The library must
// be built with the headers of the modelexport that loads it; another version is refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "exporter/lowering/call.h"
#include "exporter/lowering/lowerings.h"
#include "exporter/lowering/registry.h"

namespace modelexport::lowering {

struct Plugin {
  uint64_t interface;  // the first member in all versions
  const Row* rows;
  size_t count;
};

// To be raised when what these headers declare changes its meaning; changes of layout show by
// themselves.
inline constexpr uint64_t kInterfaceVersion = 1;
inline constexpr uint64_t kPluginInterface = [] {
  uint64_t number = kInterfaceVersion;
  for (const size_t size :
       {sizeof(Row), sizeof(Call), sizeof(Program), sizeof(Op), sizeof(Value), sizeof(Tensor),
        sizeof(Schema), sizeof(Symbol), sizeof(Argument), sizeof(graph::Attribute)}) {
    number = number * 1009 + size;
  }
  return number;
}();

// Adds the rows of the library. Throws Error{usage}.
void load_lowerings(const std::string& path, Lowerings& lowerings);

}  // namespace modelexport::lowering

#define MODELEXPORT_LOWERINGS(rows)                                                               \
  extern "C" __attribute__((visibility("default"))) const modelexport::lowering::Plugin*          \
  modelexport_lowerings() {                                                                       \
    static const modelexport::lowering::Plugin plugin = {modelexport::lowering::kPluginInterface, \
                                                         rows, sizeof(rows) / sizeof(rows[0])};   \
    return &plugin;                                                                               \
  }
