// The graph under construction, shared by all calls: a stack of open blocks (the body, then those
// of prim::If and prim::Loop around the current operator), what each value of the program became,
// constants (stored once per contents and type), and where to take symbolic sizes from.
//
// Program values with known contents, and integers computed from sizes that are known or equal a
// dimension of an input, come into being when they are first asked for; everything else must have
// been bound before.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "exporter/graph/graph.h"
#include "exporter/lowering/call.h"
#include "exporter/lowering/dataflow.h"
#include "exporter/program/program.h"

namespace modelexport::lowering {

// Constants up to this many elements are copied into the graph; larger ones stay where they are.
inline constexpr int64_t kSmallConstant = 1024;

// A value was asked for that set_missing() said is not there.
struct Missing {};

// What a float32 value stands for: (integers - zero_point) * scale.
struct Dequantized {
  V integers, scale, zero_point;
  int64_t axis = -1;  // that has a scale and zero point for each of its indices; -1: one for all
};

class Builder {
 public:
  // Makes the program's inputs graph inputs. `sizes_per_call`: see lower.h.
  Builder(const Program& program, int opset, bool sizes_per_call = false);

  const Program& program() const { return program_; }
  const Dataflow& flow() const { return flow_; }
  int opset() const { return graph_.opset; }
  OriginId origin() const { return origin_; }
  void set_origin(OriginId origin) { origin_ = origin; }

  // Closes the body with the program's outputs that are not missing and hands the graph over.
  graph::Graph finish();

  // ---- values -----------------------------------------------------------------------------------
  V new_value(DType dtype, std::optional<Shape> shape, Kind kind = Kind::tensor);
  size_t value_count() const { return graph_.values.size(); }
  graph::Value& at(V value) { return graph_.values[value.id]; }
  const graph::Value& at(V value) const { return graph_.values[value.id]; }

  // ---- values of the program --------------------------------------------------------------------
  // Whether value() can give it without it having been bound.
  bool is_free(modelexport::ValueId id) const;
  V value(modelexport::ValueId id);
  void bind(modelexport::ValueId id, V value);
  bool is_bound(modelexport::ValueId id) const { return values_[id] != kOmitted; }
  // There is no such value, because its operator was left out: value() throws Missing.
  void set_missing(modelexport::ValueId id) { missing_.insert(id); }
  bool is_missing(modelexport::ValueId id) const { return missing_.contains(id); }

  // ---- constants: initializers of the body, visible everywhere ----------------------------------
  V constant(DType dtype, std::vector<int64_t> dims, std::string bytes);
  V tensor(TensorId id);
  // nullptr if the value is not an initializer.
  const graph::TensorData* constant_of(V value) const;
  // Row-major bytes of an initializer of at most kSmallConstant elements.
  std::optional<std::string> bytes_of(V value) const;

  // ---- custom operators: what the model imports and has in it -----------------------------------
  void import_domain(const std::string& domain, int version);
  void add_function(const graph::GivenFunction& function);

  // ---- quantised values -------------------------------------------------------------------------
  void set_dequantized(V real, const Dequantized& from) { dequantized_.emplace(real.id, from); }
  std::optional<Dequantized> dequantized(V real) const;

  // ---- complex values: real and imaginary part of pairs -----------------------------------------
  // As they were noted in the blocks around; nullptr if they were not.
  const std::pair<V, V>* parts_of(V pair) const;
  void note_parts(V pair, V real, V imaginary);

  // ---- nodes: appended to the innermost block, with the current origin --------------------------
  void emit(std::string op_type, std::string domain, std::vector<V> inputs, std::vector<V> outputs,
            Attributes attributes);

  // ---- blocks -----------------------------------------------------------------------------------
  void open_block();
  V block_input(modelexport::ValueId id);   // of the innermost block, for a value of the program
  V block_input(DType dtype, Shape shape);  // and for what only ONNX's block has
  graph::Block close_block(std::vector<V> outputs);
  size_t depth() const { return frames_.size(); }
  void unwind(size_t depth);  // drops blocks that an exception left open
  // Lowers the operators of a block of the program into the innermost open block.
  std::function<void(const modelexport::Block&)> lower_ops;

  // ---- symbols ----------------------------------------------------------------------------------
  bool is_input_symbol(size_t symbol) const { return flow_.input_symbol[symbol]; }
  bool has_symbol(size_t symbol) const;
  // Its size as 1-D int64 of one element, or as rank 0; Unsupported if no visible value has it.
  // Made once, in the block where that value lives; an input of the model if one has it.
  V symbol_size(size_t symbol);
  V symbol_number(size_t symbol);

 private:
  struct Source {  // a value that has a symbol as a dimension, or is that number (axis -1)
    V value;
    int64_t axis;
  };
  struct Size {
    V value;
    size_t node;  // that computes it, in the frame's block
  };
  using Key = std::pair<ScopeId, size_t>;  // module call (0 unless sizes_per_call) and symbol
  struct Frame {
    graph::Block block;
    std::map<Key, Source> sources;
    std::map<Key, Size> sizes;
    std::map<Key, Size> numbers;
    std::unordered_map<uint32_t, std::pair<V, V>> parts;  // by the graph value of the pair
  };
  struct Found {
    Source source;
    Frame* frame;  // where its size can be computed
  };

  // The module call that the current operator is part of.
  ScopeId call() const;
  std::optional<Source> source_in_inputs(ScopeId call, size_t symbol) const;
  std::optional<Found> find_source(size_t symbol);
  Size* find_made(std::map<Key, Size> Frame::* sizes, size_t symbol);
  void note_symbols(V value);
  // Appends to `frame`; gives the node's index there.
  size_t append(Frame& frame, std::string op_type, std::string domain, std::vector<V> inputs,
                std::vector<V> outputs, Attributes attributes);

  const Program& program_;
  const Dataflow flow_;
  const bool sizes_per_call_;
  graph::Graph graph_;
  std::vector<Frame> frames_;
  OriginId origin_ = kNone;
  std::vector<V> values_;  // by program value
  std::unordered_set<modelexport::ValueId> missing_;
  std::unordered_map<uint32_t, size_t> initializer_of_;  // graph value -> index of its initializer
  std::map<std::tuple<DType, std::vector<int64_t>, std::string>, V> constants_;
  std::unordered_map<TensorId, V> tensors_;
  std::unordered_map<uint32_t, Dequantized> dequantized_;
};

}  // namespace modelexport::lowering
