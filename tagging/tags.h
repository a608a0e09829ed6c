// Tags: which module, class and source line a node of the graph came from, as ONNX metadata.
//
//   Hierarchy hierarchy(program, {});
//   Tagger tagger(program, hierarchy);
//   Metadata metadata = tagger.node(node);  // for NodeProto.metadata_props
//
// Keys and value formats are those of PyTorch's dynamo exporter, so that its tools read them, plus
// `hierarchy_tag`:
//   namespace                      ": pkg.Net/blocks.0: pkg.Block/linear: aten::linear"
//   pkg.torch.onnx.class_hierarchy "['pkg.Net', 'pkg.Block', 'aten::linear']"     a Python list
//   pkg.torch.onnx.name_scopes     "['', 'blocks.0', 'linear']"                   a Python list
//   pkg.torch.onnx.stack_trace     "File \"net.py\", line 10, in forward\n  File ..."
//   hierarchy_tag                  "/Net/Block.0"    classes without their packages; see
//   hierarchy.h
// A call of a local function is tagged with the module that it calls, and has no operator of its own:
// ": pkg.Net/blocks.0: pkg.Block". Within the function, the tags are those of a model that is this
// module alone: ": pkg.Block/linear: aten::linear". nested_tags() joins the two.
// Everything that is the same for all nodes of a module call is made once, when the Tagger is.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "exporter/graph/graph.h"
#include "exporter/program/program.h"
#include "tagging/hierarchy.h"

namespace modelexport::tagging {

inline constexpr char kNamespace[] = "namespace";
inline constexpr char kClassHierarchy[] = "pkg.torch.onnx.class_hierarchy";
inline constexpr char kNameScopes[] = "pkg.torch.onnx.name_scopes";
inline constexpr char kStackTrace[] = "pkg.torch.onnx.stack_trace";
inline constexpr char kHierarchyTag[] = "hierarchy_tag";
inline constexpr char kInputKind[] = "pkg.torch.export.graph_signature.InputSpec.kind";
inline constexpr char kInputPersistent[] = "pkg.torch.export.graph_signature.InputSpec.persistent";
inline constexpr char kOutputKind[] = "pkg.torch.export.graph_signature.OutputSpec.kind";
// Of the model: the path of the module that it is (export --module). Of initializers: path of the
// module that owns it; Python list of its other state-dict names.
inline constexpr char kModule[] = "pkg.modelexport.module";
// Of local functions that stand for module calls: the class.
inline constexpr char kModuleClass[] = "pkg.modelexport.class";
inline constexpr char kAliases[] = "pkg.modelexport.aliases";

// Key and value, in the order of the file. Keys are the constants above.
using Metadata = std::vector<std::pair<std::string, std::string>>;

// The tags of a node in the body of a function, as they are where the function is called: `call` are
// those of the call, `inner` those of the node, which may be a call itself. A node that has none takes
// those of the call.
Metadata nested_tags(const Metadata& call, const Metadata& inner, bool inner_is_call);

// How many nodes carry tags, and how their origins came about (see graph::TagKind). Nodes of blocks
// and of function bodies count as well.
struct TagCounts {
  size_t total = 0;
  size_t tagged = 0;
  size_t direct = 0;
  size_t merged = 0;
  size_t root = 0;
};
TagCounts count_tags(const graph::Graph& graph);

class Tagger {
 public:
  // Both must live as long as the Tagger.
  Tagger(const Program& program, const Hierarchy& hierarchy);

  // A node without an origin belongs to the root module, and is its own operator. `function`: in
  // whose body it stands.
  Metadata node(const graph::Node& node, const graph::Function* function = nullptr) const;

  Metadata input() const;   // of the model, for its ValueInfoProto
  Metadata output() const;  // the same

  // Kind of a weight (PARAMETER, BUFFER or CONSTANT_TENSOR), the path of the module that owns it
  // and its other names; nothing for a constant that a lowering made.
  Metadata initializer(const graph::Initializer& initializer) const;

 private:
  struct Prefix {  // of the values of all nodes of one level
    std::string namespaces, class_hierarchy, name_scopes;
    std::string hierarchy_tag;
  };

  void add_level(Prefix& prefix, std::string_view path, std::string_view class_name) const;
  Prefix prefix_within(LevelId level, LevelId above) const;
  Metadata call(const graph::Node& node, const Prefix& prefix, size_t outer_frames) const;
  std::string stack_trace(const graph::Node& node, size_t outer_frames, size_t end) const;

  const Program& program_;
  const Hierarchy& hierarchy_;
  std::vector<Prefix> prefixes_;           // one per level
  std::vector<std::string> stack_traces_;  // one per source
};

}  // namespace modelexport::tagging
