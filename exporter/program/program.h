// The program: a TorchScript module as plain data, and the boundary between the frontend that knows
// LibTorch and everything after it that does not.
//
// It holds the functional (no in-place operators, no aliasing) ATen operators that the module
// executes for the user's inputs, in order, each with the module call and the source line it came
// from; the module tree; and views of the weights. Whatever does not depend on the user's inputs has
// been evaluated away. dtype, rank and shape of each value are observed by running the module on
// one or more examples, never inferred.
//
// Complex tensors are held as torch.view_as_real has them: a real tensor whose last dimension, of
// size 2, holds real and imaginary part. dtype, shape and strides in here are those of the parts;
// is_complex marks what stands for a complex tensor. Arguments of operators (axes, sizes) are as
// the module gave them, without that dimension.
//
// Dimensions: a Dim is either a size (>= 0), the same in all examples, or a symbol (< 0), an index
// into Program::symbols. Two dimensions have the same symbol exactly if they agreed in all examples.
#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "exporter/program/dtype.h"

namespace modelexport {

// ---- identifiers: indexes into the vectors of Program -------------------------------------------
using ValueId = uint32_t;
using TensorId = uint32_t;
using StorageId = uint32_t;
using ScopeId = uint32_t;
using SourceId = uint32_t;
using OriginId = uint32_t;
using SchemaId = uint32_t;
using ModuleId = uint32_t;
inline constexpr uint32_t kNone = UINT32_MAX;

// ---- shapes ------------------------------------------------------------------------------------
using Dim = int64_t;  // >= 0: size; < 0: symbol ~dim
using Shape = std::vector<Dim>;
inline bool is_static(Dim dim) { return dim >= 0; }
inline size_t symbol_index(Dim dim) { return static_cast<size_t>(~dim); }
inline Dim symbol_dim(size_t index) { return ~static_cast<int64_t>(index); }
bool is_static(const Shape& shape);
// Number of elements, or nullopt if a dimension is symbolic.
std::optional<int64_t> element_count(const Shape& shape);

struct Symbol {
  std::string name;            // unique, an identifier: "batch", "input_ids_dim1", "s3"
  std::vector<int64_t> sizes;  // observed, one per example (more inside loop bodies)
};

// ---- tensors with data: parameters, buffers, constants -------------------------------------------
struct Storage {
  const std::byte* data = nullptr;  // valid as long as the Program lives
  size_t bytes = 0;
  int64_t file_offset = -1;  // where these bytes lie in the checkpoint file; -1: only in memory
};

enum class Role : uint8_t { parameter, buffer, constant };

struct Tensor {
  StorageId storage = kNone;
  DType dtype = DType::undefined;
  std::vector<int64_t> sizes;
  std::vector<int64_t> strides;  // in elements
  int64_t offset = 0;            // in elements, from the beginning of the storage
  Role role = Role::constant;
  std::string name;                  // state-dict name; empty for constants
  std::vector<std::string> aliases;  // other state-dict names of the very same tensor
  ModuleId module = kNone;           // that owns `name`
  bool is_complex = false;           // stands for a complex tensor

