// Walks and runs a TorchScript module at once: a partial evaluator. Values that do not depend on
// the user's inputs are computed by LibTorch; what depends on them is recorded as operators of the
// Program and also run, on all lanes in lockstep, so that its dtype and shape are observed.
//
//   interpreter.cpp  frames, calls, scopes, structural (prim) nodes
//   operators.cpp    nodes that LibTorch has an operator for
//   nested.cpp       those on nested tensors
//   squeeze.cpp      those whose rank depends on sizes
//   decomposed.cpp   those that are walked as the operators they call
//   custom_classes.cpp  methods of C++ classes
//   aliasing.cpp     views and in-place updates made functional
//   statistics.cpp   running statistics of normalisations
//   containers.cpp   operators on lists and dicts that hold symbolic values
//   quantization.cpp quantised tensors made explicit; quantized_nodes.cpp: nodes that have any
//   branches.cpp     If; merging.cpp: what its branches leave
//   sequences.cpp    lists whose length depends on the inputs
//   loops.cpp        Loop; carried.cpp: what it carries
//   ports.cpp        inputs and outputs of the model and of module calls
//   state.cpp        attributes that forward changes
//   lanes.cpp        the worlds that the lanes stand for
#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <array>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "exporter/frontend/checkpoint.h"
#include "exporter/frontend/examples.h"
#include "exporter/frontend/journal.h"
#include "exporter/frontend/quantized_operators.h"
#include "exporter/frontend/recorder.h"
#include "exporter/frontend/selected_call.h"
#include "exporter/frontend/stand_ins.h"
#include "exporter/frontend/state.h"
#include "exporter/frontend/value.h"

namespace modelexport::frontend {

// Thrown when a weight is about to be updated in place: the walk starts again with lanes that have
// copies of their own of that storage, so that the live module stays as it is.
struct WeightWritten {
  const void* storage;
};

// Thrown where a what-if contradicts itself and is the only world there is: a loop observed in it.
struct Contradiction {
  std::string why;
};

class Interpreter {
 public:
  struct Watch {  // what to tell while it runs
    ValueObserver value;
    SelectedCall* call = nullptr;  // to be filled in
  };
  // Operators that is_lowered(key) says no to are walked as what they call, if they have a
  // decomposition. Where `numbers` is false, NeedsNumbers (stand_ins.h) may be thrown.
  Interpreter(const Checkpoint& checkpoint, const Examples& examples,
              const std::set<const void*>& written_weights, const State& state,
              const IsLowered& is_lowered, bool numbers, const Watch& watch);
  Program run();

 private:
  // ---- one activation of a method, function or block ----
  struct Frame {
    std::unordered_map<const torch::jit::Value*, Val> values;
    ScopeId scope = 0;
    const Source* callers = nullptr;  // source lines of the calls that led here, outermost first
    std::string function;
    // If the nodes are what another one calls: that one, and its origin, which is theirs too.
    const torch::jit::Node* decomposed = nullptr;
    OriginId origin = kNone;
  };

  // What is worth knowing once per node.
  struct NodeInfo {
    const torch::jit::Operator* op = nullptr;
    std::function<void(torch::jit::Stack&)> operation;
    SchemaId schema = kNone;
    std::vector<size_t> written;                      // arguments that the operator writes to
    const c10::FunctionSchema* functional = nullptr;  // its twin that does not
    bool random = false;
    bool metadata_only = false;  // the result depends on shapes and dtypes alone
    bool number = false;         // the executor takes the second argument, a constant, as a number
    bool composite = false;      // not lowered, but perhaps made of operators that are
  };

  // Values that are not needed after a node has run: they are let go, as LibTorch would.
  using LastUses =
      std::unordered_map<const torch::jit::Node*, std::vector<const torch::jit::Value*>>;

  // An overlay of attributes set by forward, over the module's own, which stay as they are.
  using AttributeKey = std::pair<const c10::ivalue::Object*, std::string>;
  using Attributes = std::map<AttributeKey, Val>;

