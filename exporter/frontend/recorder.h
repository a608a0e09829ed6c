// Builds the Program while the interpreter runs: values with their observed types, symbols for the
// dimensions in which lanes differ, operators in nested blocks, weights, scopes and sources.
#pragma once

#include <ATen/core/function_schema.h>
#include <ATen/core/ivalue.h>

#include <functional>
#include <map>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "exporter/frontend/checkpoint.h"
#include "exporter/frontend/packed_parameters.h"
#include "exporter/program/program.h"

namespace modelexport::frontend {

// Is told of each value that comes into being in the first example, and what it is there; in a
// loop, in its first iteration.
using ValueObserver = std::function<void(ValueId, const c10::IValue&)>;

class Recorder {
 public:
  // Registers the module tree and every parameter and buffer in it.
  explicit Recorder(const Checkpoint& checkpoint, ValueObserver observer = {});

  Program take() { return std::move(program_); }
  Program& program() { return program_; }

  // ---- values: dtype and shape from what was observed in each lane ----
  ValueId tensor_value(const std::vector<at::Tensor>& lanes);
  ValueId number_value(const std::vector<c10::IValue>& lanes);  // int, float or bool
  // Lists of tensors or numbers; if all are empty, of what `like` is a sequence of.
  ValueId sequence_value(const std::vector<c10::IValue>& lanes, ValueId like = kNone);
  // Tells the observer what a value is, where that is not what it is in the first of the lanes that
  // its type was made of.
  void observe(ValueId id, const c10::IValue& value) const {
    if (observer_ && unseen_ == 0) observer_(id, value);
  }
  // While it lives nothing is observed, if `holds`: what is walked does not happen in the first
  // lane.
  class Unseen {
   public:
    Unseen(Recorder& recorder, bool holds) : count_(recorder.unseen_), by_(holds ? 1 : 0) {
      count_ += by_;
    }
    ~Unseen() { count_ -= by_; }
    Unseen(const Unseen&) = delete;
    Unseen& operator=(const Unseen&) = delete;

   private:
    int& count_;
    const int by_;
  };
  Dim dim(const std::vector<int64_t>& sizes);
  bool is_symbol(const std::vector<int64_t>& sizes) const { return symbols_.contains(sizes); }
  void name_symbol(Dim dim, const std::string& name);  // the first name given stays; made unique

  // ---- tensors with data ----
  // The id under which a parameter or buffer was registered; kNone for other tensors.
  TensorId weight(const at::Tensor& tensor) const;
  ValueId weight_value(TensorId id);
  // States that `value` always has these contents. They must not change later: see before_write.
  void set_constant(ValueId value, const at::Tensor& contents);
  // To be called before `storage` is written to: constants that refer to it get their own copy.
  void before_write(const c10::StorageImpl* storage);
  bool is_weight_storage(const void* data) const { return weight_storages_.contains(data); }

  // The fields of packed parameters (see packed_parameters.h); none of other values.
  const std::vector<PackedField>& packed(const c10::IValue& value);

  // ---- operators ----
  SchemaId schema(const c10::FunctionSchema& schema);
  SchemaId schema(const std::string& key, std::vector<std::string> arguments);
  void emit(Op op) { blocks_.back()->ops.push_back(std::move(op)); }
  void begin_block(Block& block) { blocks_.push_back(&block); }
  void end_block() { blocks_.pop_back(); }
  size_t block_depth() const { return blocks_.size(); }

  // ---- where things come from ----
  ScopeId scope(ScopeId parent, ModuleId module, const std::string& path,
                const std::string& class_name, const std::string& method);
  SourceId source(Source frames);
  OriginId origin(ScopeId scope, SourceId source, const std::string& op);
  // Forgets scopes, origins and calls made since `mark`: of a walk that only observed.
  struct Mark {
    size_t scopes, origins, calls;
  };
  Mark mark() const { return {program_.scopes.size(), program_.origins.size(), calls_.size()}; }
  void forget_since(const Mark& mark);
  void count_call(ModuleId module);
  ModuleId module_at(const std::string& path) const;  // kNone if there is none
  ModuleId module_of(const c10::ivalue::Object* object) const;

 private:
  void add_module(const torch::jit::Module& module, const std::string& path, ModuleId parent);
  void add_packed(const c10::IValue& value, const std::string& name, ModuleId module);
  TensorId add_tensor(const at::Tensor& tensor, Role role, const std::string& name,
                      ModuleId module);
  StorageId storage_of(const at::Tensor& tensor);

  using TensorKey =
      std::tuple<const void*, c10::ScalarType, std::vector<int64_t>, std::vector<int64_t>>;
  static TensorKey key_of(const at::Tensor& tensor);

  const Mapping& mapping_;
  const ValueObserver observer_;
  int unseen_ = 0;
  Program program_;
  std::vector<Block*> blocks_;
  std::map<std::vector<int64_t>, Dim> symbols_;
  std::map<std::string, int> symbol_names_;
  std::unordered_map<std::string, SchemaId> schemas_;
  std::map<TensorKey, TensorId> weights_;
  std::unordered_map<TensorId, ValueId> weight_values_;
  std::unordered_map<const void*, StorageId> storages_;  // by data pointer
  std::unordered_map<const void*, StorageId> weight_storages_;
  std::unordered_multimap<const c10::StorageImpl*, std::pair<TensorId, at::Tensor>> referred_;
  // By object, which stays alive so that its address does.
  std::unordered_map<const void*, std::pair<c10::IValue, std::vector<PackedField>>> packed_;
  std::unordered_map<std::string, ModuleId> module_paths_;
  std::unordered_map<const void*, ModuleId> module_objects_;
  std::map<std::pair<ScopeId, std::string>, int> origin_names_;
  std::vector<ModuleId> calls_;  // in order
  std::map<std::vector<std::tuple<std::string, int64_t, std::string>>, SourceId> sources_;
};

// "a.b.C" for "__torch__.a.b.___torch_mangle_12.C".
std::string unmangled(const std::string& qualified_name);

// "aten::add.Tensor".
std::string key_of(const c10::FunctionSchema& schema);

}  // namespace modelexport::frontend