  bool is_contiguous() const;
  int64_t element_count() const;
};

// ---- values --------------------------------------------------------------------------------------
enum class Kind : uint8_t {
  tensor,    // also numbers: ints, floats and bools that depend on the inputs are rank-0 tensors
  sequence,  // a list of tensors (or numbers) whose length depends on the inputs
};

struct Value {
  Kind kind = Kind::tensor;
  DType dtype = DType::undefined;  // of a sequence: of its elements
  Shape shape;                     // of a sequence: of its elements, symbols where they differ
  bool is_number = false;          // a TorchScript int, float or bool rather than a Tensor
  std::optional<Dim> size;  // of an int number: its value if the same in all examples, or the symbol
                            // that it agrees with
  TensorId constant = kNone;  // its contents, if they do not depend on the inputs
  bool is_complex = false;    // stands for a complex tensor or number
};

// ---- operators -------------------------------------------------------------------------------------
struct Argument;
using ArgumentList = std::vector<Argument>;

struct ValueRef {
  ValueId id = kNone;
};

// None, known value, reference to a Value, or a list of those (int[], Tensor[], Tensor?[]...).
// A ScalarType is its number, a Device, Layout or MemoryFormat its string or number.
struct Argument : std::variant<std::monostate, bool, int64_t, double, std::complex<double>,
                               std::string, ValueRef, ArgumentList> {
  using variant::variant;
};

struct Schema {
  std::string key;                     // "aten::add.Tensor": namespace, name and overload
  std::vector<std::string> arguments;  // names, in order
  std::string text;                    // the whole schema, for messages
  std::vector<std::string> types;      // of the arguments: "Tensor", "int[]"; empty if not known
};

struct Block;

struct Op {
  SchemaId schema = kNone;
  std::vector<Argument> arguments;  // one per schema argument, in order
  // Flattened: a Tensor[] of known length gives one value per element; kNone for unused None results.
  std::vector<ValueId> outputs;
  OriginId origin = kNone;
  std::vector<Block> blocks;  // prim::If: [then, else]; prim::Loop: [body]
};

// prim::If   arguments [condition]; blocks have no inputs; as many outputs each as the op.
// prim::Loop arguments [max_trip_count | None, initial_condition, carried...]; the body's inputs are
//            [iteration, carried...], its outputs [condition, carried...]; outputs are [carried...].
struct Block {
  std::vector<ValueId> inputs;
  std::vector<Op> ops;
  std::vector<ValueId> outputs;
};

struct Port {  // an input or output, of the model or of a module call
  std::string name;
  ValueId value = kNone;
  // The attribute of the module that it holds, before (input) or after the call (output), as a
  // path: "cache.k"; empty: an argument or a result of forward.
  std::string state = "";
  size_t position = 0;  // of an output of the model: among all that the live module gives
};

// ---- where things come from ---------------------------------------------------------------------------
struct Scope {  // one call of a module's method (or of a free function)
  ScopeId parent = kNone;
  ModuleId module = kNone;
  std::string path;        // of the module, as reached by this call: "encoder.layer.0"; root ""
  std::string class_name;  // un-mangled: "torch.nn.modules.linear.Linear"
  std::string method;      // "forward"
  size_t callers = 0;      // how many of the frames of sources within are those of its callers
  // What it got and gave that depends on the model's inputs, named as inputs and outputs are.
  std::vector<Port> inputs, outputs;
};

struct Frame {
  std::string file;
  int64_t line = 0;  // 1-based; 0 if not known
  std::string function;
};
using Source = std::vector<Frame>;  // outermost call first

struct Origin {
  ScopeId scope = 0;
  SourceId source = kNone;
  std::string op;    // qualified name: "aten::linear"
  std::string name;  // unique within its scope: "linear", "linear_1"
};

struct Module {  // of the live module tree; one entry per path, parents before children
  std::string path;
  std::string class_name;
  ModuleId parent = kNone;
  std::vector<TensorId> parameters;  // own ones, not the children's
  std::vector<TensorId> buffers;
  ModuleId same_as = kNone;  // the first entry that is the same object (shared submodule)
  uint32_t calls = 0;        // how often a method of it ran
};

// ---- the whole ------------------------------------------------------------------------------------------
struct Program {
  std::string source_file;  // path of the checkpoint as given
  std::string class_name;   // of the root module
  std::vector<Schema> schemas;
  std::vector<Symbol> symbols;
  std::vector<Storage> storages;
  std::vector<Tensor> tensors;  // every parameter and buffer of the module, and the constants used
  std::vector<Value> values;
  std::vector<Module> modules;  // [0] is the root
  std::vector<Scope> scopes;    // [0] is the root's forward
  ScopeId entry = 0;            // the call that the body is of: another one of a part (part.h)
  std::vector<Source> sources;
  std::vector<Origin> origins;
  std::vector<Port> inputs;
  std::vector<Port> outputs;
  Block body;                     // inputs and outputs are those of `inputs` and `outputs`
  std::vector<std::string> warnings;       // what the user should know: state changed, branch assumed...
  std::vector<std::shared_ptr<const void>> owners;  // keeps the storages alive
};

// A readable listing, one op per line; stable, used by tests and --dump-program.
std::string to_string(const Program& program);

}  // namespace modelexport