  // ---- interpreter.cpp ----
  Val call_function(torch::jit::Function& function, std::vector<Val> arguments, ScopeId scope,
                    const Source& callers);
  // A function that is written here: TorchScript source.
  Val call_source(const std::string& source, std::vector<Val> arguments, const Frame& frame,
                  const Source& callers);
  Val call_method(const torch::jit::Node* node, const std::string& name, std::vector<Val> arguments,
                  Frame& frame);
  Val call_custom_class(const torch::jit::Node* node, const std::string& name,
                        const std::vector<Val>& inputs, Frame& frame);
  void run_nodes(const torch::jit::Block* block, Frame& frame);
  void run_node(torch::jit::Node* node, Frame& frame);
  const LastUses& last_uses_of(const torch::jit::Block* block);
  bool run_structural(torch::jit::Node* node, Frame& frame);
  Val negated(const std::shared_ptr<SymbolicNumber>& number, OriginId origin);
  Val constant(const c10::IValue& value);
  Val attribute(const std::shared_ptr<ModuleRef>& module, const std::string& name);
  Val attribute(const Attributes::key_type& slot);  // without the path of what it may be
  // Whether the attribute is that of something made before the branch or loop body that has it.
  bool exists_outside(const Attributes::key_type& slot) const {
    return attributes_.contains(slot) || recorder_.module_of(slot.first) != kNone;
  }
  void set_attribute(const std::shared_ptr<ModuleRef>& module, const std::string& name, Val value);
  Val get(Frame& frame, const torch::jit::Value* value);
  void set(Frame& frame, const torch::jit::Value* value, Val val);
  std::vector<Val> inputs_of(const torch::jit::Node* node, Frame& frame);
  Source source_of(const torch::jit::Node* node, const Frame& frame) const;
  OriginId origin_of(const torch::jit::Node* node, Frame& frame);
  std::string place_of(const torch::jit::Node* node, const Frame& frame) const;
  Val weight(const at::Tensor& tensor);
  std::vector<Val> inputs_of_function(const torch::jit::Node* node, Frame& frame);

  // ---- ports.cpp ----
  enum class Known : uint8_t { left_out, included };  // values that no input has a part in
  // Of an argument of forward, or of an attribute (`is_state`), from its values in all lanes.
  Val input(const std::vector<c10::IValue>& lanes, const std::string& name, bool is_state);
  Val tensor_input(const std::vector<c10::IValue>& lanes, const std::string& name, bool is_state);
  Val number_input(const std::vector<c10::IValue>& lanes, const std::string& name, bool is_state);
  Val list_input(const std::vector<c10::IValue>& lanes, const std::string& name);
  void add_ports(const Val& val, const std::string& name, std::vector<Port>& ports,
                 Known known_values);
  std::vector<Port> ports_of_result(const Val& returned, Known known_values);
  void warn_of_complex_ports();
  // Notes what the call gets, if it is the one that is watched for.
  void watch_call(const ModuleRef& module, const std::string& method,
                  const std::vector<Val>& arguments);

  // ---- state.cpp ----
  void note_container(const AttributeKey& key, const Val& val);
  void state_changed(const AttributeKey& key);
  void find_changed_containers();
  void add_state_inputs();
  void add_state_outputs();
  static void check_state(const std::vector<c10::IValue>& lanes, const std::string& name);

  // ---- operators.cpp ----
  const NodeInfo& info(torch::jit::Node* node);
  void run_operator(torch::jit::Node* node, std::vector<Val> inputs, Frame& frame);
  // One vector of results per output, one result per lane.
  std::vector<std::vector<c10::IValue>> run_lanes(torch::jit::Node* node, const NodeInfo& info,
                                                  const std::vector<Val>& inputs, Frame& frame);
  // A Val for one result; `values` gets the program values of its tensors and symbolic numbers.
  // `length_varies`: a list is a sequence, though it has the same length in all lanes.
  Val result(const std::vector<c10::IValue>& lanes, bool symbolic, bool numbers_known_if_equal,
             bool from_weights, std::vector<ValueId>& values, bool length_varies = false);
  // Quantised tensors as real numbers, or as their integers.
  Argument argument(const Val& val, bool integers = false);
  std::vector<Argument> arguments(const std::vector<Val>& vals, bool integers = false);
  std::shared_ptr<TensorCell> new_tensor(std::vector<at::Tensor> lanes, bool symbolic,
                                         bool from_weights);

