#include "analysis/comparison_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tagging/number_text.h"

namespace modelexport::analysis {
namespace {

using tagging::counted;
using tagging::with_commas;

std::string path_text(const Module& module) { return module.path.empty() ? "(root)" : module.path; }

std::string type_text(const Tensor& tensor) {
  return fmt::format("{} [{}]", name(tensor.dtype), fmt::join(tensor.sizes, ", "));
}

std::string between(const std::string& first, const std::string& second) {
  if (first.empty() || second.empty()) return first + second;
  return first + " -> " + second;
}

// One name, or both where they differ.
std::string named(const std::string& first, const std::string& second) {
  return first == second ? first : between(first, second);
}

class Lines {
 public:
  Lines(const ModelSummary& first, const ModelSummary& second, const Comparison& comparison)
      : a_(first), b_(second), comparison_(comparison) {}

  std::vector<DifferenceSection> run() {
    begin("interface");
    for (const InterfaceChange& change : comparison_.interface)
      add(change.change, change.what, change.what, between(change.first, change.second));
    begin("modules");
    for (const ModuleChange& change : comparison_.modules) add(change);
    begin("parameters");
    for (const TensorChange& change : comparison_.tensors) add(change);
    begin("operators");
    for (const OperatorChange& change : comparison_.operators) add(change);
    begin("sharing");
    for (const SharingChange& change : comparison_.sharing) add(change);
    return std::move(sections_);
  }

 private:
  void begin(const char* title) { sections_.push_back({title}); }
  void add(Change change, std::string first, std::string second, std::string text) {
    sections_.back().lines.push_back(
        {change, std::move(first), std::move(second), std::move(text)});
  }

  const Module* module(const ModelSummary& model, ModuleId id) const {
    return id == kNone ? nullptr : &model.tree.modules[id];
  }
  void add_module(Change change, ModuleId first, ModuleId second, std::string text) {
    const Module* a = module(a_, first);
    const Module* b = module(b_, second);
    add(change, a ? path_text(*a) : "", b ? path_text(*b) : "", std::move(text));
  }
  void add_tensor(Change change, TensorId first, TensorId second, std::string text) {
    add(change, first == kNone ? "" : a_.tree.tensors[first].name,
        second == kNone ? "" : b_.tree.tensors[second].name, std::move(text));
  }

  void add(const ModuleChange& change) {
    const Module* a = module(a_, change.first);
    const Module* b = module(b_, change.second);
    std::string text;
    if (change.change == Change::reclassed) {
      text = a->class_name + " -> " + b->class_name;
    } else {
      text = tagging::short_class_name((a ? a : b)->class_name);
      if (text.empty()) text = "class not known";
      if (change.modules > 1) text += ", " + counted(change.modules, "module");
      if (change.parameters > 0) text += ", " + counted(change.parameters, "parameter");
    }
    add_module(change.change, change.first, change.second, std::move(text));
  }

  void add(const TensorChange& change) {
    const Tensor* a = change.first == kNone ? nullptr : &a_.tree.tensors[change.first];
    const Tensor* b = change.second == kNone ? nullptr : &b_.tree.tensors[change.second];
    std::string text = named(a ? type_text(*a) : "", b ? type_text(*b) : "");
    if (change.change == Change::changed) {
      text += fmt::format(": {} of {} elements differ", with_commas(change.different),
                          with_commas(a->element_count()));
      if (change.max_abs) text += fmt::format(", by {:.3g} at most", *change.max_abs);
    }
    add_tensor(change.change, change.first, change.second, std::move(text));
  }

  void add(const OperatorChange& change) {
    std::string text = change.op;
    if (change.first_count != change.second_count)
      text += fmt::format(": {} -> {}", change.first_count, change.second_count);
    else
      text += fmt::format(": ({}) -> ({})", change.first_attributes, change.second_attributes);
    add_module(change.change, change.first, change.second, std::move(text));
  }

  void add(const SharingChange& change) {
    const auto text = [](const SharedParameter* shared) {
      return shared
                 ? fmt::format("{}, used {}x{}", name(shared->pattern), shared->share_count,
                               shared->aliases.empty()
                                   ? ""
                                   : fmt::format(", is also {}", fmt::join(shared->aliases, ", ")))
                 : std::string("not shared");
    };
    add_tensor(change.change, change.first, change.second,
               text(change.first_sharing) + " -> " + text(change.second_sharing));
  }

  const ModelSummary& a_;
  const ModelSummary& b_;
  const Comparison& comparison_;
  std::vector<DifferenceSection> sections_;
};

const char* sign(Change change) {
  if (change == Change::added) return "+";
  return change == Change::removed ? "-" : "~";
}

std::string description(const ModelSummary& model) {
  std::string text = fmt::format("{} ({}, {}, {}", model.file, model.format,
                                 counted(static_cast<int64_t>(model.tree.modules.size()), "module"),
                                 counted(parameter_count(model.tree), "parameter"));
  if (!model.nodes.empty())
    text += ", " + counted(static_cast<int64_t>(model.nodes.size()), "operator");
  return text + ")";
}

std::string escaped(std::string text) {
  for (size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2)
    text.replace(at, 1, "\\|");
  return text;
}

}  // namespace

std::vector<DifferenceSection> differences(const ModelSummary& first, const ModelSummary& second,
                                           const Comparison& comparison) {
  return Lines(first, second, comparison).run();
}

std::string to_text(const ModelSummary& first, const ModelSummary& second,
                    const Comparison& comparison, TextFormat format) {
  const bool markdown = format == TextFormat::markdown;
  std::string out = markdown ? "## Comparison of two models\n\n" : "";
  out += fmt::format("{}{}\n{}{}\n", markdown ? "1. " : "1  ", description(first),
                     markdown ? "2. " : "2  ", description(second));
  for (const DifferenceSection& section : differences(first, second, comparison)) {
    if (section.lines.empty()) continue;
    if (markdown) {
      out += fmt::format("\n### {} ({})\n\n| | | |\n|---|---|---|\n", section.title,
                         section.lines.size());
      for (const DifferenceLine& line : section.lines)
        out += fmt::format("| {} | `{}` | {} |\n", name(line.change),
                           escaped(named(line.first, line.second)), escaped(line.text));
    } else {
      out += fmt::format("\n{}\n", section.title);
      for (const DifferenceLine& line : section.lines)
        out += fmt::format("  {} {:9} {}: {}\n", sign(line.change), name(line.change),
                           named(line.first, line.second), line.text);
    }
  }
  out += fmt::format("\n{}: {} and {} parameters and buffers correspond\n",
                     comparison.same()
                         ? "no differences"
                         : counted(static_cast<int64_t>(comparison.differences()), "difference"),
                     counted(static_cast<int64_t>(comparison.modules_aligned), "module"),
                     with_commas(static_cast<int64_t>(comparison.tensors_aligned)));
  for (const std::string& note : comparison.notes) out += fmt::format("note: {}\n", note);
  return out;
}

}  // namespace modelexport::analysis
