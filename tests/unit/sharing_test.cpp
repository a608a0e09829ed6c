// Sharing is found by storage and data flow, on programs made by hand.
#include "analysis/sharing.h"

#include <gtest/gtest.h>

#include "tests/unit/net_model.h"

namespace modelexport::analysis {
namespace {

struct SharingModel : ProgramBuilder {
  ScopeId root;
  ValueId ids;  // the model's integer input

  SharingModel() {
    module("", "pkg.Net");
    root = call(kNone, "");
    ids = new_value();
    program.inputs = {{"ids", ids}};
  }

  TensorId view_of(TensorId id) {
    program.tensors.push_back(program.tensors[id]);
    Tensor& view = program.tensors.back();
    std::swap(view.sizes[0], view.sizes[1]);
    std::swap(view.strides[0], view.strides[1]);
    view.role = Role::constant;
    view.name.clear();
    return static_cast<TensorId>(program.tensors.size() - 1);
  }

  Sharing analyze() const { return analyze_sharing(program, tagging::Hierarchy(program, {})); }
};

TEST(Sharing, TiedEmbeddingIsFoundByDataFlow) {
  SharingModel m;
  m.module("wte", "pkg.Embedding");
  m.module("head", "pkg.Head");
  const TensorId weight = m.parameter("wte", "weight", {100, 8});
  m.parameter("head", "bias", {100});
  const ScopeId wte = m.call(m.root, "wte"), head = m.call(m.root, "head");
  const ValueId hidden = m.run(wte, "aten::embedding", {m.new_value(weight), m.ids});
  m.run(head, "aten::matmul", {hidden, m.new_value(m.view_of(weight))});
  const Sharing sharing = m.analyze();
  ASSERT_EQ(sharing.parameters.size(), 1u);
  const SharedParameter& shared = sharing.parameters[0];
  EXPECT_EQ(shared.name, "wte.weight");
  EXPECT_EQ(shared.pattern, SharingPattern::tied_embeddings);
  EXPECT_EQ(shared.used_by, (std::vector<std::string>{"/Net/Embedding", "/Net/Head"}));
  EXPECT_EQ(shared.share_count, 2);
  EXPECT_EQ(shared.param_type, "weight");
  EXPECT_EQ(shared.bytes, 3200);
  EXPECT_EQ(sharing.bytes_saved, 3200);
  EXPECT_EQ(sharing.percentage(), 0.5);
}

TEST(Sharing, PositionsAreIndicesThatDoNotDependOnTheInputsValues) {
  SharingModel m;
  for (const char* name : {"encoder", "decoder"}) m.module(name, name);
  const TensorId weight = m.parameter("encoder", "table", {100, 8});
  for (const char* name : {"encoder", "decoder"}) {
    const ValueId length = m.run(m.root, "aten::size", {m.ids});
    const ValueId positions = m.run(m.root, "aten::arange", {length});
    m.run(m.call(m.root, name), "aten::embedding", {m.new_value(weight), positions});
  }
  const Sharing sharing = m.analyze();
  ASSERT_EQ(sharing.parameters.size(), 1u);
  EXPECT_EQ(sharing.parameters[0].pattern, SharingPattern::position_sharing);
}

// A layer with attention and a feed-forward part, called twice.
struct LayersModel : SharingModel {
  explicit LayersModel(bool whole_layer) {
    m_add("layer");
    if (!whole_layer) m_add("layer2");
    for (int i = 0; i < 2; ++i) {
      const std::string layer = !whole_layer && i == 1 ? "layer2" : "layer";
      const ScopeId call = this->call(root, layer);
      const ScopeId attention = this->call(call, layer + ".attention");
      const ValueId q = run(attention, "aten::linear", {ids, new_value(query)});
      run(attention, "aten::scaled_dot_product_attention", {q, q, q});
      run(this->call(call, layer + ".ffn"), "aten::linear", {q, new_value(ffn.at(layer))});
    }
  }

  void m_add(const std::string& layer) {
    module(layer, "pkg.Layer");
    module(layer + ".attention", "pkg.Attention");
    module(layer + ".ffn", "pkg.Ffn");
    if (query == kNone) query = parameter(layer + ".attention", "query", {8, 8});
    ffn[layer] = parameter(layer + ".ffn", "weight", {8, 8});
  }

  TensorId query = kNone;
  std::map<std::string, TensorId> ffn;
};

TEST(Sharing, ALayerThatIsCalledAgain) {
  const Sharing sharing = LayersModel(true).analyze();
  ASSERT_EQ(sharing.parameters.size(), 2u);
  for (const SharedParameter& shared : sharing.parameters) {
    EXPECT_EQ(shared.pattern, SharingPattern::layer_sharing) << shared.name;
    EXPECT_EQ(shared.share_count, 2);
    EXPECT_EQ(shared.used_by.size(), 1u);
  }
}

TEST(Sharing, AttentionAloneIsShared) {
  const Sharing sharing = LayersModel(false).analyze();
  ASSERT_EQ(sharing.parameters.size(), 1u);
  EXPECT_EQ(sharing.parameters[0].name, "layer.attention.query");
  EXPECT_EQ(sharing.parameters[0].pattern, SharingPattern::attention_sharing);
  EXPECT_EQ(
      sharing.parameters[0].used_by,
      (std::vector<std::string>{"/Net/Layer.layer/Attention", "/Net/Layer.layer2/Attention"}));
}

TEST(Sharing, NamesAndOverlapsCountInAProgramThatWasNotRun) {
  SharingModel m;
  m.parameter("", "a", {4, 4});
  m.program.tensors[0].aliases = {"b"};
  m.parameter("", "flat", {16});
  m.program.tensors.push_back(m.program.tensors[1]);
  m.program.tensors[2].name = "half";
  m.program.tensors[2].sizes = {8};
  m.parameter("", "own", {4});
  const Sharing sharing = m.analyze();
  ASSERT_EQ(sharing.parameters.size(), 3u);
  EXPECT_EQ(sharing.parameters[0].share_count, 2);
  EXPECT_EQ(sharing.parameters[0].aliases, std::vector<std::string>{"b"});
  EXPECT_EQ(sharing.parameters[1].aliases, std::vector<std::string>{"half"});
  EXPECT_EQ(sharing.parameters[2].aliases, std::vector<std::string>{"flat"});
}

TEST(Sharing, UsingAParameterTwiceInOneCallIsNoSharing) {
  SharingModel m;
  const TensorId weight = m.parameter("", "weight", {4, 4});
  m.run(m.root, "aten::linear", {m.ids, m.new_value(weight)});
  m.run(m.root, "aten::linear", {m.ids, m.new_value(weight)});
  EXPECT_TRUE(m.analyze().parameters.empty());
}

}  // namespace
}  // namespace modelexport::analysis