  // ---- squeeze.cpp ----
  // False if the operator is none, or takes the same dimensions away in all lanes anyway.
  bool squeeze_alike(torch::jit::Node* node, const NodeInfo& info, const std::vector<Val>& inputs,
                     Frame& frame);

  // ---- nested.cpp ----
  // False if the operator has nothing to do with nested tensors.
  bool run_nested(torch::jit::Node* node, const NodeInfo& info, const std::vector<Val>& inputs,
                  Frame& frame);
  Val run_nested_layer(torch::jit::Node* node, const NodeInfo& info, std::vector<Val> inputs,
                       Frame& frame);

  // ---- decomposed.cpp ----
  // Walks what the operator calls instead of it; false, with nothing changed that counts, if it has
  // no decomposition that gives `results`, what the operator itself gives.
  bool run_decomposed(torch::jit::Node* node, const NodeInfo& info, const std::vector<Val>& inputs,
                      const std::vector<std::vector<c10::IValue>>& results, Frame& frame);

  // ---- aliasing.cpp ----
  ValueId current(const std::shared_ptr<TensorCell>& cell);
  // If every result is one of the inputs in all lanes, those inputs.
  bool adopt_same(const std::vector<Val>& inputs,
                  const std::vector<std::vector<c10::IValue>>& lanes, std::vector<Val>& results);
  // Makes tensor results that share storage with an input views of it.
  void link_views(const std::vector<Val>& inputs, const std::vector<Argument>& arguments,
                  SchemaId schema, const std::vector<ValueId>& values,
                  const std::vector<Val>& results);
  void refer_to_storage(std::vector<Val>& inputs);
  void run_write(torch::jit::Node* node, const NodeInfo& info, std::vector<Val>& inputs,
                 Frame& frame);
  void write(const std::shared_ptr<TensorCell>& cell, ValueId value, bool symbolic);
  void change(const std::shared_ptr<TensorCell>& cell, ValueId value, bool symbolic,
              uint64_t version, bool written);
  ValueId write_back(const TensorCell& view, const std::shared_ptr<TensorCell>& parent,
                     ValueId value);
  ValueId emit(const std::string& key, std::vector<std::string> names,
               std::vector<Argument> arguments, const std::vector<at::Tensor>& like);
  void before_write(const TensorCell& cell);

  // ---- sequences.cpp ----
  ListVal to_sequence(const ListVal& list);
  void unpack_sequence(torch::jit::Node* node, Frame& frame);
  Val change_sequence(torch::jit::Node* node, const std::shared_ptr<ListVal>& list,
                      const std::vector<Val>& inputs, Frame& frame);
  Val to_list(const Val& tensor, const c10::TypePtr& type, Frame& frame, const Source& callers);

  // ---- statistics.cpp ----
  static bool updates_statistics(const c10::FunctionSchema& schema, const std::vector<Val>& inputs);
  void before_statistics(const std::vector<Val>& inputs);
  void update_statistics(const std::vector<Val>& inputs, bool of_instances, bool on_shapes);

  // ---- quantization.cpp ----
  using Quantizations = std::map<ValueId, std::shared_ptr<const Quantization>>;
  std::shared_ptr<const Quantization> quantization_of(const at::Tensor& tensor);
  std::shared_ptr<const Quantization> quantization_of_result(const c10::FunctionSchema& schema,
                                                             const std::vector<Val>& inputs,
                                                             const TensorCell& result);
  static const std::shared_ptr<const Quantization>& quantization(const TensorCell& cell);
  ValueId real_value(ValueId like);
  ValueId dequantized(const std::shared_ptr<TensorCell>& cell);
  void emit_conversion(bool quantize, ValueId from, const Quantization& quantization, ValueId to);
  void emit_quantizing(Op op, const Quantizations& results, const std::function<void(Op)>& emit);
  Quantization choose_quantization(const Argument& real, bool reduce_range);
  Quantization dynamic_quantization(const std::vector<Val>& inputs, c10::ScalarType type);
  void emit_round_trip(ValueId from, const Quantization& quantization, ValueId to);
  Argument round_trip(const Val& val, bool reduce_range);

