#include "models/checkpoints.h"

namespace modelexport::models {
namespace {

constexpr bool kBuffer = false;

const char* const kLinearCode = R"(
def forward(self, x):
    return torch.linear(x, self.weight, self.bias)
)";

ModuleSpec linear(std::string path, int64_t in, int64_t out, std::string dtype = "float32") {
  return {std::move(path),
          "torch.nn.modules.linear.Linear",
          {{"weight", {out, in}, dtype}, {"bias", {out}, dtype}},
          kLinearCode};
}

ModuleSpec same_module(std::string path, std::string other) {
  return {std::move(path), "", {}, "", std::move(other)};
}

ModuleSpec layer_norm(std::string path, int64_t size) {
  return {std::move(path),
          "torch.nn.modules.normalization.LayerNorm",
          {{"weight", {size}}, {"bias", {size}}},
          R"(
def forward(self, x):
    return torch.layer_norm(x, [8], self.weight, self.bias, 1e-5)
)"};
}

ModuleSpec block(std::string path) {
  return {std::move(path), "net.Block", {}, R"(
def forward(self, x):
    return x + torch.gelu(self.linear.forward(self.norm.forward(x)))
)"};
}

const InputSpec kRows{"x", "float32", {2, 5, 8}, {3, 4, 8}};

CheckpointSpec nested() {
  return {"nested",
          "blocks in a list, three levels deep",
          {{"", "net.Net", {}, R"(
def forward(self, x):
    x = getattr(self.blocks, "0").forward(x)
    x = getattr(self.blocks, "1").forward(x)
    return self.head.forward(x)
)"},
           {"blocks", "torch.nn.modules.container.ModuleList"},
           block("blocks.0"),
           layer_norm("blocks.0.norm", 8),
           linear("blocks.0.linear", 8, 8),
           block("blocks.1"),
           layer_norm("blocks.1.norm", 8),
           linear("blocks.1.linear", 8, 8),
           linear("head", 8, 3)},
          {kRows}};
}

CheckpointSpec shared_submodule() {
  return {"shared_submodule",
          "one module under two names, called three times",
          {{"", "net.Twice", {}, R"(
def forward(self, x):
    return self.second.forward(torch.relu(self.first.forward(self.first.forward(x))))
)"},
           linear("first", 8, 8),
           same_module("second", "first")},
          {kRows}};
}

CheckpointSpec tied() {
  return {"tied",
          "one parameter under two names, used by an embedding and by a linear layer",
          {{"", "net.LanguageModel", {}, R"(
def forward(self, input_ids):
    return self.head.forward(torch.tanh(self.embedding.forward(input_ids)))
)"},
           {"embedding", "torch.nn.modules.sparse.Embedding", {{"weight", {11, 8}}}, R"(
def forward(self, ids):
    return torch.embedding(self.weight, ids)
)"},
           {"head",
            "torch.nn.modules.linear.Linear",
            {{"weight", {11, 8}, "float32", true, "embedding.weight"}, {"bias", {11}}},
            kLinearCode}},
          {{"input_ids", "int64", {2, 5}, {3, 4}}}};
}

CheckpointSpec views() {
  return {"views",
          "query, key and value as views of one storage, one of them transposed",
          {{"",
            "net.Attention",
            {{"packed", {24, 8}},
             {"query", {8, 8}, "float32", true, "packed", {8, 1}, 0},
             {"key", {8, 8}, "float32", true, "packed", {8, 1}, 64},
             {"value", {8, 8}, "float32", true, "packed", {1, 8}, 128},
             {"repeated", {4, 8}, "float32", kBuffer, "packed", {0, 1}, 16}},
            R"(
def forward(self, x):
    q = torch.linear(x, self.query)
    k = torch.linear(x, self.key)
    v = torch.linear(x, self.value)
    scores = torch.softmax(torch.matmul(q, k.transpose(-2, -1)), -1)
    packed = torch.linear(torch.matmul(scores, v), self.packed)
    return packed + torch.linear(x, self.repeated).sum(-1, True)
)"}},
          {kRows}};
}

CheckpointSpec buffers() {
  return {"buffers",
          "batch norm statistics, an integer table and a mask; one buffer nobody uses",
          {{"",
            "net.Normalize",
            {{"weight", {3}},
             {"bias", {3}},
             {"running_mean", {3}, "float32", kBuffer},
             {"running_var", {3}, "positive", kBuffer},
             {"table", {3}, "int64", kBuffer},
             {"mask", {3, 1}, "bool", kBuffer},
             {"unused", {5}, "float32", kBuffer}},
            R"(
def forward(self, x):
    y = torch.batch_norm(x, self.weight, self.bias, self.running_mean, self.running_var,
                         False, 0.1, 1e-5, False)
    y = torch.index_select(y, 1, self.table)
    return y.masked_fill(self.mask, 0.5)
)"}},
          {{"x", "float32", {2, 3, 6}, {4, 3, 5}}}};
}

CheckpointSpec frozen() {
  CheckpointSpec spec = nested();
  spec.name = "frozen";
  spec.what = "torch.jit.freeze: weights are constants of the graph, without names";
  spec.frozen = true;
  return spec;
}

CheckpointSpec frozen_numbers() {
  return {"frozen_numbers",
          "constants of rank 0, which LibTorch's executor takes for numbers in + - * /",
          {{"", "net.Numbers", {{"step", {}, "float64", kBuffer}}, R"(
def forward(self, x):
    return x + self.step, x - self.step, x * self.step, x / self.step, self.step + x
)"}},
          {{"x", "int32", {2, 3}, {4, 3}}},
          true};
}

CheckpointSpec low_precision(std::string name, std::string dtype) {
  return {std::move(name),
          dtype + " weights and activations",
          {{"", "net.LowPrecision", {}, R"(
def forward(self, x):
    return torch.relu(self.linear.forward(x))
)"},
           linear("linear", 8, 4, dtype)},
          {{"x", dtype, {2, 5, 8}, {3, 4, 8}}}};
}

CheckpointSpec dtypes() {
  return {"dtypes",
          "buffers of many element types, a parameter of rank 0 and an empty one",
          {{"",
            "net.Types",
            {{"scale", {}},
             {"empty", {0, 8}},
             {"f64", {8}, "float64", kBuffer},
             {"f16", {8}, "float16", kBuffer},
             {"bf16", {8}, "bfloat16", kBuffer},
             {"i32", {8}, "int32", kBuffer},
             {"i16", {8}, "int16", kBuffer},
             {"i8", {8}, "int8", kBuffer},
             {"u8", {8}, "uint8", kBuffer},
             {"flags", {8}, "bool", kBuffer}},
            R"(
def forward(self, x):
    total = self.f64 + self.f16 + self.bf16 + self.i32 + self.i16 + self.i8 + self.u8
    y = torch.cat([x, self.empty.unsqueeze(0).expand([x.size(0), 0, 8])], 1)
    return torch.where(self.flags, y * self.scale, y + total.type_as(x))
)"}},
          {kRows}};
}

CheckpointSpec control_flow() {
  return {"control_flow",
          "a branch on values, a loop over a dimension, a branch on the configuration",
          {{"", "net.Steps", {{"weight", {8, 8}}}, R"(
def forward(self, x):
    state = torch.zeros_like(x[:, 0])
    for step in range(x.size(1)):
        state = torch.tanh(torch.linear(state, self.weight) + x[:, step])
    if bool(state.sum() > 0):
        state = state * 2
    else:
        state = state - 1
    if self.weight.size(0) == 8:
        state = torch.sigmoid(state)
    return state
)"}},
          {kRows}};
}

CheckpointSpec in_place() {
  return {"in_place",
          "in-place operators on views of an intermediate",
          {{"", "net.InPlace", {{"bias", {8}}}, R"(
def forward(self, x):
    y = torch.relu(x)
    y[:, 0].mul_(2)
    y.select(1, -1).add_(self.bias)
    y[:, :, 2:4] = 1.5
    return y.transpose(0, 1)
)"}},
          {kRows}};
}

CheckpointSpec named_outputs() {
  return {"named_outputs",
          "optional and list arguments, a dict of outputs",
          {{"", "net.Outputs", {{"weight", {8, 8}}}, R"(
def forward(self, x, mask: Optional[Tensor] = None, scale: float = 0.5) -> Dict[str, Tensor]:
    hidden = torch.linear(x, self.weight) * scale
    if mask is not None:
        hidden = hidden * mask.unsqueeze(-1)
    return {"last_hidden_state": hidden, "pooled": hidden.mean(1)}
)"}},
          {kRows, {"mask", "float32", {2, 5}, {3, 4}}}};
}

}  // namespace

const std::vector<CheckpointSpec>& checkpoints() {
  static const std::vector<CheckpointSpec> all = {
      nested(),
      shared_submodule(),
      tied(),
      views(),
      buffers(),
      frozen(),
      frozen_numbers(),
      low_precision("half", "float16"),
      low_precision("bfloat16", "bfloat16"),
      dtypes(),
      control_flow(),
      in_place(),
      named_outputs(),
  };
  return all;
}

}  // namespace modelexport::models
