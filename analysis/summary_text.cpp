#include "analysis/summary_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <set>

#include "analysis/sharing_json.h"
#include "exporter/program/module_tensor.h"
#include "tagging/number_text.h"

namespace modelexport::analysis {
namespace {

std::string title_of(const ModelSummary& model) {
  std::string text = model.file + ": " + model.format;
  if (!model.producer.empty()) text += " of " + model.producer;
  if (model.opset > 0) text += fmt::format(", opset {}", model.opset);
  return text;
}

std::string sharing_heading(const Sharing& sharing) {
  return fmt::format("{} of {} parameters are shared ({:.1f} %), which saves {}",
                     sharing.parameters.size(), sharing.total_parameters,
                     100 * sharing.percentage(), tagging::readable_bytes(sharing.bytes_saved));
}

std::string describe(const SharedParameter& shared) {
  std::string text = fmt::format("{}, {}, used {}x", name(shared.pattern),
                                 tagging::readable_bytes(shared.bytes), shared.share_count);
  if (!shared.used_by.empty()) text += fmt::format(" by {}", fmt::join(shared.used_by, ", "));
  if (!shared.aliases.empty()) text += fmt::format("; is also {}", fmt::join(shared.aliases, ", "));
  return text;
}

// Sums over a module and all below it; what several of them hold counts once.
struct Totals {
  int64_t parameters = 0, bytes = 0, nodes = 0;
};
std::vector<Totals> totals(const ModelSummary& model) {
  const std::vector<Module>& modules = model.tree.modules;
  std::vector<Totals> out(modules.size());
  std::vector<std::set<TensorId>> tensors(modules.size());
  const std::vector<int64_t> nodes = nodes_by_module(model);
  for (ModuleId id = modules.size(); id-- > 0;) {
    tensors[id].insert(modules[id].parameters.begin(), modules[id].parameters.end());
    for (TensorId tensor : tensors[id]) {
      out[id].parameters += module_element_count(model.tree.tensors[tensor]);
      out[id].bytes += byte_count(model.tree.tensors[tensor]);
    }
    out[id].nodes += nodes[id];
    if (modules[id].parent == kNone) continue;
    out[modules[id].parent].nodes += out[id].nodes;
    tensors[modules[id].parent].merge(tensors[id]);
  }
  return out;
}

class SummaryWriter {
 public:
  SummaryWriter(const ModelSummary& model, JsonWriter& json) : model_(model), json_(json) {}

  void run() {
    json_.begin_object();
    json_.member("file", model_.file);
    json_.member("format", model_.format);
    json_.member("producer", model_.producer);
    json_.member("opset", model_.opset);
    json_.member("class", model_.tree.class_name);
    write_ports("inputs", model_.inputs);
    write_ports("outputs", model_.outputs);
    write_modules();
    write_tensors();
    json_.key("operators");
    json_.begin_object();
    for (const OperatorCount& count : count_operators(model_)) json_.member(count.op, count.count);
    json_.end_object();
    write_sharing(model_.sharing, json_);
    json_.member("notes", model_.tree.warnings);
    json_.end_object();
  }

 private:
  void write_ports(const char* key, const std::vector<ModelPort>& ports) {
    json_.key(key);
    json_.begin_array();
    for (const ModelPort& port : ports) {
      json_.begin_object();
      json_.member("name", port.name);
      json_.member("type", port.type);
      json_.end_object();
    }
    json_.end_array();
  }

  void write_names(const char* key, const std::vector<TensorId>& tensors) {
    json_.key(key);
    json_.begin_array();
    for (TensorId id : tensors) json_.value(model_.tree.tensors[id].name);
    json_.end_array();
  }

  void write_modules() {
    const std::vector<Totals> sums = totals(model_);
    json_.key("modules");
    json_.begin_array();
    for (ModuleId id = 0; id < model_.tree.modules.size(); ++id) {
      const Module& module = model_.tree.modules[id];
      json_.begin_object();
      json_.member("path", module.path);
      json_.member("class", module.class_name);
      json_.member("tag", model_.tags[id]);
      write_names("parameters", module.parameters);
      write_names("buffers", module.buffers);
      json_.member("calls", module.calls);
      if (module.same_as != kNone)
        json_.member("same_as", model_.tree.modules[module.same_as].path);
      json_.member("total_parameters", sums[id].parameters);
      json_.member("total_bytes", sums[id].bytes);
      json_.member("total_operators", sums[id].nodes);
      json_.end_object();
    }
    json_.end_array();
  }

  void write_tensors() {
    json_.key("tensors");
    json_.begin_array();
    for (const Tensor& tensor : model_.tree.tensors) {
      if (tensor.role == Role::constant) continue;
      json_.begin_object();
      json_.member("name", tensor.name);
      json_.member("aliases", tensor.aliases);
      json_.member("kind", tensor.role == Role::parameter ? "parameter" : "buffer");
      json_.member("dtype", name(module_dtype(tensor)));
      json_.member("shape", module_sizes(tensor));
      json_.member("bytes", byte_count(tensor));
      json_.end_object();
    }
    json_.end_array();
  }

  const ModelSummary& model_;
  JsonWriter& json_;
};

}  // namespace

std::string to_text(const ModelSummary& model, const tagging::TreeOptions& tree,
                    TextFormat format) {
  const bool markdown = format == TextFormat::markdown;
  const std::string rows =
      tagging::format_tree(tagging::tree_rows(model.tree, nodes_by_module(model), tree), tree);
  std::string out = markdown ? fmt::format("## {}\n\n```text\n{}```\n", title_of(model), rows)
                             : fmt::format("{}\n\n{}", title_of(model), rows);
  if (!model.sharing.parameters.empty()) {
    out += markdown ? fmt::format("\n### Sharing\n\n{}\n\n| parameter | |\n|---|---|\n",
                                  sharing_heading(model.sharing))
                    : fmt::format("\n{}\n", sharing_heading(model.sharing));
    for (const SharedParameter& shared : model.sharing.parameters)
      out += markdown ? fmt::format("| `{}` | {} |\n", shared.name, describe(shared))
                      : fmt::format("  {}: {}\n", shared.name, describe(shared));
  }
  const std::vector<OperatorCount> operators = count_operators(model);
  if (!operators.empty())
    out += markdown ? "\n### Operators\n\n| operator | count |\n|---|---:|\n" : "\noperators\n";
  for (const OperatorCount& count : operators)
    out += markdown ? fmt::format("| `{}` | {} |\n", count.op, count.count)
                    : fmt::format("  {:6} {}\n", count.count, count.op);
  return out;
}

void write_summary(const ModelSummary& model, JsonWriter& json) {
  SummaryWriter(model, json).run();
}

}  // namespace modelexport::analysis