  // ---- quantized_nodes.cpp ----
  using PackedVals = std::vector<std::pair<std::string, Val>>;
  static bool holds_quantized(const Val& val);
  static bool involves_quantized(const std::vector<Val>& inputs,
                                 const std::vector<std::vector<c10::IValue>>& lanes);
  void run_quantized(const NodeInfo& info, const std::vector<Val>& inputs,
                     const std::vector<std::vector<c10::IValue>>& lanes, bool symbolic,
                     bool weights, std::vector<Val>& results);
  bool keeps_integers(const NodeInfo& info, const std::vector<Val>& inputs,
                      const std::vector<Val>& results);
  bool run_fake_quantize(torch::jit::Node* node, const NodeInfo& info,
                         const std::vector<Val>& inputs, Frame& frame);
  bool read_quantization(const std::string& name, const std::vector<Val>& inputs,
                         const std::vector<std::vector<c10::IValue>>& lanes,
                         std::vector<Val>& results);
  void emit_steps(const std::vector<RealStep>& steps, const c10::FunctionSchema& schema,
                  const std::vector<Val>& inputs, const std::vector<ValueId>& outputs);
  Argument step_argument(const std::string& text, const c10::FunctionSchema& schema,
                         const std::vector<Val>& inputs, const Argument& previous);
  Val named_part(const std::string& path, const c10::FunctionSchema& schema,
                 const std::vector<Val>& inputs);
  Val packed_field(const c10::IValue& object, const std::string& name);
  const PackedVals& packed_fields(const c10::IValue& object);
  Argument weight_1d(const Val& val);

  // ---- containers.cpp ----
  static void set_entry(DictVal& dict, Val key, Val value);
  Val run_list(torch::jit::Node* node, const std::shared_ptr<ListVal>& list,
               const std::vector<Val>& inputs, bool write);
  Val run_dict(torch::jit::Node* node, const std::shared_ptr<DictVal>& dict,
               const std::vector<Val>& inputs, bool write);
  // False if the operator is not one on lists or dicts.
  bool run_container(torch::jit::Node* node, Frame& frame);

  // ---- lanes.cpp ----
  // Takes a value over into the current worlds, with all that it holds.
  void adopt(const Val& val);
  template <class Observed>
  void adopt_lanes(const std::shared_ptr<Observed>& observed);
  void enter(Worlds worlds);
  bool is_what_if(size_t lane) const {
    return world_tree_.kind(worlds_->ids[lane]) != WorldKind::real;
  }
  bool are_what_ifs_from(size_t lane) const;  // that one and all after it
  void keep_real_lanes(std::vector<c10::IValue>& results) const;
  void drop_what_ifs(const std::string& why);
  // Makes the results of operators that find something in data differ in size in a what-if world.
  void vary_found(const c10::FunctionSchema& schema, std::vector<Val>& inputs,
                  std::vector<std::vector<c10::IValue>>& lanes);
  void vary_number(ValueId tensor, const std::function<bool(size_t)>& finds_less,
                   std::vector<c10::IValue>& lanes);
  struct LaneScope;
  class Trial;         // trial.h
  struct Observation;  // loops.cpp

  // ---- branches.cpp ----
  struct Branch;                                         // merging.h
  struct Merging;                                        // the same
  using BranchBody = std::function<std::vector<Val>()>;  // walks it and gives what it leaves
  class Refined;
  void run_if(torch::jit::Node* node, Frame& frame);
  // What one or the other leaves, for a node that depends on a condition: then, else.
  std::vector<Val> either(torch::jit::Node* node, Frame& frame,
                          const std::shared_ptr<SymbolicNumber>& condition,
                          const std::array<BranchBody, 2>& bodies);
  // Runs an operator that has an argument which is None for some inputs only.
  void run_with_optional(torch::jit::Node* node, const std::vector<Val>& inputs, size_t index,
                         Frame& frame);
  void add_other_path(const Merging& merging);
  void walk_branch(const BranchBody& body, Branch& branch);
  void merge_effects(Merging& merging);

