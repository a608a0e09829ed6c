#include "exporter/lowering/plugin.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include "exporter/error.h"

namespace modelexport::lowering {

void load_lowerings(const std::string& path, Lowerings& lowerings) {
  // Relative to the working folder, as every other file, not to be searched for.
  const std::string file = path.find('/') == std::string::npos ? "./" + path : path;
  void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    throw Error(ErrorKind::usage, fmt::format("cannot load the lowerings {}: {}", path, dlerror()));
  }
  using Entry = const Plugin* (*)();
  const auto entry = reinterpret_cast<Entry>(dlsym(library, "modelexport_lowerings"));
  if (entry == nullptr) {
    throw Error(ErrorKind::usage,
                fmt::format("{} has no lowerings: it lacks MODELEXPORT_LOWERINGS(rows), see "
                            "exporter/lowering/plugin.h",
                            path));
  }
  const Plugin& plugin = *entry();
  if (plugin.interface != kPluginInterface) {
    throw Error(ErrorKind::usage, fmt::format("{} was built for another version of modelexport; "
                                              "build it with the headers of this one",
                                              path));
  }
  for (size_t i = 0; i < plugin.count; ++i) {
    lowerings.add(std::string(plugin.rows[i].key), lowering_of(plugin.rows[i]));
  }
}

}  // namespace modelexport::lowering
