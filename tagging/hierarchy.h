// The hierarchy of module calls: what stands above each node of the graph.
//
// A level is a module as it is reached by calls: all calls of one module from one place share it,
// and so do calls of a module's other methods, or of free functions, from that module itself. A
// container that only holds modules and is never called (ModuleList) is no level.
//
// Each level has a tag: the classes from the root down, without their packages:
// "/BertModel/BertEncoder/BertLayer.3". ".name" (the last element of the module's path) is there
// where siblings share a class; where that is not unique either, it is the path below the level
// above ("down.0"). Modules of torch.nn, other than the root, take the tag of the level above
// unless asked for. So, but for those left out, levels of different modules have different tags.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "exporter/program/program.h"

namespace modelexport::tagging {

using LevelId = uint32_t;

struct TagOptions {
  bool include_torch_nn = false;
};

struct Level {
  LevelId parent = kNone;
  ModuleId module = kNone;
  std::string path;        // of the module as reached: "encoder.layer.3"
  std::string class_name;  // "transformers.models.bert.modeling_bert.BertLayer"
  std::string tag;
  bool tagged = true;  // false: left out, `tag` is that of the level above
};

// Sets `tag` and `tagged` of all levels ([0] is the root, parents stand first). Where `tree` is
// known, siblings are also those that stand side by side in it, whether called or not, so that tags
// do not depend on what was called; Level::module is its index.
void assign_tags(std::vector<Level>& levels, const std::vector<Module>& tree,
                 const TagOptions& options);

class Hierarchy {
 public:
  Hierarchy(const Program& program, const TagOptions& options);

  const TagOptions& options() const { return options_; }
  const std::vector<Level>& levels() const { return levels_; }  // [0] is the root; parents first
  LevelId level_of(ScopeId scope) const;                        // kNone is the root

 private:
  void make_levels(const Program& program);

  TagOptions options_;
  std::vector<Level> levels_;
  std::vector<LevelId> level_of_scope_;
};

// "Linear" of "torch.nn.modules.linear.Linear".
std::string_view short_class_name(std::string_view class_name);
bool is_torch_nn(std::string_view class_name);
// "3" of "encoder.layer.3".
std::string_view last_element(std::string_view path);

}  // namespace modelexport::tagging