  // ---- merging.cpp ----
  Val merge(const Val& then_val, const Val& else_val, Merging& merging);
  Val merge_tensors(const TensorCell& a, const TensorCell& b, Merging& merging);
  Val merge_numbers(const Val& a, const Val& b, Merging& merging);
  Val merge_lists(const ListVal& a, const ListVal& b, Merging& merging);
  Val merge_optional(const Val& a, const Val& b, bool absent, Merging& merging);
  Val merge_dicts(const DictVal& a, const DictVal& b, Merging& merging);
  Val placeholder(const Val& other);
  ValueId value_of(const Val& number);

  // ---- loops.cpp ----
  struct Loop;
  void run_loop(torch::jit::Node* node, Frame& frame);
  void record_loop(Loop& loop);
  void imagine_iteration(Loop& loop);
  void find_carried(Loop& loop);
  bool run_iteration(Loop& loop, int64_t iteration);  // the condition it ends with, in lane 0
  bool observe(Loop& loop, WorldId world, int64_t most);
  void observe(Loop& loop);
  Val snapshot(const Val& val, const Worlds& world);
  static void add_ends(const Loop& loop, size_t index, std::vector<Val>& versions);
  Val join(const std::vector<Val>& versions, std::vector<ValueId>& values);
  Val join_optional(const std::vector<Val>& versions, bool absent, std::vector<ValueId>& values);
  Val join_dicts(const std::vector<Val>& versions, std::vector<ValueId>& values);
  Val join_in(const std::vector<Val>& versions, size_t worlds, std::vector<ValueId>& values);
  ValueId sequence_of(const ListVal& list, ValueId like);
  void flatten(const Val& val, const Val& like, std::vector<ValueId>& values);
  void record_body(Loop& loop, Block& body);
  void finish_loop(Loop& loop, Op op);

  const Checkpoint& checkpoint_;
  const Examples& examples_;
  const std::set<const void*>& written_weights_;
  const State& state_;
  const IsLowered& is_lowered_;
  std::vector<std::shared_ptr<torch::jit::Graph>> decompositions_;  // that have been walked
  SelectedCall* const watched_call_;
  Recorder recorder_;
  StandIns stand_ins_;
  WorldTree world_tree_;
  std::map<std::vector<int64_t>, ValueId> numbers_found_;  // by vary_number: of which tensor
  Worlds worlds_;                // current; lane i is world worlds_->ids[i]
  Worlds examples_worlds_;       // one per example
  bool worlds_changed_ = false;  // ever
  size_t lanes_ = 0;             // worlds_->ids.size()
  std::vector<LaneScope*> lane_scopes_;
  int observing_ = 0;        // loops being run without recording; what-ifs would tell nothing there
  OriginId origin_ = kNone;  // of the operators being emitted
  std::unordered_map<const torch::jit::Node*, NodeInfo> infos_;
  std::unordered_map<const torch::jit::Block*, LastUses> last_uses_;
  std::unordered_map<const torch::jit::Node*, Val> constants_;
  std::unordered_map<TensorId, std::shared_ptr<TensorCell>> weights_;
  // By source.
  std::unordered_map<std::string, std::shared_ptr<torch::jit::CompilationUnit>> compiled_;
  std::unordered_map<const c10::ivalue::Object*, PackedVals> packed_;
  Quantization chosen_;  // by the round trip emitted last
  Attributes attributes_;
  std::map<AttributeKey, std::string> containers_;  // lists and dicts read, as they were
  std::vector<Journal*> journals_;  // of the branches and loop bodies being walked, outermost first
};

}  // namespace modelexport::frontend
