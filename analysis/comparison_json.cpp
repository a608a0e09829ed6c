// write_comparison: the same lines, with their parts apart.
#include "analysis/comparison_text.h"

namespace modelexport::analysis {
namespace {

void write_model(const ModelSummary& model, JsonWriter& json) {
  json.begin_object();
  json.member("file", model.file);
  json.member("format", model.format);
  json.member("class", model.tree.class_name);
  json.member("modules", model.tree.modules.size());
  json.member("parameters", parameter_count(model.tree));
  json.member("operators", model.nodes.size());
  json.end_object();
}

class ComparisonWriter {
 public:
  ComparisonWriter(const ModelSummary& first, const ModelSummary& second,
                   const Comparison& comparison, JsonWriter& json)
      : a_(first), b_(second), comparison_(comparison), json_(json) {}

  void run() {
    json_.begin_object();
    json_.member("same", comparison_.same());
    json_.member("differences", comparison_.differences());
    json_.key("model1");
    write_model(a_, json_);
    json_.key("model2");
    write_model(b_, json_);
    json_.member("modules_aligned", comparison_.modules_aligned);
    json_.member("parameters_aligned", comparison_.tensors_aligned);
    const std::vector<DifferenceSection> sections = differences(a_, b_, comparison_);
    write(sections[0], comparison_.interface, &ComparisonWriter::write_interface);
    write(sections[1], comparison_.modules, &ComparisonWriter::write_module);
    write(sections[2], comparison_.tensors, &ComparisonWriter::write_tensor);
    write(sections[3], comparison_.operators, &ComparisonWriter::write_operator);
    write(sections[4], comparison_.sharing, &ComparisonWriter::write_sharing);
    json_.member("notes", comparison_.notes);
    json_.end_object();
  }

 private:
  template <typename T>
  void write(const DifferenceSection& section, const std::vector<T>& changes,
             void (ComparisonWriter::*write_parts)(const T&)) {
    json_.key(section.title);
    json_.begin_array();
    for (size_t i = 0; i < changes.size(); ++i) {
      json_.begin_object();
      json_.member("change", name(section.lines[i].change));
      write_name("name1", section.lines[i].first);
      write_name("name2", section.lines[i].second);
      (this->*write_parts)(changes[i]);
      json_.member("text", section.lines[i].text);
      json_.end_object();
    }
    json_.end_array();
  }

  // null where that model has none.
  void write_name(const char* key, const std::string& name) {
    json_.key(key);
    name.empty() ? json_.null() : json_.value(name);
  }

  void write_interface(const InterfaceChange& change) {
    json_.member("type1", change.first);
    json_.member("type2", change.second);
  }

  void write_module(const ModuleChange& change) {
    if (change.first != kNone) json_.member("class1", a_.tree.modules[change.first].class_name);
    if (change.second != kNone) json_.member("class2", b_.tree.modules[change.second].class_name);
    if (change.change != Change::added && change.change != Change::removed) return;
    json_.member("modules", change.modules);
    json_.member("parameters", change.parameters);
  }

  void write_tensor(const TensorChange& change) {
    if (change.first != kNone) {
      json_.member("shape1", a_.tree.tensors[change.first].sizes);
      json_.member("dtype1", name(a_.tree.tensors[change.first].dtype));
    }
    if (change.second != kNone) {
      json_.member("shape2", b_.tree.tensors[change.second].sizes);
      json_.member("dtype2", name(b_.tree.tensors[change.second].dtype));
    }
    if (change.change == Change::changed) json_.member("different", change.different);
    if (change.max_abs) json_.member("max_abs", *change.max_abs);
  }

  void write_operator(const OperatorChange& change) {
    json_.member("op", change.op);
    json_.member("count1", change.first_count);
    json_.member("count2", change.second_count);
    if (change.change != Change::changed || change.first_count != change.second_count) return;
    json_.member("attributes1", change.first_attributes);
    json_.member("attributes2", change.second_attributes);
  }

  void write_sharing(const SharingChange& change) {
    const auto write = [&](const char* pattern, const char* count, const SharedParameter* shared) {
      if (!shared) return;
      json_.member(pattern, name(shared->pattern));
      json_.member(count, shared->share_count);
    };
    write("sharing_pattern1", "share_count1", change.first_sharing);
    write("sharing_pattern2", "share_count2", change.second_sharing);
  }

  const ModelSummary& a_;
  const ModelSummary& b_;
  const Comparison& comparison_;
  JsonWriter& json_;
};

}  // namespace

void write_comparison(const ModelSummary& first, const ModelSummary& second,
                      const Comparison& comparison, JsonWriter& json) {
  ComparisonWriter(first, second, comparison, json).run();
}

}  // namespace modelexport::analysis
